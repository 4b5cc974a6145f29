import DiskImages
import Foundation
import Glibc
import HostSystem
import Testing

/// Logs of VHDX files, laid out by the specification here, are read as QEMU replays them.
@Suite struct VHDXLogTests {
  /// A change of one sector of 4 KiB or a range of zeroes.
  enum Change {
    case data(offset: UInt64, [UInt8])
    case zero(offset: UInt64, count: UInt64)
  }

  static let logGUID = (1...16).map { UInt8($0) }

  /// An entry of a log ([MS-VHDX] 2.3.1).
  static func entry(
    _ changes: [Change], sequence: UInt64, tail: UInt32, flushedSize: UInt64, lastSize: UInt64? = nil
  ) -> [UInt8] {
    let head = (64 + 32 * changes.count + 4095) / 4096 * 4096
    var bytes = [UInt8](repeating: 0, count: head)
    func set(_ value: UInt64, _ size: Int, _ offset: Int) {
      for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    for (index, change) in changes.enumerated() {
      let place = 64 + 32 * index
      switch change {
      case .data(let offset, let data):
        bytes.replaceSubrange(place..<place + 4, with: Array("desc".utf8))
        bytes.replaceSubrange(place + 4..<place + 8, with: data[4092...])
        bytes.replaceSubrange(place + 8..<place + 16, with: data[..<8])
        set(offset, 8, place + 16)
        var sector = data
        sector.replaceSubrange(0..<4, with: Array("data".utf8))
        for index in 0..<4 {
          sector[4 + index] = UInt8(truncatingIfNeeded: sequence >> UInt64(32 + 8 * index))
          sector[4092 + index] = UInt8(truncatingIfNeeded: sequence >> UInt64(8 * index))
        }
        bytes += sector
      case .zero(let offset, let count):
        bytes.replaceSubrange(place..<place + 4, with: Array("zero".utf8))
        set(count, 8, place + 8)
        set(offset, 8, place + 16)
      }
      set(sequence, 8, place + 24)
    }
    bytes.replaceSubrange(0..<4, with: Array("loge".utf8))
    set(UInt64(bytes.count), 4, 8)
    set(UInt64(tail), 4, 12)
    set(sequence, 8, 16)
    set(UInt64(changes.count), 4, 24)
    bytes.replaceSubrange(32..<48, with: logGUID)
    set(flushedSize, 8, 48)
    set(lastSize ?? flushedSize, 8, 56)
    set(UInt64(crc(bytes)), 4, 4)
    return bytes
  }

  /// CRC-32C, bit by bit.
  static func crc(_ bytes: [UInt8]) -> UInt32 {
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
    }
    return ~sum
  }

