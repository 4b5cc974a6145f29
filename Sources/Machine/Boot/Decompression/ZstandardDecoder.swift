internal import CZstandard

/// Zstandard (RFC 8878) by libzstd.
final class ZstandardDecoder: StreamDecoder {
  private let stream: OpaquePointer

  /// A decoder which, with `keepsOutput`, may look back into the output, so that it keeps no window of its own; the
  /// output has to hold the whole frame then.
  init(keepsOutput: Bool) throws(UnpackingError) {
    guard let stream = ZSTD_createDStream() else { throw .wrong("no memory for it") }
    self.stream = stream
    // ZSTD_d_stableOutBuffer.
    if keepsOutput { _ = ZSTD_DCtx_setParameter(stream, ZSTD_d_experimentalParam2, 1) }
  }

  deinit { ZSTD_freeDStream(stream) }

  func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at position: inout Int
  ) throws(UnpackingError) -> (consumed: Int, hasEnded: Bool) {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: position)
    // How much input would be good next; 0 at the end of the frame.
    let hint = ZSTD_decompressStream(stream, &target, &source)
    guard ZSTD_isError(hint) == 0 else { throw .wrong(String(cString: ZSTD_getErrorName(hint))) }
    position = target.pos
    return (source.pos, hint == 0)
  }
}
