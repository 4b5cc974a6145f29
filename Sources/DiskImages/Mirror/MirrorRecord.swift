internal import HostSystem

/// What a mirror's metadata say, and their format. Numbers are little-endian.
///
/// The file has two copies, at 0 and at ``slotSize``, which are written in turn: one that was torn leaves the other,
/// and of two sound ones that with the higher sequence number counts. A copy is a header of 4,096 bytes and a bit
/// for each region of the disk, lowest first, 1 where the sides may differ, filled up to a multiple of 8 bytes.
///
/// | bytes | field |
/// | --- | --- |
/// | 0 ..< 8 | the letters `VOLARYMR` |
/// | 8 ..< 12 | version, 1 |
/// | 12 ..< 16 | size of a region as a power of two, 12 to 44 |
/// | 16 ..< 24 | size of the disk in bytes |
/// | 24 ..< 32 | sequence number of the copy |
/// | 32 ..< 40 | generation |
/// | 40 ..< 56 | identity of the pair |
/// | 64 ..< 1152 | the first side |
/// | 1152 ..< 2240 | the second side |
/// | 4080 ..< 4088 | FNV-1a, 64 bits, of the regions' bits |
/// | 4088 ..< 4096 | FNV-1a, 64 bits, of the bytes before |
///
/// The rest is zero. Of a side:
///
/// | bytes | field |
/// | --- | --- |
/// | 0 ..< 16 | its identity |
/// | 16 ..< 24 | the last generation in which it was current: the pair's own, if it is |
/// | 24 ..< 28 | 1 while it is rebuilt, else 0 |
/// | 28 ..< 32 | bytes of its name |
/// | 32 ..< 1056 | its name, UTF-8 |
struct MirrorRecord: Equatable, Sendable {
  struct Side: Equatable, Sendable {
    var identity: MirrorIdentity
    var name: String
    var generation: UInt64
    var isRebuilding: Bool
  }

  static let magic: [UInt8] = Array("VOLARYMR".utf8)
  static let version: UInt32 = 1
  static let headerSize = 4096
  /// From the first copy to the second.
  static let slotSize: UInt64 = 256 << 10
  static let nameLength = 1024
  static let regionShifts: ClosedRange<UInt32> = 12...44
  /// Bounds the bits to 128 KiB.
  static let maximumRegions: UInt64 = 1 << 20
  private static let sidePlaces = [64, 1152]

  let regionShift: UInt32
  let size: UInt64
  let identity: MirrorIdentity
  var sequence: UInt64
  var generation: UInt64
  /// Two.
  var sides: [Side]
  /// The regions in which the sides may differ.
  var marks: MirrorBits

  /// Regions of 1 MiB, or larger ones when that would be too many; nil when the disk is too large.
  static func regionShift(forSize size: UInt64) -> UInt32? {
    (20...regionShifts.upperBound).first { regionCount(size: size, shift: $0) <= maximumRegions }
  }

  static func regionCount(size: UInt64, shift: UInt32) -> UInt64 {
    size == 0 ? 0 : (size - 1) >> UInt64(shift) + 1
  }

  func isCurrent(_ side: Int) -> Bool { sides[side].generation == generation }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.headerSize)
    let bits = marks.encoded
    bytes.replaceSubrange(0..<8, with: Self.magic)
    bytes.setLittle(Self.version, at: 8)
    bytes.setLittle(regionShift, at: 12)
    bytes.setLittle(size, at: 16)
    bytes.setLittle(sequence, at: 24)
    bytes.setLittle(generation, at: 32)
    bytes.setLittle(identity.low, at: 40)
    bytes.setLittle(identity.high, at: 48)
    for (side, place) in zip(sides, Self.sidePlaces) {
      let name = Array(side.name.utf8.prefix(Self.nameLength))
      bytes.setLittle(side.identity.low, at: place)
      bytes.setLittle(side.identity.high, at: place + 8)
      bytes.setLittle(side.generation, at: place + 16)
      bytes.setLittle(UInt32(side.isRebuilding ? 1 : 0), at: place + 24)
      bytes.setLittle(UInt32(name.count), at: place + 28)
      bytes.replaceSubrange(place + 32..<place + 32 + name.count, with: name)
    }
    bytes.setLittle(Self.checksum(bits[...]), at: 4080)
    bytes.setLittle(Self.checksum(bytes[..<4088]), at: 4088)
    return bytes + bits
  }

  static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    var fingerprint = Fingerprint()
    bytes.withUnsafeBytes { fingerprint.add($0) }
    return fingerprint.value
  }
}

