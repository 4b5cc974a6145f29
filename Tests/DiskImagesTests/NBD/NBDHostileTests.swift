import DiskImages
import Foundation
import HostPrograms
import HostSystem
import Testing

/// Servers that do what none should: whatever they send, a call ends by an error, in time, and memory stays bounded.
@Suite struct NBDHostileTests {
  static var limits: NBDLimits {
    var limits = NBDServer.limits
    limits.handshake = 500
    limits.silence = 150
    limits.request = 400
    return limits
  }

  static let opening = [
    "says-nothing", "greets-with-noise", "option-of-4-GiB", "options-without-end", "size-of-8-EiB",
    "size-of-nothing",
  ]

  @Test(arguments: opening) func `exports that cannot be opened`(behaviour: String) throws {
    let server = try NBDServer.behaving(behaviour, contents: [UInt8](repeating: 1, count: 1 << 20))
    let before = try Self.residentBytes()
    #expect {
      try server.open(limits: Self.limits)
    } throws: { error in
      let text = "\(error)"
      return text.hasPrefix("cannot use nbd+unix:///?socket=") && !text.contains("\n") && text.count < 600
    }
    #expect(try Self.residentBytes() < before + 200 << 20)
  }

  static let answering = [
    "answers-nothing", "answers-noise", "hangs-up", "answers-half", "other-cookies", "chunk-of-4-GiB",
    "chunks-without-end", "data-elsewhere", "errors-of-chance", "dribbles",
  ]

  @Test(arguments: answering) func `answers that are wrong`(behaviour: String) throws {
    let server = try NBDServer.behaving(behaviour, contents: [UInt8](repeating: 1, count: 1 << 20))
    let disk = try server.open(limits: Self.limits)
    let before = try Self.residentBytes()
    #expect(throws: Errno.self) { try disk.bytes(0, 100_000) }
    #expect(throws: Errno.self) { try disk.write([UInt8](repeating: 2, count: 100_000), at: 512) }
    if behaviour != "data-elsewhere" { #expect(throws: Errno.self) { try disk.flush() } }
    _ = try? disk.extent(at: 0, limit: 1 << 20)
    #expect(try Self.residentBytes() < before + 200 << 20)
  }

  @Test(arguments: [
    "blocks-of-3", "blocks-of-1-GiB", "extents-of-nothing", "extents-without-end", "extents-of-4-GiB",
    "no-extents", "answers-twice",
  ])
  func `answers that are strange`(behaviour: String) throws {
    let server = try NBDServer.behaving(behaviour, contents: [UInt8](repeating: 1, count: 1 << 20))
    let disk = try server.open(limits: Self.limits)
    let extent = try? disk.extent(at: 4096, limit: 1 << 20)
    if let extent { #expect(extent.content == .data && extent.end > 4096 && extent.end <= 1 << 20) }
    if behaviour != "answers-twice" { #expect(try disk.bytes(0, 4) == [1, 1, 1, 1]) }
  }

  @Test(arguments: ["comes-back-smaller", "comes-back-larger", "comes-back-read-only"])
  func `an export that comes back otherwise`(behaviour: String) throws {
    let server = try NBDServer.behaving(behaviour, contents: [UInt8](repeating: 1, count: 1 << 20))
    let location = try server.location
    let socket = try location.connect()
    let disk = try NBDImage(
      socket: socket, export: "", name: "disk", readOnly: false, limits: Self.limits
    ) { () throws(Errno) in try location.connect() }
    try disk.write([UInt8](repeating: 2, count: 512), at: 0)
    UnixSocket(socket).finishSending()
    #expect(throws: Errno.timedOut) { try disk.bytes(0, 512) }
  }

  /// Bytes of good answers are changed, or cut off. What is read may be anything; nothing traps, and all ends.
  @Test func `answers that are changed`() throws {
    let rounds = QCOW2Tools.numberFromEnvironment("VOLARY_NBD_MUTATIONS") ?? 12
    for seed in 0..<UInt64(rounds) {
      let server = try NBDServer.behaving(
        "mutates", seed: seed, contents: [UInt8](repeating: 1, count: 1 << 20))
      var limits = Self.limits
      limits.silence = 50
      limits.request = 250
      guard let disk = try? server.open(limits: limits) else { continue }
      for number in 0..<UInt64(20) {
        _ = try? disk.bytes(number * 4096, 10_000)
        _ = try? disk.extent(at: number * 4096, limit: 1 << 20)
        try? disk.write([UInt8](repeating: 3, count: 1000), at: number * 512)
        try? disk.flush()
      }
    }
  }

  /// What this process has of the host's memory.
  static func residentBytes() throws -> Int {
    let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
    return (Int(text.split(separator: " ")[1]) ?? 0) * 4096
  }
}
