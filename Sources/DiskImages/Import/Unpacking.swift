internal import CZlib
internal import CZstandard
package import HostSystem

/// Unpacks a file from its beginning to its end (RFC 1952, RFC 8878). What comes out of it has no bound: whoever takes
/// it says when it is enough.
package enum Unpacking {
  package enum Failure: Error, Equatable, Sendable {
    case reading(Errno)
    /// What is there is no such stream, or ends in the middle of one.
    case damaged
    /// Whoever takes it does not want more.
    case stopped
  }

  private static let pieceSize = 256 << 10
  /// As zstd(1) has it: more memory than this no archive may ask for.
  private static let longestWindow: Int32 = 27

  /// By the file's first bytes; nil for what nothing here reads.
  package static func compression(of file: any ImageFile) throws(Errno) -> ArchiveCompression? {
    var bytes = [UInt8](repeating: 0, count: Int(min(512, try file.size())))
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(Errno) in
      try file.read(at: 0, into: UnsafeMutableRawBufferPointer(buffer))
    }
    if bytes.starts(with: [0x1F, 0x8B]) { return .gzip }
    if bytes.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .zstd }
    return bytes.dropFirst(257).starts(with: "ustar".utf8) ? ArchiveCompression.none : nil
  }

  /// Calls `take` with all that comes out, piece by piece, until it says that it wants no more.
  package static func run(
    _ file: any ImageFile, _ compression: ArchiveCompression, take: (UnsafeRawBufferPointer) -> Bool
  ) throws(Failure) {
    switch compression {
    case .none:
      try pieces(of: file) { (piece) throws(Failure) in
        if !take(UnsafeRawBufferPointer(piece)) { throw .stopped }
      }
    case .gzip: try inflate(file, take)
    case .zstd: try expand(file, take)
    }
  }

  private static func pieces(
    of file: any ImageFile, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    let size: UInt64
    do { size = try file.size() } catch { throw .reading(error) }
    var buffer = [UInt8](repeating: 0, count: pieceSize)
    var place: UInt64 = 0
    while place < size {
      let count = Int(min(UInt64(pieceSize), size - place))
      try buffer.withUnsafeMutableBufferPointer { (buffer) throws(Failure) in
        let piece = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
        do throws(Errno) { try file.read(at: place, into: piece) } catch { throw .reading(error) }
        try body(piece)
      }
      place += UInt64(count)
    }
  }

  private static func inflate(
    _ file: any ImageFile, _ take: (UnsafeRawBufferPointer) -> Bool
  ) throws(Failure) {
    let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    stream.initialize(to: z_stream())
    defer { stream.deallocate() }
    let status = inflateInit2_(stream, MAX_WBITS + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else { throw .reading(.noMemory) }
    defer { inflateEnd(stream) }
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
    defer { room.deallocate() }
    var isWhole = false
    try pieces(of: file) { (piece) throws(Failure) in
      stream.pointee.next_in = piece.baseAddress?.assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_in = UInt32(piece.count)
      var isFull = false
      while stream.pointee.avail_in > 0 || isFull {
        // Another may follow the end of one.
        if isWhole {
          if stream.pointee.avail_in == 0 { break }
          guard inflateReset(stream) == Z_OK else { throw .damaged }
          isWhole = false
        }
        stream.pointee.next_out = room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        stream.pointee.avail_out = UInt32(room.count)
        let status = CZlib.inflate(stream, Z_NO_FLUSH)
        guard status == Z_OK || status == Z_STREAM_END || status == Z_BUF_ERROR else { throw .damaged }
        isWhole = status == Z_STREAM_END
        let made = room.count - Int(stream.pointee.avail_out)
        isFull = stream.pointee.avail_out == 0
        if status == Z_BUF_ERROR, made == 0, stream.pointee.avail_in > 0 { throw .damaged }
        if made > 0, !take(UnsafeRawBufferPointer(rebasing: room[..<made])) { throw .stopped }
      }
    }
    if !isWhole { throw .damaged }
  }

  private static func expand(
    _ file: any ImageFile, _ take: (UnsafeRawBufferPointer) -> Bool
  ) throws(Failure) {
    guard let context = ZSTD_createDCtx() else { throw .reading(.noMemory) }
    defer { ZSTD_freeDCtx(context) }
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, longestWindow)
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceSize, alignment: 16)
    defer { room.deallocate() }
    var isWhole = false
    try pieces(of: file) { (piece) throws(Failure) in
      var input = ZSTD_inBuffer(src: piece.baseAddress, size: piece.count, pos: 0)
      var isFull = false
      while input.pos < input.size || isFull {
        var output = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let status = ZSTD_decompressStream(context, &output, &input)
        guard ZSTD_isError(status) == 0 else { throw .damaged }
        isWhole = status == 0
        isFull = output.pos == output.size && !isWhole
        if output.pos > 0, !take(UnsafeRawBufferPointer(rebasing: room[..<output.pos])) { throw .stopped }
      }
    }
    if !isWhole { throw .damaged }
  }
}