// MARK: - Reading what anybody may have written

extension MirrorRecord {
  /// What is in the place of a copy.
  enum Reading: Equatable {
    case sound(MirrorRecord)
    case foreign
    case unknownVersion(UInt32)
    case damaged(String)
  }

  /// `bits` gives the bytes behind the header, as many as asked for, or fewer where the file ends.
  static func reading(
    _ bytes: [UInt8], bits: (_ count: Int) throws(Errno) -> [UInt8]
  ) throws(Errno) -> Reading {
    guard bytes.count == headerSize, bytes.starts(with: magic) else { return .foreign }
    let fields = Fields(bytes)
    guard fields.little(UInt64.self, at: 4088) == checksum(bytes[..<4088]) else {
      return .damaged("wrong checksum")
    }
    let version = fields.little(UInt32.self, at: 8)
    guard version == Self.version else { return .unknownVersion(version) }
    let shift = fields.little(UInt32.self, at: 12)
    let size = fields.little(UInt64.self, at: 16)
    guard regionShifts.contains(shift) else { return .damaged("regions of 2^\(shift) bytes") }
    guard size > 0, size % sectorSize == 0, size <= 1 << 62,
      regionCount(size: size, shift: shift) <= maximumRegions
    else { return .damaged("a disk of \(size) bytes") }
    let sequence = fields.little(UInt64.self, at: 24)
    let generation = fields.little(UInt64.self, at: 32)
    // So that counting on never overflows.
    guard sequence < 1 << 62, generation > 0, generation < 1 << 62 else {
      return .damaged("sequence \(sequence), generation \(generation)")
    }
    var sides: [Side] = []
    for place in sidePlaces {
      let flags = fields.little(UInt32.self, at: place + 24)
      let length = fields.little(UInt32.self, at: place + 28)
      guard flags <= 1, length <= UInt32(nameLength) else { return .damaged("a side's flags or name") }
      sides.append(
        Side(
          identity: MirrorIdentity(
            high: fields.little(UInt64.self, at: place + 8), low: fields.little(UInt64.self, at: place)),
          name: String(decoding: bytes[place + 32..<place + 32 + Int(length)], as: UTF8.self),
          generation: fields.little(UInt64.self, at: place + 16), isRebuilding: flags == 1))
    }
    guard sides.allSatisfy({ $0.generation <= generation }),
      sides.contains(where: { $0.generation == generation }),
      sides.allSatisfy({ !$0.isRebuilding || $0.generation < generation })
    else { return .damaged("generations of the sides") }
    guard sides[0].identity != sides[1].identity else { return .damaged("one identity twice") }
    let capacity = Int(regionCount(size: size, shift: shift))
    let contents = try bits(MirrorBits.byteCount(capacity: capacity))
    guard contents.count == MirrorBits.byteCount(capacity: capacity) else { return .damaged("cut short") }
    guard fields.little(UInt64.self, at: 4080) == checksum(contents[...]) else {
      return .damaged("wrong checksum of the regions")
    }
    guard let marks = MirrorBits(capacity: capacity, bytes: contents) else {
      return .damaged("regions behind the end")
    }
    return .sound(
      MirrorRecord(
        regionShift: shift, size: size,
        identity: MirrorIdentity(
          high: fields.little(UInt64.self, at: 48), low: fields.little(UInt64.self, at: 40)),
        sequence: sequence, generation: generation, sides: sides, marks: marks))
  }
}
