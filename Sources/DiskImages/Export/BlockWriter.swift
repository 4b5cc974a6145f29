internal import HostSystem

/// Writes those blocks of a disk that hold something to a file, one behind the other, and keeps which they are. What
/// is not written of a block is a hole.
struct BlockWriter {
  /// Where the first block goes.
  private let start: UInt64
  /// Bytes of the disk in a block.
  let blockSize: UInt64
  /// What stands in front of each block in the file.
  private let prefix: [UInt8]
  private let file: any ImageFile
  /// The numbers on the disk of the blocks in the file, ascending, since writes do.
  private(set) var blocks: [UInt32] = []
  /// All blocks of the disk.
  let diskBlocks: Int

  /// `start` is where the first block goes in the file.
  init(_ file: any ImageFile, size: UInt64, blockSize: UInt64, start: UInt64, prefix: [UInt8] = []) {
    self.file = file
    self.blockSize = blockSize
    self.start = start
    self.prefix = prefix
    diskBlocks = Int((size + blockSize - 1) / blockSize)
  }

  private var stride: UInt64 { UInt64(prefix.count) + blockSize }

  /// Where the file ends.
  var fileEnd: UInt64 { offset(of: blocks.count) }

  /// Where a block begins in the file, with what stands in front of it.
  func offset(of place: Int) -> UInt64 { start + UInt64(place) * stride }

  /// Writes a range inside the disk, behind all that was written.
  mutating func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < buffer.count {
      let position = offset + UInt64(done)
      let block = UInt32(position / blockSize)
      let inBlock = position % blockSize
      let part = Int(min(UInt64(buffer.count - done), blockSize - inBlock))
      if blocks.last != block { try add(block) }
      try file.write(
        at: self.offset(of: blocks.count - 1) + UInt64(prefix.count) + inBlock,
        from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + part]))
      done += part
    }
  }

  private mutating func add(_ block: UInt32) throws(Errno) {
    if !prefix.isEmpty { try file.write(prefix, at: offset(of: blocks.count)) }
    blocks.append(block)
  }
}
