internal import Glibc
internal import HostSystem

/// Writes a disk as Virtual PC's dynamic image: a copy of the footer, a header, the block allocation table, blocks
/// of 2 MiB with a bitmap each, the footer (``VHDFooter``, ``VHDDynamicHeader``).
final class VHDWriter: ImageWriter {
  /// 2040 GiB, the format's limit.
  static let mostBytes: UInt64 = 2040 << 30
  let size: UInt64
  private let file: any ImageFile
  private let footer: VHDFooter
  private let header: VHDDynamicHeader
  private var blocks: BlockWriter
  private var end: UInt64 = 0

  /// `identity` has 16 bytes.
  init(_ file: any ImageFile, size: UInt64, identity: [UInt8]) throws(Errno) {
    self.file = file
    self.size = size
    footer = VHDFooter(kind: .dynamic, size: size, identity: identity)
    let blockSize = UInt64(VHDDynamicHeader.usualBlockSize)
    let entries = (size + blockSize - 1) / blockSize
    header = VHDDynamicHeader(
      tableOffset: UInt64(VHDFooter.byteCount + VHDDynamicHeader.byteCount), tableEntries: UInt32(entries),
      blockSize: UInt32(blockSize))
    // Such that data, behind a bitmap of one sector, begin where disks like it.
    let tableEnd = header.tableOffset + 4 * entries
    let start = (tableEnd + header.bitmapSize + 4095) / 4096 * 4096 - header.bitmapSize
    blocks = BlockWriter(
      file, size: size, blockSize: blockSize, start: start,
      prefix: Array(repeating: 0xFF, count: Int(header.bitmapSize)))
    try file.resize(to: 0)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    try blocks.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) {
    var table = [UInt8](repeating: 0xFF, count: (4 * blocks.diskBlocks + 511) / 512 * 512)
    for (place, block) in blocks.blocks.enumerated() {
      guard let sector = UInt32(exactly: blocks.offset(of: place) / 512) else { throw Errno(EFBIG) }
      table.setBig(sector, at: 4 * Int(block))
    }
    try file.write(table, at: header.tableOffset)
    try file.write(header.encoded(), at: UInt64(VHDFooter.byteCount))
    try file.write(footer.encoded(), at: 0)
    try file.write(footer.encoded(), at: blocks.fileEnd)
    try file.sync()
  }
}

/// Writes a disk as Virtual PC's fixed image: its bytes, and the footer.
final class FixedVHDWriter: ImageWriter {
  let size: UInt64
  private let file: any ImageFile
  private let footer: VHDFooter
  private var end: UInt64 = 0

  init(_ file: any ImageFile, size: UInt64, identity: [UInt8]) throws(Errno) {
    self.file = file
    self.size = size
    footer = VHDFooter(kind: .fixed, size: size, identity: identity)
    try file.resize(to: 0)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    try file.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) {
    try file.write(footer.encoded(), at: size)
    try file.sync()
  }
}
