/// A decoder that takes its input in pieces.
protocol StreamDecoder: AnyObject {
  /// Decodes on until `input` is used up or `output` is full.
  ///
  /// `output` and `position`, the number of bytes in it so far, are the same in all calls but for what the decoder
  /// adds. Returns the bytes consumed, and whether the stream has ended and its checksum is right.
  func step(
    _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer, at position: inout Int
  ) throws(UnpackingError) -> (consumed: Int, hasEnded: Bool)
}
