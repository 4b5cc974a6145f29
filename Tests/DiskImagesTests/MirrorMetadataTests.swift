import DiskImages
import HostSystem
import Testing

/// Metadata that somebody changed or cut are refused or read right, and never trap.
@Suite struct MirrorMetadataTests {
  static let rounds = QCOW2Tools.numberFromEnvironment("VOLARY_MIRROR_MUTATIONS") ?? 120

  /// Makes checksums right again, so that what is behind them is looked at.
  static func seal(_ bytes: inout [UInt8], bits: Int) {
    func checksum(_ part: ArraySlice<UInt8>) -> [UInt8] {
      var value: UInt64 = 0xCBF2_9CE4_8422_2325
      for byte in part { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
      return (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64($0 * 8)) }
    }
    for start in [0, 256 << 10] where start + 4096 + bits <= bytes.count {
      bytes.replaceSubrange(
        start + 4080..<start + 4088, with: checksum(bytes[start + 4096..<start + 4096 + bits]))
      bytes.replaceSubrange(start + 4088..<start + 4096, with: checksum(bytes[start..<start + 4088]))
    }
  }

  /// A pair whose second side was lost and has other contents: if it were read, it would show.
  static func victim(isWhole: Bool) throws -> (rig: MirrorRig, numbers: [UInt64?]) {
    let rig = try MirrorTests.rig(64)
    let numbers: [UInt64?] = (0..<64).map { UInt64($0) + 1 }
    let opened = try rig.open()
    try opened.disk.write(QCOW2Sectors.bytes((0..<64).map { UInt64($0) + 100 }), at: 0)
    try opened.disk.flush()
    if !isWhole { opened.files[1].fail(after: 0) }
    try opened.disk.write(QCOW2Sectors.bytes(numbers.compactMap { $0 }), at: 0)
    try opened.disk.close()
    return (try rig.copy(), numbers)
  }

  static func file(_ bytes: [UInt8]) throws -> TestFile {
    let file = TestFile()
    try bytes.withUnsafeBytes { try file.write(at: 0, from: $0) }
    return file
  }

  @Test func `what the metadata look like`() throws {
    let (rig, _) = try Self.victim(isWhole: false)
    let bytes = try rig.metadata.bytes(at: 0, count: Int(rig.metadata.size()))
    #expect(bytes.count == 256 << 10 + 4096 + 8)
    for start in [0, 256 << 10] {
      let copy = Array(bytes[start..<start + 4104])
      #expect(Array(copy[..<16]) == Array("VOLARYMR".utf8) + [1, 0, 0, 0, 12, 0, 0, 0])
      #expect(Array(copy[16..<24]) == [0, 0x80, 0, 0, 0, 0, 0, 0])
      // The second generation, in which the first side is current alone, and eight marked regions.
      #expect(Array(copy[32..<40]) == [2, 0, 0, 0, 0, 0, 0, 0])
      #expect(Array(copy[80..<84]) == [2, 0, 0, 0] && Array(copy[1168..<1172]) == [1, 0, 0, 0])
      #expect(Array(copy[92..<104]) == [6, 0, 0, 0] + Array("side 0".utf8) + [0, 0])
      #expect(Array(copy[4096...]) == [0xFF, 0, 0, 0, 0, 0, 0, 0])
      var sealed = bytes
      Self.seal(&sealed, bits: 8)
      #expect(sealed == bytes)
    }
  }

  @Test(arguments: [false, true], [false, true])
  func `changed anywhere`(isSealed: Bool, isWhole: Bool) throws {
    let (rig, numbers) = try Self.victim(isWhole: isWhole)
    let bytes = try rig.metadata.bytes(at: 0, count: Int(rig.metadata.size()))
    var generator = Xorshift(seed: isSealed ? 1 : 2)
    var opened = 0
    for round in 0..<Self.rounds {
      var changed = bytes
      // Where something is, of one copy or both.
      let starts = [[0], [256 << 10], [0, 256 << 10]].randomElement(using: &generator)!
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let parts = [0..<56, 16..<40, 64..<110, 1152..<1198, 4080..<4104]
        let place = Int.random(in: parts.randomElement(using: &generator)!, using: &generator)
        let value = [0, 1, 0x7F, 0xFF, UInt8(truncatingIfNeeded: generator.next())].randomElement(
          using: &generator)!
        for start in starts {
          if generator.next() % 2 == 0 { changed[start + place] = value } else { changed[start + place] ^= 1 }
        }
      }
      if isSealed { Self.seal(&changed, bits: 8) }
      var copy = try rig.copy()
      copy.metadata = try Self.file(changed)
      do {
        let disk = try copy.openKnown().disk
        opened += 1
        if !isSealed {
          try #require(try QCOW2Sectors.numbers(disk) == numbers, "round \(round)")
          try #require(disk.state.isWhole == isWhole)
        }
        _ = try? disk.bytes(0, Int(min(disk.size, 1 << 16)))
        _ = try? disk.write([1, 2, 3], at: disk.size / 2)
        _ = try? disk.copyNext()
        try? disk.close()
      } catch is MirrorError {
        continue
      }
    }
    #expect(opened > Self.rounds / 20)
  }

  @Test(arguments: [0, 256 << 10])
  func `either copy knows which sides are current`(start: UInt64) throws {
    let rig = try MirrorTests.rig(64)
    let opened = try rig.open()
    try opened.disk.write(QCOW2Sectors.bytes([1]), at: 0)
    opened.files[0].fail(after: 0)
    try opened.disk.write(QCOW2Sectors.bytes([2]), at: 0)
    let copy = try rig.copy()
    try [UInt8](repeating: 0xFF, count: 100).withUnsafeBytes { try copy.metadata.write(at: start, from: $0) }
    let disk = try copy.open().disk
    #expect(disk.state.sides == [.missing, .current])
    #expect(try QCOW2Sectors.numbers(disk)[0] == 2)
  }

  @Test func `cut anywhere`() throws {
    let (rig, numbers) = try Self.victim(isWhole: false)
    let bytes = try rig.metadata.bytes(at: 0, count: Int(rig.metadata.size()))
    let ends =
      Array(stride(from: 0, to: 6000, by: 100)) + Array(stride(from: 6000, to: bytes.count, by: 1999))
    for end in ends + [bytes.count - 1] {
      var copy = rig
      copy.metadata = try Self.file(Array(bytes[..<end]))
      if end < 4104 {
        #expect(throws: MirrorError.self) { try copy.open() }
      } else {
        let disk = try copy.open().disk
        try #require(try QCOW2Sectors.numbers(disk) == numbers)
      }
    }
    for junk in [[UInt8](), [UInt8](repeating: 0xFF, count: 600_000)] {
      var copy = rig
      copy.metadata = try Self.file(junk)
      #expect(throws: MirrorError.notMetadata(name: "test.img")) { try copy.open() }
    }
  }

  @Test func `a later version is told apart from damage`() throws {
    var (rig, _) = try Self.victim(isWhole: true)
    var bytes = try rig.metadata.bytes(at: 0, count: Int(rig.metadata.size()))
    bytes[8] = 2
    Self.seal(&bytes, bits: 8)
    rig.metadata = try Self.file(bytes)
    #expect(throws: MirrorError.unknownVersion(name: "test.img", version: 2)) { try rig.open() }
  }
}
