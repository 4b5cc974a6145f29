/// The header of a hosted sparse extent, and its copy at the end of a stream: 512 bytes, little-endian
/// (VMware, Virtual Disk Format 5.0, "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents").
struct VMDKHeader: Equatable {
  static let byteCount = 512
  static let magic = "KDMV"
  /// The place of the grain directory that says: the copy of the header at the end has it.
  static let directoryAtEnd = UInt64.max
  /// What the grain tables of all that write this format have.
  static let usualTableEntries: UInt32 = 512
  private static let mostSectors: UInt64 = 1 << 37  // 64 TiB

  static let hasNewLineTest: UInt32 = 1 << 0
  static let hasRedundantTables: UInt32 = 1 << 1
  static let hasZeroedGrains: UInt32 = 1 << 2
  static let isCompressed: UInt32 = 1 << 16
  static let hasMarkers: UInt32 = 1 << 17
  private static let knownFlags =
    hasNewLineTest | hasRedundantTables | hasZeroedGrains | isCompressed | hasMarkers

  var version: UInt32
  var flags: UInt32
  /// Sectors of the disk.
  var capacity: UInt64
  /// Sectors of a grain.
  var grainSize: UInt64
  /// Sectors.
  var descriptorOffset: UInt64
  var descriptorSize: UInt64
  var tableEntries: UInt32
  /// Sectors.
  var directoryOffset: UInt64

  /// Sectors that the grains of one grain table hold.
  var tableCoverage: UInt64 { grainSize * UInt64(tableEntries) }
  var tableCount: UInt64 { (capacity + tableCoverage - 1) / tableCoverage }

  init(capacity: UInt64, grainSize: UInt64, flags: UInt32) {
    version = 3
    self.flags = flags
    self.capacity = capacity
    self.grainSize = grainSize
    descriptorOffset = 0
    descriptorSize = 0
    tableEntries = Self.usualTableEntries
    directoryOffset = Self.directoryAtEnd
  }

  /// Reads a header that anybody may have written. What it says of places is checked where they are used.
  init(decoding fields: Fields, of source: ImportFile) throws(DiskImageError) {
    guard fields.has(Self.magic, at: 0) else {
      if fields.has("COWD", at: 0) {
        throw source.unsupported("the layout of ESX (COWD)")
      }
      throw source.damaged("it does not begin as one")
    }
    version = fields.little(UInt32.self, at: 4)
    flags = fields.little(UInt32.self, at: 8)
    capacity = fields.little(UInt64.self, at: 12)
    grainSize = fields.little(UInt64.self, at: 20)
    descriptorOffset = fields.little(UInt64.self, at: 28)
    descriptorSize = fields.little(UInt64.self, at: 36)
    tableEntries = fields.little(UInt32.self, at: 44)
    directoryOffset = fields.little(UInt64.self, at: 56)
    guard (1...3).contains(version) else { throw source.unsupported("version \(version) of its header") }
    guard flags & ~Self.knownFlags == 0 else {
      throw source.unsupported("the flags 0x" + String(flags & ~Self.knownFlags, radix: 16))
    }
    // A transfer as text turns one into another.
    if flags & Self.hasNewLineTest != 0, fields.bytes[73..<77] != [0x0A, 0x20, 0x0D, 0x0A] {
      throw source.damaged("its line ends were changed, as by a transfer as text")
    }
    guard capacity > 0, capacity <= Self.mostSectors else {
      throw source.damaged("a disk of \(capacity) sectors")
    }
    guard (1...32768).contains(grainSize), grainSize & (grainSize - 1) == 0 else {
      throw source.damaged("grains of \(grainSize) sectors")
    }
    guard (1...4096).contains(tableEntries) else {
      throw source.damaged("grain tables of \(tableEntries) entries")
    }
    let compression = fields.little(UInt16.self, at: 77)
    guard compression <= 1 else { throw source.unsupported("compression \(compression)") }
    if flags & Self.isCompressed != 0 {
      guard compression == 1 else { throw source.damaged("compressed grains without a compression") }
      guard flags & Self.hasMarkers != 0 else {
        throw source.unsupported("compressed grains without markers")
      }
    }
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.set(Self.magic, at: 0)
    bytes.setLittle(version, at: 4)
    bytes.setLittle(flags, at: 8)
    bytes.setLittle(capacity, at: 12)
    bytes.setLittle(grainSize, at: 20)
    bytes.setLittle(descriptorOffset, at: 28)
    bytes.setLittle(descriptorSize, at: 36)
    bytes.setLittle(tableEntries, at: 44)
    bytes.setLittle(directoryOffset, at: 56)
    // The first grain's place.
    bytes.setLittle(UInt64(Self.overhead), at: 64)
    bytes.set("\n \r\n", at: 73)
    bytes.setLittle(UInt16(flags & Self.isCompressed != 0 ? 1 : 0), at: 77)
    return bytes
  }

  /// Sectors in front of the first grain in what this program writes.
  static let overhead = 128
}
