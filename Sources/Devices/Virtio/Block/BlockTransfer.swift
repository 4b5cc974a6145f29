internal import GuestMemory
internal import HostSystem

/// Moves data between requests and storage: directly when every buffer is whole sectors, else
/// through a bounded buffer.
struct BlockTransfer {
  private static let chunk = 64 << 10
  private let storage: any BlockStorage

  init(storage: any BlockStorage) { self.storage = storage }

  /// Reads `count` bytes into the request's room.
  func read(at offset: UInt64, _ count: Int, _ writer: inout ChainWriter) throws(Errno) {
    // The usual one, of whole sectors in one piece.
    if try writer.withBuffer(
      count, { (buffer) throws(Errno) in try storage.read(at: offset, into: buffer) })
    {
      return
    }
    if writer.parts(count).allSatisfy({ $0.count % BlockRequest.sectorSize == 0 }) {
      try writer.withBuffers(count) { buffers throws(Errno) in
        try storage.read(at: offset, into: buffers)
        return count
      }
      return
    }
    try eachChunk(offset, count) { storage, offset, chunk throws(Errno) in
      try storage.read(at: offset, into: chunk)
      writer.write(UnsafeRawBufferPointer(chunk))
    }
  }

  /// Writes all that is left of the request's data.
  func write(at offset: UInt64, _ reader: inout ChainReader) throws(Errno) {
    if try reader.withBuffer(
      reader.remaining, { (buffer) throws(Errno) in try storage.write(at: offset, from: buffer) })
    {
      return
    }
    if reader.parts().allSatisfy({ $0.count % BlockRequest.sectorSize == 0 }) {
      try reader.withBuffers { buffers throws(Errno) in try storage.write(at: offset, from: buffers) }
      return
    }
    try eachChunk(offset, reader.remaining) { storage, offset, chunk throws(Errno) in
      reader.read(into: chunk)
      try storage.write(at: offset, from: UnsafeRawBufferPointer(chunk))
    }
  }

  private func eachChunk(
    _ offset: UInt64, _ count: Int,
    _ body: (any BlockStorage, UInt64, UnsafeMutableRawBufferPointer) throws(Errno) -> Void
  ) throws(Errno) {
    var bounce = [UInt8](repeating: 0, count: min(count, Self.chunk))
    var done = 0
    while done < count {
      let step = min(Self.chunk, count - done)
      let result = bounce.withUnsafeMutableBytes { bytes in
        Result { () throws(Errno) in
          try body(
            storage, offset + UInt64(done), UnsafeMutableRawBufferPointer(rebasing: bytes[..<step]))
        }
      }
      try result.get()
      done += step
    }
  }
}
