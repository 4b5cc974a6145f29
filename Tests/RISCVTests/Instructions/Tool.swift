import Foundation

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
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments + [file.path]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0, process.terminationReason == .exit else {
      throw Failure(description: "\(path) ended with status or signal \(process.terminationStatus)")
    }
    return [UInt8](data)
  }
}
