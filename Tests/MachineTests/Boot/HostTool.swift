import Foundation
import HostPrograms
import HostSystem

/// Programs of the host, as oracles.
enum HostTool {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Runs a shell command and returns what it prints. What it says to its standard error is part of a failure.
  static func shell(_ command: String, _ arguments: [String] = []) throws -> Data {
    // Some download what they need at first.
    let outcome = try ProgramRun("/bin/sh", ["-c", command, "sh"] + arguments).finish(within: 1200)
    guard outcome.exit == .code(0) else {
      throw Failure(
        description: outcome.errors.split(separator: "\n").first.map(String.init) ?? "\(command) failed")
    }
    return Data(outcome.outputBytes)
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
