internal import CZlib
internal import CZstandard
package import HostSystem

/// What an archive is packed with.
package enum ArchiveCompression: String, CaseIterable, Sendable {
  case none, gzip, zstd
}

/// Packs what goes through it (RFC 1952, RFC 8878).
package final class PackingSink: ByteSink {
  /// Less than what the programs of these names do by themselves: a disk's contents are much.
  private static let level: Int32 = 3
  private static let pieceSize = 256 << 10

  private enum Packer {
    case none
    case gzip(UnsafeMutablePointer<z_stream>)
    case zstd(OpaquePointer)
  }

  private let target: any ByteSink
  private let packer: Packer
  private var room = [UInt8](repeating: 0, count: pieceSize)

  package init(_ target: any ByteSink, _ compression: ArchiveCompression) throws(Errno) {
    self.target = target
    switch compression {
    case .none: packer = .none
    case .gzip:
      let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
      stream.initialize(to: z_stream())
      packer = .gzip(stream)
      // Sixteen more mean gzip's header.
      let status = deflateInit2_(
        stream, Self.level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size))
      if status != Z_OK { throw .noMemory }
    case .zstd:
      guard let context = ZSTD_createCCtx() else { throw .noMemory }
      packer = .zstd(context)
      ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Self.level)
      ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
    }
  }

  deinit {
    switch packer {
    case .none: break
    case .gzip(let stream):
      deflateEnd(stream)
      stream.deallocate()
    case .zstd(let context): ZSTD_freeCCtx(context)
    }
  }

  package func append(_ bytes: UnsafeRawBufferPointer) throws(Errno) { try pack(bytes, isLast: false) }

  /// Writes what is still held back. Nothing may follow.
  package func finish() throws(Errno) { try pack(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true) }

  private func pack(_ bytes: UnsafeRawBufferPointer, isLast: Bool) throws(Errno) {
    switch packer {
    case .none: if bytes.count > 0 { try target.append(bytes) }
    case .gzip(let stream): try deflate(stream, bytes, isLast)
    case .zstd(let context): try compress(context, bytes, isLast)
    }
  }

  private func deflate(
    _ stream: UnsafeMutablePointer<z_stream>, _ bytes: UnsafeRawBufferPointer, _ isLast: Bool
  ) throws(Errno) {
    var place = 0
    repeat {
      let count = min(bytes.count - place, 1 << 30)
      stream.pointee.next_in = UnsafeMutablePointer(
        mutating: bytes.baseAddress.map { ($0 + place).assumingMemoryBound(to: UInt8.self) })
      stream.pointee.avail_in = UInt32(count)
      place += count
      var isFull = true
      while isFull {
        let made = room.withUnsafeMutableBufferPointer { room in
          stream.pointee.next_out = room.baseAddress
          stream.pointee.avail_out = UInt32(room.count)
          _ = CZlib.deflate(stream, isLast ? Z_FINISH : Z_NO_FLUSH)
          return room.count - Int(stream.pointee.avail_out)
        }
        isFull = made == room.count
        try hand(made)
      }
    } while place < bytes.count
  }

  private func compress(
    _ context: OpaquePointer, _ bytes: UnsafeRawBufferPointer, _ isLast: Bool
  ) throws(Errno) {
    var input = ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
    while true {
      let (status, made) = room.withUnsafeMutableBytes { room in
        var output = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let status = ZSTD_compressStream2(context, &output, &input, isLast ? ZSTD_e_end : ZSTD_e_continue)
        return (status, output.pos)
      }
      guard ZSTD_isError(status) == 0 else { throw .io }
      try hand(made)
      if isLast ? status == 0 : input.pos == input.size { return }
    }
  }

  private func hand(_ count: Int) throws(Errno) {
    if count == 0 { return }
    try room.withUnsafeBufferPointer { (bytes) throws(Errno) in
      try target.append(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[..<count])))
    }
  }
}
