internal import CZlib

/// gzip (RFC 1952) by zlib, whose window of 32 KiB is the only copy.
final class GzipDecoder: StreamDecoder {
  /// The library's state points back to this, so it stays where it is.
  private let stream: UnsafeMutablePointer<z_stream>

  init() throws(UnpackingError) {
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // The greatest window, and 16 for a gzip header around it.
    let status = inflateInit2_(
      stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw .wrong("no memory for it") }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at position: inout Int
  ) throws(UnpackingError) -> (consumed: Int, hasEnded: Bool) {
    let room = UInt32(clamping: output.count - position)
    let available = UInt32(clamping: input.count)
    stream.pointee.next_in = UnsafeMutablePointer(
      mutating: input.baseAddress?.assumingMemoryBound(to: UInt8.self))
    stream.pointee.avail_in = available
    stream.pointee.next_out = output.baseAddress?.advanced(by: position).assumingMemoryBound(to: UInt8.self)
    stream.pointee.avail_out = room
    let status = inflate(stream, Z_NO_FLUSH)
    position += Int(room - stream.pointee.avail_out)
    let consumed = Int(available - stream.pointee.avail_in)
    switch status {
    // Z_BUF_ERROR: nothing could be done.
    case Z_OK, Z_BUF_ERROR: return (consumed, false)
    case Z_STREAM_END: return (consumed, true)
    default: throw .wrong(stream.pointee.msg.map { String(cString: $0) } ?? "error \(status) of zlib")
    }
  }
}
