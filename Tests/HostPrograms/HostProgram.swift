package import Foundation

/// A folder that goes with the value.
package final class TemporaryFolder: Sendable {
  package let url: URL

  package init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("volary-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}

package struct ProgramFailure: Error, CustomStringConvertible {
  package let description: String
}

/// Runs a program of the host and returns what it writes; throws when it fails.
package func run(
  _ program: String, _ arguments: [String], input: Data = Data(), in folder: URL? = nil,
  environment: [String: String] = [:]
) throws -> Data {
  let scratch = try TemporaryFolder()
  let inputFile = scratch.url.appendingPathComponent("in")
  let outputFile = scratch.url.appendingPathComponent("out")
  try input.write(to: inputFile)
  try Data().write(to: outputFile)
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [program] + arguments
  process.currentDirectoryURL = folder
  process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    .merging(["LC_ALL": "C"]) { $1 }
  process.standardInput = try FileHandle(forReadingFrom: inputFile)
  process.standardOutput = try FileHandle(forWritingTo: outputFile)
  try process.run()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else {
    throw ProgramFailure(
      description: "\(program) \(arguments) ended with status \(process.terminationStatus)")
  }
  return try Data(contentsOf: outputFile)
}

package func hasProgram(_ name: String) -> Bool {
  ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"].contains {
    FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
  }
}

/// The folder of the guest's scripts in the sources.
package let guestFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .appendingPathComponent("../../Sources/VolaryHost/Guest").standardizedFileURL
