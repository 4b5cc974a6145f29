import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

/// A server of disks at a Unix socket, which goes with the object; its files are in a folder of its own and stay when
/// it is killed and started again.
final class DiskServer {
  let folder = TestFolder()
  private let arguments: [String]
  private var run: ProgramRun?

  var socket: String { "\(folder.path)/socket" }
  /// As a pool's source.
  var source: String { "nbd+unix:///?socket=\(socket)" }
  /// As a disk.
  func location(_ export: String) -> String { "nbd+unix:///\(export)?socket=\(socket)" }
  func path(_ export: String) -> String { "\(folder.path)/exports/\(export)" }

  /// `SOCKET` and `EXPORTS` in the arguments are replaced by paths.
  init(_ arguments: [String], exports: [String: Int64]) throws {
    self.arguments = arguments
    try FileManager.default.createDirectory(
      atPath: "\(folder.path)/exports", withIntermediateDirectories: true)
    for (name, size) in exports { _ = try folder.disk("exports/\(name)", bytes: size) }
    try start()
  }

  /// nbdkit, whose exports are the files of a folder.
  static func nbdkit(_ exports: [String: Int64]) throws -> DiskServer {
    try DiskServer(["nbdkit", "-f", "-U", "SOCKET", "file", "dir=EXPORTS"], exports: exports)
  }

  /// Tests/NBD/server, which has one disk and lists none.
  static func behaving(_ behaviour: String, bytes: Int64) throws -> DiskServer {
    let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../NBD/server").standardizedFileURL.path
    return try DiskServer(
      ["python3", program, "SOCKET", "EXPORTS/disk", behaviour, "7"], exports: ["disk": bytes])
  }

  func start() throws {
    unlink(socket)
    let run = try ProgramRun(
      arguments[0],
      arguments.dropFirst().map {
        $0.replacing("SOCKET", with: socket).replacing("EXPORTS", with: "\(folder.path)/exports")
      })
    self.run = run
    try run.awaitListener(at: socket)
  }

  /// SIGKILL: what it has not written is lost.
  func kill() { run = nil }

  /// The SHA-256 of the first bytes of an export.
  func checksum(_ export: String, bytes: Int) throws -> String {
    let file = try FileHandle(forReadingFrom: URL(filePath: path(export)))
    return try Bench.sha256([UInt8](try file.read(upToCount: bytes) ?? Data()))
  }
}
