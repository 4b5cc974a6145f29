import Foundation
import HostPrograms
import VolaryAPI

/// An image `small` of the store in a daemon's folder, whose disk begins with ones. No machine starts from it.
struct SmallImage {
  static let size = 8 << 20

  let folder: TestFolder

  init(in folder: TestFolder) throws {
    self.folder = folder
    try Self.make("\(folder.path)/images/small_riscv64")
  }

  private static func make(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try Data("no machine is started".utf8).write(to: URL(filePath: path + "/kernel"))
    try (Data(repeating: 1, count: 65536) + Data(count: size - 65536)).write(
      to: URL(filePath: path + "/disk.raw"))
    let record = """
      {"version":1,"name":"small","architecture":"riscv64","created_at":"2026-01-01T00:00:00Z","source":"imported",
      "kernel_size":21,"disk_size":\(size),"stored_size":65536}
      """
    try Data(record.utf8).write(to: URL(filePath: path + "/image.json"))
  }
}

extension TestDaemon {
  /// Sends a request, waits for the operation that it begins, and gives its error; empty when it was done.
  func carryOut(_ path: String, _ method: String, _ body: String? = nil) throws -> String {
    let answer = try curl(path, method, body: body)
    guard answer.json["type"] == "async", let operation = answer.json["operation"]?.string else {
      return answer.status < 300 ? "" : answer.json["error"]?.string ?? "\(answer.status)"
    }
    let ended = try curl("\(operation)/wait").json["metadata"]
    return ended?["status_code"] == 200 ? "" : ended?["err"]?.string ?? "?"
  }

  func metadata(_ path: String) throws -> JSONValue? { try curl(path).json["metadata"] }

  /// What a query of SQLite's says.
  func sql(_ statement: String) throws -> String {
    let result = try run("sqlite3", [folder.database, ".timeout 10000", statement])
    return String(decoding: result.output, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// The file that an instance's machine would write.
  func disk(of name: String) throws -> String {
    "\(folder.path)/layers/" + (try sql("SELECT layer FROM instances WHERE name = '\(name)'"))
  }

  /// Writes as a machine would, by qemu-io(1).
  func write(_ value: Int, at offset: Int, on name: String) throws {
    let done = try run(
      "qemu-io", ["-f", "qcow2", "-c", "write -P \(value) \(offset) 4096", try disk(of: name)])
    if done.code != 0 { throw APIError(.failed, done.errors) }
  }

  /// Whether a disk holds a value, as QEMU reads it through all its layers.
  func holds(_ value: Int, at offset: Int, on name: String) throws -> Bool {
    let done = try run(
      "qemu-io", ["-r", "-f", "qcow2", "-c", "read -P \(value) \(offset) 4096", try disk(of: name)])
    return done.code == 0 && !String(decoding: done.output, as: UTF8.self).contains("failed")
  }

  var layerFiles: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/layers")) ?? []).sorted()
  }
}
