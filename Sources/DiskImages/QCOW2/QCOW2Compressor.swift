internal import CZlib
internal import CZstandard
internal import HostSystem
internal import Synchronization

/// Compressed clusters (section Compressed Clusters Descriptor): raw deflate streams with a window of 4 KiB, or
/// zstd frames. The last one that was read is kept, because guests read less than a cluster at once.
final class QCOW2Compressor: Sendable {
  let kind: QCOW2Options.Compression
  private let clusterSize: Int

  private struct Last: @unchecked Sendable {  // under the lock
    var descriptor: UInt64?
    var contents: QCOW2Buffer?
  }
  private let last = Mutex(Last())

  init(_ kind: QCOW2Options.Compression, clusterSize: Int) {
    self.kind = kind
    self.clusterSize = clusterSize
  }

  /// Fills `buffer` from a compressed cluster, whose first `skipped` bytes are left out. `EIO` unless it expands to
  /// a cluster.
  func read(
    _ descriptor: UInt64, _ range: Range<UInt64>, from file: QCOW2File, skipping skipped: Int,
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    let isDone = last.withLock { last in
      guard last.descriptor == descriptor, let contents = last.contents else { return false }
      buffer.copyMemory(from: UnsafeRawBufferPointer(contents[skipped..<skipped + buffer.count]))
      return true
    }
    if isDone { return }
    // The file may end in the last sector.
    let end = min(range.upperBound, file.size)
    guard range.lowerBound < end, range.upperBound < 1 << 56 else { throw .io }
    let packed = QCOW2Buffer(count: Int(end - range.lowerBound))
    try file.read(at: range.lowerBound, into: packed.bytes)
    let contents = QCOW2Buffer(count: clusterSize)
    let isWhole =
      switch kind {
      case .zlib: inflate(packed.bytes, into: contents.bytes)
      case .zstd: expand(packed.bytes, into: contents.bytes)
      }
    guard isWhole else { throw .io }
    buffer.copyMemory(from: UnsafeRawBufferPointer(contents[skipped..<skipped + buffer.count]))
    last.withLock { $0 = Last(descriptor: descriptor, contents: contents) }
  }

  /// Forgets what was kept: the place in the file may come to hold something else.
  func forget() { last.withLock { $0 = Last() } }

  private func inflate(_ packed: UnsafeMutableRawBufferPointer, into contents: UnsafeMutableRawBufferPointer)
    -> Bool
  {
    var stream = z_stream()
    // A negative window means no header; the largest reads every stream.
    guard inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      return false
    }
    defer { inflateEnd(&stream) }
    stream.next_in = packed.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.avail_in = UInt32(packed.count)
    stream.next_out = contents.baseAddress?.assumingMemoryBound(to: UInt8.self)
    stream.avail_out = UInt32(contents.count)
    // What follows in the last sector is somebody else's, so only the cluster's own end counts.
    let status = CZlib.inflate(&stream, Z_FINISH)
    return (status == Z_STREAM_END || status == Z_BUF_ERROR || status == Z_OK) && stream.avail_out == 0
  }

  private func expand(_ packed: UnsafeMutableRawBufferPointer, into contents: UnsafeMutableRawBufferPointer)
    -> Bool
  {
    guard let context = ZSTD_createDCtx() else { return false }
    defer { ZSTD_freeDCtx(context) }
    // A frame's window is the sender's to choose; no cluster needs more than 8 MiB.
    guard ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 23)) == 0 else { return false }
    var input = ZSTD_inBuffer(src: packed.baseAddress, size: packed.count, pos: 0)
    var output = ZSTD_outBuffer(dst: contents.baseAddress, size: contents.count, pos: 0)
    while output.pos < output.size {
      let before = (input.pos, output.pos)
      let status = ZSTD_decompressStream(context, &output, &input)
      guard ZSTD_isError(status) == 0, (input.pos, output.pos) != before else { return false }
      if status == 0 { break }
    }
    return output.pos == output.size
  }

  /// A cluster's contents, packed; nil where that saves nothing.
  func pack(_ contents: UnsafeRawBufferPointer) -> [UInt8]? {
    switch kind {
    case .zlib: deflated(contents)
    case .zstd:
      {
        var packed = [UInt8](repeating: 0, count: ZSTD_compressBound(contents.count))
        let count = ZSTD_compress(&packed, packed.count, contents.baseAddress, contents.count, 3)
        guard ZSTD_isError(count) == 0, count < contents.count else { return nil }
        packed.removeLast(packed.count - count)
        return packed
      }()
    }
  }

  private func deflated(_ contents: UnsafeRawBufferPointer) -> [UInt8]? {
    var stream = z_stream()
    // The window that readers of this format have.
    guard
      deflateInit2_(
        &stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
        Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { return nil }
    defer { deflateEnd(&stream) }
    var packed = [UInt8](repeating: 0, count: contents.count)
    let status = packed.withUnsafeMutableBufferPointer { output in
      stream.next_in = UnsafeMutablePointer(
        mutating: contents.baseAddress?.assumingMemoryBound(to: UInt8.self))
      stream.avail_in = UInt32(contents.count)
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(output.count)
      return deflate(&stream, Z_FINISH)
    }
    guard status == Z_STREAM_END, stream.avail_out > 0 else { return nil }
    packed.removeLast(Int(stream.avail_out))
    return packed
  }
}
