import Foundation
import HostPrograms
import HostSystem

/// A program of the host that serves a test as oracle.
struct Tool {
  let path: String

  static let objdump = Tool(path: "/usr/bin/riscv64-linux-gnu-objdump")
  static let qemu = Tool(path: "/usr/bin/qemu-riscv64")

  var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: path) }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Runs the program on a file with the given contents, whose path follows the arguments, and returns
  /// what it writes to its standard output.
  func run(_ arguments: [String], on contents: [UInt8]) throws -> [UInt8] {
    let file = FileManager.default.temporaryDirectory
      .appendingPathComponent("volary-test-\(UUID().uuidString)")
    try Data(contents).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: file.path)
    let outcome = try ProgramRun(path, arguments + [file.path]).finish()
    guard outcome.exit == .code(0) else {
      let how = outcome.exit.map { "\($0)" } ?? "did not end"
      throw Failure(description: "\(path) \(how): \(outcome.errors.suffix(500))")
    }
    return outcome.outputBytes
  }
}
