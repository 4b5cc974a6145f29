package import Foundation
import HostSystem

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

/// Runs a program of the host, whose words are to be in English, and returns what it writes; throws when it fails.
package func run(
  _ program: String, _ arguments: [String] = [], input: Data = Data(), in folder: URL? = nil,
  environment: [String: String] = [:]
) throws -> Data {
  let outcome = try ProgramRun(
    program, arguments, environment: environment.merging(["LC_ALL": "C"]) { $1 }, in: folder?.path
  ).finish(input: [UInt8](input))
  guard outcome.exit == .code(0) else {
    let how = outcome.exit.map { "\($0)" } ?? "did not end"
    throw ProgramFailure(description: "\(program) \(arguments) \(how): \(outcome.errors.suffix(500))")
  }
  return Data(outcome.outputBytes)
}

/// The path of a program of the host; nil when it has none of that name.
package func programPath(_ name: String) -> String? {
  let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
  // An ordinary user's PATH often lacks the last two.
  let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
  return folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
}

package func hasProgram(_ name: String) -> Bool { programPath(name) != nil }

/// The folder of the built programs, which is the tests' own.
package let builtPrograms = URL(
  fileURLWithPath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/"
).deletingLastPathComponent().path

/// The folder of the guest's scripts in the sources.
package let guestFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .appendingPathComponent("../../Sources/VolaryHost/Guest").standardizedFileURL
