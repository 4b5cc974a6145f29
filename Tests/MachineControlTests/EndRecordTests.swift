import HostSystem
import MachineControl
import Testing

@Suite struct EndRecordTests {
  static let ends: [ControlEvent] = [
    .guestPoweredOff(code: nil), .guestPoweredOff(code: 3), .guestReset, .guestPanicked(message: "VFS: é"),
    .failed(phase: String(repeating: "p", count: 5000), message: String(repeating: "m", count: 5000)),
  ]

  @Test(arguments: ends)
  func comesBack(_ event: ControlEvent) throws {
    let file = try Descriptor.memory(name: "record")
    #expect(try EndRecord.read(from: file) == nil)
    // Over a longer one.
    try EndRecord.write(.guestPanicked(message: String(repeating: "old", count: 1000)), to: file)
    try EndRecord.write(event, to: file)
    let read = try #require(try EndRecord.read(from: file))
    if case .failed(let phase, let message) = read {
      #expect(phase.utf8.count == 4096 && message.utf8.count == 4096, "as any string that is sent")
    } else {
      #expect(read == event)
    }
    try EndRecord.clear(file)
    #expect(try EndRecord.read(from: file) == nil)
  }

  /// Written by hand from the format's description, with the checksum of another program's FNV-1a.
  @Test func keepsItsBytes() {
    let packet: [UInt8] = [0x56, 0x4f, 0x4c, 2, 129, 0, 0, 0, 0, 1, 2, 0, 0, 0]
    let bytes =
      Array("VEND".utf8) + [14, 0, 0, 0] + packet + [0xac, 0xfc, 0xb6, 0xb3, 0x5b, 0x9b, 0x87, 0xdf]
    #expect(EndRecord.encode(.guestPoweredOff(code: 2)) == bytes)
    #expect(EndRecord.decode(bytes) == .guestPoweredOff(code: 2))
  }

  @Test(arguments: ends)
  func halfOfItIsNone(_ event: ControlEvent) {
    let bytes = EndRecord.encode(event)
    for count in 0..<bytes.count { #expect(EndRecord.decode(Array(bytes[..<count])) == nil) }
    #expect(EndRecord.decode(bytes + [1, 2, 3]) != nil)
    for place in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 100)) {
      var wrong = bytes
      wrong[place] ^= 0x10
      #expect(EndRecord.decode(wrong) == nil)
    }
  }

  @Test func whatIsNoEndIsNoRecord() {
    for event in [.started, .warning(line: "w")] as [ControlEvent] {
      #expect(EndRecord.decode(EndRecord.encode(event)) == nil)
    }
  }

  @Test func survivesAnyBytes() {
    var generator = SeededGenerator(state: 1)
    for _ in 0..<20_000 {
      var bytes = EndRecord.encode(Self.ends.randomElement(using: &generator) ?? .guestReset)
      for _ in 0..<3 {
        bytes[Int.random(in: 0..<min(40, bytes.count), using: &generator)] = .random(
          in: 0...255, using: &generator)
      }
      _ = EndRecord.decode(bytes)
    }
  }
}
