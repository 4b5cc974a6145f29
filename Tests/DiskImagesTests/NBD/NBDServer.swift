import DiskImages
import Foundation
import HostPrograms
import HostSystem

/// A server of some kind at a Unix socket, which goes with the object.
final class NBDServer {
  let folder: TemporaryFolder
  let arguments: [String]
  private var run: ProgramRun?

  /// The socket's path.
  var socket: String { folder.url.appendingPathComponent("socket").path }
  var disk: String { folder.url.appendingPathComponent("disk").path }
  var location: NBDLocation { get throws { try NBDLocation("nbd+unix:///?socket=\(socket)") } }
  var isRunning: Bool { run?.hasEnded == false }
  var identifier: Int32 { run?.identifier ?? -1 }

  /// Starts a program; `SOCKET` and `DISK` in its arguments are replaced by paths.
  init(_ program: String, _ arguments: [String], contents: [UInt8]) throws {
    guard hasProgram(program) || program.contains("/") else {
      throw QCOW2Tools.Failure(
        description: "\(program) is needed by these tests: scripts/install-packages test")
    }
    folder = try TemporaryFolder()
    self.arguments = [program] + arguments
    try QCOW2Tools.write(contents, to: disk)
    try start()
  }

  /// nbdkit over the file, or over another plug-in.
  static func nbdkit(
    _ arguments: [String] = ["file", "DISK"], filters: [String] = [], contents: [UInt8]
  ) throws -> NBDServer {
    try NBDServer(
      "nbdkit", ["-f", "-U", "SOCKET"] + filters.map { "--filter=\($0)" } + arguments, contents: contents)
  }

  /// Tests/NBD/server.
  static func behaving(_ behaviour: String, seed: UInt64 = 1, contents: [UInt8]) throws -> NBDServer {
    let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../NBD/server").standardizedFileURL.path
    return try NBDServer("python3", [program, "SOCKET", "DISK", behaviour, "\(seed)"], contents: contents)
  }

  func start() throws {
    unlink(socket)
    let run = try ProgramRun(
      arguments[0],
      arguments.dropFirst().map {
        $0.replacingOccurrences(of: "SOCKET", with: socket).replacingOccurrences(of: "DISK", with: disk)
      })
    self.run = run
    try run.awaitListener(at: socket)
  }

  func kill() { run = nil }

  func signal(_ number: Int32) { run?.signal(number) }

  var contents: [UInt8] { get throws { [UInt8](try Data(contentsOf: URL(fileURLWithPath: disk))) } }

  /// Patient with a slow host, and quick to try again.
  static var limits: NBDLimits {
    var limits = NBDLimits()
    limits.firstPause = 2
    limits.longestPause = 50
    return limits
  }

  func open(readOnly: Bool = false, limits: NBDLimits = limits) throws -> NBDImage {
    try NBDImage(location, readOnly: readOnly, limits: limits)
  }
}
