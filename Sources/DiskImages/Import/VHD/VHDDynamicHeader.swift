/// What a dynamic disk has beside its footer: where its block allocation table is, and how large blocks are
/// (Virtual Hard Disk Image Format Specification 1.0, "Dynamic Disk Header Format").
struct VHDDynamicHeader {
  static let byteCount = 1024
  static let cookie = "cxsparse"
  static let usualBlockSize: UInt32 = 2 << 20
  /// In the table: a block that is not in the file.
  static let unused: UInt32 = 0xFFFF_FFFF

  /// Where the table begins.
  var tableOffset: UInt64
  var tableEntries: UInt32
  /// Bytes.
  var blockSize: UInt32

  /// Bytes of the bitmap in front of a block's data, which has a bit for each of its sectors.
  var bitmapSize: UInt64 { (UInt64(blockSize) / 512 / 8 + 511) / 512 * 512 }

  init(tableOffset: UInt64, tableEntries: UInt32, blockSize: UInt32) {
    self.tableOffset = tableOffset
    self.tableEntries = tableEntries
    self.blockSize = blockSize
  }

  /// Reads a header that anybody may have written.
  init(decoding fields: Fields, of source: ImportFile) throws(DiskImageError) {
    guard fields.has(Self.cookie, at: 0) else {
      throw source.damaged("the header of a dynamic disk is not there")
    }
    guard fields.big(UInt32.self, at: 36) == VHDFooter.checksum(fields.bytes, at: 36) else {
      throw source.damaged("wrong checksum of its header")
    }
    let version = fields.big(UInt32.self, at: 24)
    guard version >> 16 == 1 else { throw source.unsupported("version \(version >> 16) of its header") }
    tableOffset = fields.big(UInt64.self, at: 16)
    tableEntries = fields.big(UInt32.self, at: 28)
    blockSize = fields.big(UInt32.self, at: 32)
    guard blockSize >= 512, blockSize <= 64 << 20, blockSize & (blockSize - 1) == 0 else {
      throw source.damaged("blocks of \(blockSize) bytes")
    }
    guard tableOffset % 512 == 0, source.holds(tableOffset, 4 * UInt64(tableEntries)) else {
      throw source.damaged("its block allocation table is not inside the file")
    }
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.set(Self.cookie, at: 0)
    bytes.setBig(UInt64.max, at: 8)
    bytes.setBig(tableOffset, at: 16)
    bytes.setBig(UInt32(0x0001_0000), at: 24)
    bytes.setBig(tableEntries, at: 28)
    bytes.setBig(blockSize, at: 32)
    bytes.setBig(VHDFooter.checksum(bytes, at: 36), at: 36)
    return bytes
  }
}
