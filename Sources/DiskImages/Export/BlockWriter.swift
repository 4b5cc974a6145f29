internal import HostSystem

/// Writes blocks of one size to a file in the order in which they are first written to, and keeps where each is.
/// What is not written of a block is a hole.
struct BlockWriter {
  /// Where the first block goes.
  private let start: UInt64
  /// Bytes of the disk in a block.
  let blockSize: UInt64
  /// What stands in front of each block in the file.
  private let prefix: [UInt8]
  private let file: any ImageFile
  /// The number of each block of the disk in the file; nil when it is not there.
  private(set) var places: [UInt32?]
  private(set) var count: UInt32 = 0

  /// `start` is where the first block goes in the file.
  init(_ file: any ImageFile, size: UInt64, blockSize: UInt64, start: UInt64, prefix: [UInt8] = []) {
    self.file = file
    self.blockSize = blockSize
    self.start = start
    self.prefix = prefix
    places = Array(repeating: nil, count: Int((size + blockSize - 1) / blockSize))
  }

  private var stride: UInt64 { UInt64(prefix.count) + blockSize }

  /// Where the file ends.
  var fileEnd: UInt64 { start + UInt64(count) * stride }

  /// Where a block begins in the file, with what stands in front of it.
  func offset(of place: UInt32) -> UInt64 { start + UInt64(place) * stride }

  /// Writes a range inside the disk.
  mutating func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < buffer.count {
      let position = offset + UInt64(done)
      let block = Int(position / blockSize)
      let inBlock = position % blockSize
      let part = Int(min(UInt64(buffer.count - done), blockSize - inBlock))
      let place = if let place = places[block] { place } else { try add(block) }
      try file.write(
        at: self.offset(of: place) + UInt64(prefix.count) + inBlock,
        from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + part]))
      done += part
    }
  }

  private mutating func add(_ block: Int) throws(Errno) -> UInt32 {
    let place = count
    if !prefix.isEmpty { try file.write(prefix, at: offset(of: place)) }
    places[block] = place
    count += 1
    return place
  }
}

extension ImageFile {
  func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Errno) in
      try write(at: offset, from: UnsafeRawBufferPointer(bytes))
    }
  }
}
