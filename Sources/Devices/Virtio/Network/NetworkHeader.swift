/// What goes before each frame in a buffer (`virtio_net_hdr`, virtio 1.3 §5.1.6).
struct NetworkHeader {
  static let size = 12
  /// Byte offset of the number of buffers that a received frame takes.
  static let bufferCountOffset = 10

  /// The checksum is partial: from `checksumStart` to the end, to be stored at `checksumOffset`.
  static let needsChecksum: UInt8 = 1
  /// The checksum was found right.
  static let dataValid: UInt8 = 2

  let flags: UInt8
  let segmentation: UInt8
  /// Bytes from the frame's start to where summing starts.
  let checksumStart: UInt16
  /// Bytes from there to the checksum.
  let checksumOffset: UInt16

  /// Takes a header; nil when there are not enough bytes for one.
  init?(_ reader: inout ChainReader) {
    guard let flags = reader.load(UInt8.self), let segmentation = reader.load(UInt8.self),
      reader.load(UInt32.self) != nil,  // header length and segment size: only for segmentation
      let start = reader.load(UInt16.self), let offset = reader.load(UInt16.self),
      reader.load(UInt16.self) != nil
    else { return nil }
    self.flags = flags
    self.segmentation = segmentation
    checksumStart = start
    checksumOffset = offset
  }
}
