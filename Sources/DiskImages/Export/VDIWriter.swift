internal import HostSystem

/// Writes a disk as VirtualBox's dynamic image (``VDIHeader``), in blocks of 1 MiB.
final class VDIWriter: ImageWriter {
  static let blockSize: UInt64 = 1 << 20
  /// So that the map, which is kept in memory, has 64 MiB at most.
  static let mostBytes: UInt64 = 16 << 40
  let size: UInt64
  private let file: any ImageFile
  private var header: VDIHeader
  private var blocks: BlockWriter
  private var end: UInt64 = 0

  /// `identity` has 32 bytes: two UUIDs.
  init(_ file: any ImageFile, size: UInt64, identity: [UInt8]) throws(Errno) {
    self.file = file
    self.size = size
    header = VDIHeader(
      kind: .dynamic, size: size, blockSize: UInt32(Self.blockSize),
      blockCount: UInt32((size + Self.blockSize - 1) / Self.blockSize))
    header.identity = identity
    blocks = BlockWriter(file, size: size, blockSize: Self.blockSize, start: UInt64(header.dataOffset))
    try file.resize(to: 0)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    try blocks.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) {
    try file.resize(to: blocks.fileEnd)
    var map = [UInt8](repeating: 0xFF, count: 4 * blocks.diskBlocks)
    for (place, block) in blocks.blocks.enumerated() { map.setLittle(UInt32(place), at: 4 * Int(block)) }
    try file.write(map, at: UInt64(header.mapOffset))
    header.allocatedCount = UInt32(blocks.blocks.count)
    try file.write(header.encoded(), at: 0)
    try file.sync()
  }
}