  static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> Int {
    bytes[offset..<offset + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }

  /// Puts entries into an image's log, at places of it, and has its newer header say that they are there.
  static func withLog(_ image: [UInt8], _ entries: [(Int, [UInt8])]) -> [UInt8] {
    var image = image
    let places = [64 << 10, 128 << 10]
    let newer = places.max { number(image, $0 + 8, 8) < number(image, $1 + 8, 8) }!
    let log = number(image, newer + 72, 8)
    let length = number(image, newer + 68, 4)
    for (offset, entry) in entries {
      for (index, byte) in entry.enumerated() { image[log + (offset + index) % length] = byte }
    }
    image.replaceSubrange(newer + 48..<newer + 64, with: logGUID)
    image.replaceSubrange(newer + 4..<newer + 8, with: [0, 0, 0, 0])
    let sum = crc(Array(image[newer..<newer + 4096]))
    for index in 0..<4 { image[newer + 4 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
    return image
  }

  /// Where the block allocation table begins.
  static func tableOffset(_ image: [UInt8]) -> Int {
    let place = 192 << 10
    // The regions' first bytes tell them apart.
    let index = (0..<2).first { image[place + 16 + 32 * $0] == 0x66 }!
    return number(image, place + 16 + 32 * index + 16, 8)
  }

  /// The image of a disk of 4 MiB, in blocks of 1 MiB.
  static func image(_ samples: SampleImages) throws -> [UInt8] {
    #expect(samples.tool("convert -O vhdx -o block_size=1M,log_size=1M raw image"))
    return try samples.bytes("image")
  }

  /// What a disk holds by QEMU, which replays the log as it opens the image for writing.
  static func contentsByQEMU(_ image: [UInt8], _ samples: SampleImages) throws -> [UInt8]? {
    try samples.write(image, "dirty")
    guard samples.tool("check -f vhdx -r all dirty"), samples.tool("convert -f vhdx -O raw dirty replayed")
    else {
      return nil
    }
    return try samples.bytes("replayed")
  }

  static func sector(_ byte: UInt8) -> [UInt8] {
    (0..<4096).map { UInt8(truncatingIfNeeded: $0 / 16) ^ byte }
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `a log is replayed in memory`() throws {
    let samples = try SampleImages(size: 4 << 20)
    let clean = try Self.image(samples)
    let size = UInt64(clean.count)
    let table = Self.tableOffset(clean)
    // The first two blocks change places, and the third is nowhere.
    var entries = Array(clean[table..<table + 4096])
    let first = Array(entries[0..<8])
    entries.replaceSubrange(0..<8, with: entries[8..<16])
    entries.replaceSubrange(8..<16, with: first)
    entries.replaceSubrange(16..<24, with: [UInt8](repeating: 0, count: 8))
    let block = UInt64(Self.number(clean, table, 8) & ~0xF_FFFF)
    let one = Self.entry(
      [
        .data(offset: UInt64(table), Array(clean[table..<table + 4096])),
        .data(offset: block, Self.sector(1)),
      ],
      sequence: 7, tail: 0, flushedSize: size)
    let two = Self.entry(
      [
        .data(offset: UInt64(table), entries), .zero(offset: block + 4096, count: 8192),
        .data(offset: block + 8192, Self.sector(2)), .zero(offset: block + (64 << 10), count: 4096),
      ], sequence: 8, tail: 0, flushedSize: size)
    let dirty = Self.withLog(clean, [(0, one), (one.count, two)])
    let disk = try SampleImages.open(dirty, .vhdx)
    var expected = samples.pattern
    let moved = Array(expected[..<(1 << 20)])
    expected.replaceSubrange(0..<(1 << 20), with: expected[(1 << 20)..<(2 << 20)])
    expected.replaceSubrange((1 << 20)..<(2 << 20), with: moved)
    expected.replaceSubrange((2 << 20)..<(3 << 20), with: [UInt8](repeating: 0, count: 1 << 20))
    let at = 1 << 20
    expected.replaceSubrange(at..<at + 4096, with: Self.sector(1))
    expected.replaceSubrange(at + 4096..<at + 8192, with: [UInt8](repeating: 0, count: 4096))
    expected.replaceSubrange(at + 8192..<at + 12288, with: Self.sector(2))
    expected.replaceSubrange(at + 65536..<at + 69632, with: [UInt8](repeating: 0, count: 4096))
    #expect(try disk.contents == expected)
    #expect(try disk.contentsByExtents() == expected)
    #expect(try disk.bytes(UInt64(at + 4000), 5000) == Array(expected[at + 4000..<at + 9000]))
    #expect(try Self.contentsByQEMU(dirty, samples) == expected)
  }

  @Test(.enabled(if: SampleImages.hasTool))
  func `the newest sequence counts, and it may go round the log's end`() throws {
    let samples = try SampleImages(size: 4 << 20)
    let clean = try Self.image(samples)
    let size = UInt64(clean.count)
    let block = UInt64(Self.number(clean, Self.tableOffset(clean), 8) & ~0xF_FFFF)
    func entry(_ byte: UInt8, _ sequence: UInt64, tail: UInt32, at place: UInt64 = 0) -> [UInt8] {
      Self.entry(
        [.data(offset: block + place, Self.sector(byte))], sequence: sequence, tail: tail, flushedSize: size)
    }
    let end = (1 << 20) - 8192
    // Older ones, and newer ones of which the last has to be replayed with the one before; that begins 8 KiB in
    // front of the log's end.
    let entries = [
      (64 << 10, entry(1, 3, tail: 64 << 10)),
      (end - 8192, entry(2, 20, tail: UInt32(end - 8192), at: 8192)),
      (end, entry(3, 21, tail: UInt32(end), at: 4096)), (0, entry(4, 22, tail: UInt32(end))),
    ]
    let dirty = Self.withLog(clean, entries)
    var expected = samples.pattern
    expected.replaceSubrange(0..<4096, with: Self.sector(4))
    expected.replaceSubrange(4096..<8192, with: Self.sector(3))
    // QEMU takes what it finds at the log's beginning for a sequence of its own.
    #expect(try SampleImages.open(dirty, .vhdx).contents == expected)
    // One by itself that names another as the oldest does not count, though QEMU takes it.
    let stray = entry(5, 30, tail: 16384, at: 12288)
    #expect(try SampleImages.open(Self.withLog(clean, entries + [(8192, stray)]), .vhdx).contents == expected)
    // A checksum that is wrong ends the sequence before it, which then misses what it names as its last.
    var spoilt = dirty
    let log = Self.number(clean, 72 + (64 << 10), 8)
    spoilt[log + 5000] ^= 1
    var older = samples.pattern
    older.replaceSubrange(4096..<8192, with: Self.sector(3))
    #expect(try SampleImages.open(spoilt, .vhdx).contents == older)
    // An older sequence and a newer one, of two entries.
    let apart = Self.withLog(
      clean,
      [
        (4096, entry(1, 3, tail: 4096)), (65536, entry(2, 20, tail: 65536, at: 8192)),
        (65536 + 8192, entry(3, 21, tail: 65536, at: 4096)),
      ])
    var both = samples.pattern
    both.replaceSubrange(4096..<8192, with: Self.sector(3))
    both.replaceSubrange(8192..<12288, with: Self.sector(2))
    #expect(try SampleImages.open(apart, .vhdx).contents == both)
    #expect(try Self.contentsByQEMU(apart, samples) == both)
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `logs that cannot be replayed`() throws {
    let samples = try SampleImages(size: 4 << 20)
    let clean = try Self.image(samples)
    let size = UInt64(clean.count)
    func open(_ changes: [Change], flushedSize: UInt64? = nil) throws -> any DiskImage {
      let entry = Self.entry(changes, sequence: 1, tail: 0, flushedSize: flushedSize ?? size)
      return try SampleImages.open(Self.withLog(clean, [(0, entry)]), .vhdx)
    }
    #expect(
      throws: DiskImageError.damaged(name: "x", format: .vhdx, reason: "its log has no entry that is sound")
    ) {
      try SampleImages.open(Self.withLog(clean, []), .vhdx)
    }
    #expect(throws: DiskImageError.truncated(name: "x", size: size, expected: size + 4096)) {
      try open([], flushedSize: size + 4096)
    }
    #expect(throws: DiskImageError.self) { try open([.data(offset: 512, Self.sector(1))]) }
    #expect(throws: DiskImageError.self) { try open([.zero(offset: 4096, count: .max - 4095)]) }
    #expect(throws: DiskImageError.self) { try open([.zero(offset: 4096, count: 512)]) }
    // All zeroes: nothing is there any more, not even a region table.
    #expect(throws: DiskImageError.self) { try open([.zero(offset: 0, count: 1 << 62)]) }
  }
}
