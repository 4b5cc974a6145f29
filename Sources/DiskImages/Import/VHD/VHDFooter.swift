/// The 512 bytes that end a disk image of Virtual PC's and, where it is dynamic, begin it too: big-endian numbers
/// (Microsoft, Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format").
struct VHDFooter: Equatable {
  static let byteCount = 512
  static let cookie = "conectix"
  static let none = UInt64.max
  /// The most that a geometry can say.
  static let mostCylinders: UInt64 = 65535

  enum Kind: UInt32 {
    case fixed = 2
    case dynamic = 3
  }

  var kind: Kind
  /// Where the header of a dynamic disk is; ``none`` of fixed ones.
  var dataOffset: UInt64
  /// Bytes.
  var currentSize: UInt64
  var cylinders: UInt16
  var heads: UInt8
  var sectorsPerTrack: UInt8
  /// Who wrote it, in four letters.
  var creator: String
  var identity = [UInt8](repeating: 0, count: 16)

  var geometrySize: UInt64 {
    UInt64(cylinders) * UInt64(heads) * UInt64(sectorsPerTrack) * 512
  }

  /// The disk's size. Virtual PC gives a machine what the geometry says, which may be less than the size; QEMU does
  /// the same, and writes a geometry that fits. Whoever else writes the format means the size. A disk larger than
  /// any geometry has the largest one, which then says nothing.
  var diskSize: UInt64 {
    let isLargest = UInt64(cylinders) == Self.mostCylinders && heads == 16
    guard ["vpc ", "qemu"].contains(creator), !isLargest, geometrySize > 0 else { return currentSize }
    return geometrySize
  }

  /// Reads a footer; nil when it is none, or its checksum is wrong.
  static func isSound(_ fields: Fields) -> Bool {
    fields.has(cookie, at: 0) && fields.big(UInt32.self, at: 64) == checksum(fields.bytes, at: 64)
  }

  /// Reads a footer that ``isSound(_:)``, and that anybody may have written all the same.
  init(decoding fields: Fields, of source: ImportFile) throws(DiskImageError) {
    let version = fields.big(UInt32.self, at: 12)
    guard version >> 16 == 1 else { throw source.unsupported("version \(version >> 16).\(version & 0xFFFF)") }
    let type = fields.big(UInt32.self, at: 60)
    if type == 4 { throw .backingMissing(name: source.name, backing: "another image") }
    guard let kind = Kind(rawValue: type) else { throw source.damaged("type \(type)") }
    self.kind = kind
    dataOffset = fields.big(UInt64.self, at: 16)
    currentSize = fields.big(UInt64.self, at: 48)
    cylinders = fields.big(UInt16.self, at: 56)
    heads = fields.bytes[58]
    sectorsPerTrack = fields.bytes[59]
    creator = String(decoding: fields.bytes[28..<32], as: UTF8.self)
    identity = Array(fields.bytes[68..<84])
  }

  /// A footer for a disk that is written here. `size` is bytes.
  init(kind: Kind, size: UInt64, identity: [UInt8]) {
    self.kind = kind
    dataOffset = kind == .fixed ? Self.none : 512
    currentSize = size
    (cylinders, heads, sectorsPerTrack) = Self.geometry(sectors: size / 512)
    // QEMU takes the geometry for the size unless Windows wrote the file.
    creator = "win "
    self.identity = identity
  }

  /// The geometry of a disk of that many sectors (the specification's appendix "CHS Calculation").
  static func geometry(sectors: UInt64) -> (cylinders: UInt16, heads: UInt8, sectorsPerTrack: UInt8) {
    let total = min(sectors, mostCylinders * 16 * 255)
    var heads: UInt64 = 16
    var perTrack: UInt64
    if total >= mostCylinders * 16 * 63 {
      perTrack = 255
    } else {
      perTrack = 17
      heads = max(4, (total / perTrack + 1023) / 1024)
      if total / perTrack >= heads * 1024 || heads > 16 {
        perTrack = 31
        heads = 16
      }
      if total / perTrack >= heads * 1024 {
        perTrack = 63
        heads = 16
      }
    }
    return (UInt16(min(mostCylinders, total / perTrack / heads)), UInt8(heads), UInt8(perTrack))
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.set(Self.cookie, at: 0)
    // A bit that is always set.
    bytes.setBig(UInt32(2), at: 8)
    bytes.setBig(UInt32(0x0001_0000), at: 12)
    bytes.setBig(dataOffset, at: 16)
    bytes.set(creator, at: 28)
    bytes.setBig(UInt32(0x0001_0000), at: 32)
    // The hosts that the specification knows are Windows and Macintosh.
    bytes.set("Wi2k", at: 36)
    bytes.setBig(currentSize, at: 40)
    bytes.setBig(currentSize, at: 48)
    bytes.setBig(cylinders, at: 56)
    bytes[58] = heads
    bytes[59] = sectorsPerTrack
    bytes.setBig(kind.rawValue, at: 60)
    bytes.replaceSubrange(68..<84, with: identity)
    bytes.setBig(Self.checksum(bytes, at: 64), at: 64)
    return bytes
  }

  /// The complement of the sum of all bytes but the checksum's own four.
  static func checksum(_ bytes: [UInt8], at place: Int) -> UInt32 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() where index < place || index >= place + 4 { sum &+= UInt32(byte) }
    return ~sum
  }
}
