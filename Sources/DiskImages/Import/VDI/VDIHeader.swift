/// The beginning of VirtualBox's disk images, version 1.1: little-endian numbers behind 64 bytes of text.
///
/// | bytes | field |
/// | --- | --- |
/// | 64 ..< 68 | signature, 0xBEDA107F |
/// | 68 ..< 72 | version, 0x00010001 |
/// | 72 ..< 76 | bytes of the header from here on, 400 |
/// | 76 ..< 80 | type: 1 dynamic, 2 fixed, 3 undo, 4 differencing |
/// | 340 ..< 348 | where the block map begins, and the blocks |
/// | 368 ..< 376 | bytes of the disk |
/// | 376 ..< 384 | bytes of a block, and bytes in front of each |
/// | 384 ..< 392 | blocks of the disk, and how many are in the file |
/// | 392 ..< 456 | UUIDs: of the image, of its last change, of its parent, of the parent's last change |
struct VDIHeader {
  static let byteCount = 512
  static let signature: UInt32 = 0xBEDA_107F
  static let version: UInt32 = 0x0001_0001
  static let title = "<<< Oracle VM VirtualBox Disk Image >>>\n"
  /// In the block map: a block that is not in the file, and one that was discarded. Both read as zero.
  static let free: UInt32 = 0xFFFF_FFFF
  static let discarded: UInt32 = 0xFFFF_FFFE

  enum Kind: UInt32 {
    case dynamic = 1
    case fixed = 2
  }

  var kind: Kind
  var mapOffset: UInt32
  var dataOffset: UInt32
  var size: UInt64
  var blockSize: UInt32
  var blockCount: UInt32
  var allocatedCount: UInt32 = 0
  var identity: [UInt8] = []

  init(kind: Kind, size: UInt64, blockSize: UInt32, blockCount: UInt32) {
    self.kind = kind
    self.size = size
    self.blockSize = blockSize
    self.blockCount = blockCount
    mapOffset = UInt32(Self.byteCount)
    // The map's end, at a multiple of what disks like.
    let end = UInt64(Self.byteCount) + 4 * UInt64(blockCount)
    dataOffset = UInt32(clamping: (end + 4095) / 4096 * 4096)
  }

  /// Reads a header that anybody may have written.
  init(decoding fields: Fields, of source: ImportFile) throws(DiskImageError) {
    guard fields.little(UInt32.self, at: 64) == Self.signature else {
      throw source.damaged("it does not begin as one")
    }
    let version = fields.little(UInt32.self, at: 68)
    guard version == Self.version else {
      throw source.unsupported("version \(version >> 16).\(version & 0xFFFF)")
    }
    let type = fields.little(UInt32.self, at: 76)
    if type == 3 || type == 4 { throw .backingMissing(name: source.name, backing: "another image") }
    guard let kind = Kind(rawValue: type) else { throw source.damaged("type \(type)") }
    self.kind = kind
    mapOffset = fields.little(UInt32.self, at: 340)
    dataOffset = fields.little(UInt32.self, at: 344)
    size = fields.little(UInt64.self, at: 368)
    blockSize = fields.little(UInt32.self, at: 376)
    blockCount = fields.little(UInt32.self, at: 384)
    allocatedCount = fields.little(UInt32.self, at: 388)
    let extra = fields.little(UInt32.self, at: 380)
    guard extra == 0 else { throw source.unsupported("\(extra) bytes in front of each block") }
    guard blockSize >= 4096, blockSize <= 256 << 20, blockSize & (blockSize - 1) == 0 else {
      throw source.damaged("blocks of \(blockSize) bytes")
    }
    guard size > 0, size <= UInt64(blockCount) * UInt64(blockSize) else {
      throw source.damaged("\(blockCount) blocks for a disk of \(size) bytes")
    }
    guard mapOffset % 512 == 0, dataOffset % 512 == 0, mapOffset >= Self.byteCount,
      source.holds(UInt64(mapOffset), 4 * UInt64(blockCount))
    else { throw source.damaged("its block map is not inside the file") }
    guard UInt64(dataOffset) >= UInt64(mapOffset) + 4 * UInt64(blockCount) else {
      throw source.damaged("its blocks begin within the block map")
    }
    if !fields.bytes[440..<456].allSatisfy({ $0 == 0 }) {
      throw .backingMissing(name: source.name, backing: "another image")
    }
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.set(Self.title, at: 0)
    bytes.setLittle(Self.signature, at: 64)
    bytes.setLittle(Self.version, at: 68)
    bytes.setLittle(UInt32(400), at: 72)
    bytes.setLittle(kind.rawValue, at: 76)
    bytes.setLittle(mapOffset, at: 340)
    bytes.setLittle(dataOffset, at: 344)
    bytes.setLittle(UInt32(512), at: 360)
    bytes.setLittle(size, at: 368)
    bytes.setLittle(blockSize, at: 376)
    bytes.setLittle(blockCount, at: 384)
    bytes.setLittle(allocatedCount, at: 388)
    if identity.count == 32 { bytes.replaceSubrange(392..<424, with: identity) }
    return bytes
  }
}
