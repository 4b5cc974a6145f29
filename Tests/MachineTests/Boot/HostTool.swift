import Foundation

/// Programs of the host, as oracles.
enum HostTool {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Runs a shell command and returns what it prints. What it says to its standard error is part of a failure.
  static func shell(_ command: String, _ arguments: [String] = []) throws -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command, "sh"] + arguments
    process.standardInput = FileHandle.nullDevice
    let (output, errors) = (Pipe(), TemporaryFile())
    process.standardOutput = output
    process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: errors.path))
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let why = (try? String(contentsOfFile: errors.path, encoding: .utf8)) ?? ""
      throw Failure(description: why.split(separator: "\n").first.map(String.init) ?? "\(command) failed")
    }
    return data
  }

  static func text(_ command: String, _ arguments: [String] = []) throws -> String {
    String(decoding: try shell(command, arguments), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
  }
}

/// A file that goes with the object.
final class TemporaryFile {
  let path: String

  init(_ content: Data = Data()) {
    path = "/tmp/volary-boot-\(UUID().uuidString)"
    _ = FileManager.default.createFile(atPath: path, contents: content)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var content: Data { get throws { try Data(contentsOf: URL(fileURLWithPath: path)) } }
}
