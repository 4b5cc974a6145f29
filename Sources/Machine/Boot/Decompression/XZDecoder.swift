internal import CLZMA

/// xz with its filters (the .xz file format 1.1.0) by liblzma, which keeps a dictionary as large as the file asks for.
final class XZDecoder: StreamDecoder {
  /// Bytes that the dictionary and the decoder may have; Linux is compressed with dictionaries of 32 to 128 MiB.
  private static let memoryLimit: UInt64 = 256 << 20

  private let stream: UnsafeMutablePointer<lzma_stream>

  init() throws(UnpackingError) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: lzma_stream())
    guard lzma_stream_decoder(stream, Self.memoryLimit, 0) == LZMA_OK else {
      throw .wrong("no memory for it")
    }
  }

  deinit {
    lzma_end(stream)
    stream.deallocate()
  }

  func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at position: inout Int
  ) throws(UnpackingError) -> (consumed: Int, hasEnded: Bool) {
    stream.pointee.next_in = input.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_in = input.count
    stream.pointee.next_out = output.baseAddress?.advanced(by: position).assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = output.count - position
    let status = lzma_code(stream, LZMA_RUN)
    position = output.count - stream.pointee.avail_out
    let consumed = input.count - stream.pointee.avail_in
    switch status {
    // LZMA_BUF_ERROR: nothing could be done.
    case LZMA_OK, LZMA_BUF_ERROR: return (consumed, false)
    case LZMA_STREAM_END: return (consumed, true)
    case LZMA_MEMLIMIT_ERROR, LZMA_MEM_ERROR:
      throw .wrong("it wants a dictionary of \(lzma_memusage(stream) >> 20) MiB, more than there is room for")
    case LZMA_DATA_ERROR: throw .wrong("its data are wrong")
    case LZMA_FORMAT_ERROR, LZMA_OPTIONS_ERROR: throw .wrong("its headers are wrong")
    default: throw .wrong("error \(status.rawValue) of liblzma")
    }
  }
}
