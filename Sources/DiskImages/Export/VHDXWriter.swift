internal import HostSystem

/// Writes a disk as Hyper-V's dynamic image ([MS-VHDX]): in the first MiB identifier, headers and region tables, then
/// a log that is empty, the metadata, the block allocation table, the blocks.
final class VHDXWriter: ImageWriter {
  static let mostBytes: UInt64 = 64 << 40
  private static let unit: UInt64 = 1 << 20
  let size: UInt64
  private let file: any ImageFile
  private let identity: [UInt8]
  private let metadata: VHDXMetadata
  private let regions: VHDXRegions
  private var blocks: BlockWriter
  private var end: UInt64 = 0

  /// `identity` has 48 bytes: of the disk, of the file's last change, of its data's.
  init(_ file: any ImageFile, size: UInt64, identity: [UInt8]) throws(Errno) {
    self.file = file
    self.size = size
    self.identity = identity
    // As small as leaves a million blocks, so that little that is empty is kept.
    var blockSize = Self.unit
    while size / blockSize > 1 << 20 { blockSize *= 2 }
    metadata = VHDXMetadata(blockSize: UInt32(blockSize), diskSize: size)
    let tableSize = (8 * metadata.tableEntries + Self.unit - 1) / Self.unit * Self.unit
    regions = VHDXRegions(
      blockTable: .init(offset: 3 * Self.unit, length: UInt32(tableSize)),
      metadata: .init(offset: 2 * Self.unit, length: UInt32(Self.unit)))
    blocks = BlockWriter(file, size: size, blockSize: blockSize, start: 3 * Self.unit + tableSize)
    try file.resize(to: 0)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    try blocks.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) {
    try file.resize(to: blocks.fileEnd)
    var table = [UInt8](repeating: 0, count: 8 * Int(metadata.tableEntries))
    func set(_ block: Int, _ entry: UInt64) {
      table.setLittle(entry, at: 8 * (block + block / Int(metadata.chunkRatio)))
    }
    for block in 0..<blocks.diskBlocks { set(block, VHDXImage.BlockState.zero.rawValue) }
    for (place, block) in blocks.blocks.enumerated() {
      // Whole MiB, so that the state has its three bits.
      set(Int(block), blocks.offset(of: place) | VHDXImage.BlockState.fullyPresent.rawValue)
    }
    try file.write(table, at: regions.blockTable.offset)
    try file.write(metadata.encoded(identity: Array(identity[..<16])), at: regions.metadata.offset)
    var start = [UInt8](repeating: 0, count: 64 << 10)
    start.set("vhdxfile", at: 0)
    for (index, unit) in "Volary".utf16.enumerated() { start.setLittle(unit, at: 8 + 2 * index) }
    try file.write(start, at: 0)
    var header = VHDXHeader(logOffset: Self.unit, logLength: UInt32(Self.unit))
    header.fileWrite = VHDXIdentifier(identity[16..<32])
    header.dataWrite = VHDXIdentifier(identity[32..<48])
    for (index, place) in VHDXHeader.places.enumerated() {
      header.sequence = UInt64(index + 1)
      try file.write(header.encoded(), at: place)
    }
    for place in VHDXRegions.places { try file.write(regions.encoded(), at: place) }
    try file.sync()
  }
}
