import Foundation
import Glibc
import Testing
import VolaryHost

/// Logs that programs go on writing.
@Suite struct LogTailTests {
  @Test func areCutWhileTheyAreWritten() throws {
    let path = "/tmp/volary-log-\(UUID().uuidString)"
    defer { unlink(path) }
    let writer = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
    try #require(writer >= 0)
    defer { close(writer) }
    func write(_ text: String) {
      _ = Array(text.utf8).withUnsafeBytes { Glibc.write(writer, $0.baseAddress, $0.count) }
    }
    func size() throws -> Int {
      try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }
    write("short\n")
    try LogTail.cut(path)
    #expect(try size() == 6)
    for number in 0..<200 { write(String(repeating: "\(number % 10)", count: 9999) + "\n") }
    write("the last before\n")
    #expect(try size() > LogTail.bound)
    try LogTail.cut(path)
    #expect(try size() < 70_000)
    write("after\n")
    #expect(LogTail.last(2, of: path) == ["the last before", "after"])
    let text = try String(contentsOfFile: path, encoding: .utf8)
    #expect(text.hasPrefix("... what came before is gone ...\n"))
    // Whole lines.
    #expect(text.split(separator: "\n").dropFirst().dropLast(2).allSatisfy { $0.count == 9999 })
  }
}
