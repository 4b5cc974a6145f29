internal import CLZ4
internal import HostSystem

/// LZ4's legacy frame (lz4_Frame_format.md, "Legacy frame"): a magic number, then blocks with their compressed size in
/// front of them, each of which unpacks to 8 MiB on its own, the last one to less. It has no end mark and no checksum.
enum LZ4LegacyFrame {
  private static let magic: UInt32 = 0x184C_2102
  private static let blockSize = 8 << 20
  /// LZ4_COMPRESSBOUND: what a block takes that cannot be compressed.
  private static let mostCompressed = blockSize + blockSize / 255 + 16

  /// Unpacks until `target` is full, and with `isWhole` until the end, which has to be where `target` ends. Returns
  /// the number of bytes.
  static func decode(
    _ reader: PayloadReader, into target: UnsafeMutableRawBufferPointer, isWhole: Bool
  ) throws(UnpackingError) -> Int {
    guard try number(reader) == magic else { throw .wrong("its magic number is wrong") }
    // A block is unpacked from one piece; what it takes of this is touched, and all blocks use it.
    let input: Mapping
    do throws(Errno) { input = try Mapping.map(size: mostCompressed) } catch {
      throw .boot(.hostRefused("making room for a block", error.description))
    }
    var position = 0
    while reader.remaining > 0 {
      if !isWhole, position == target.count { return position }
      let size = try number(reader)
      // Another frame may follow.
      if size == magic { continue }
      guard size <= mostCompressed else { throw .wrong("a block of \(size) bytes") }
      let block = UnsafeMutableRawBufferPointer(start: input.base, count: Int(size))
      try reader.read(into: block)
      let room = min(target.count - position, blockSize)
      let got = unpack(
        UnsafeRawBufferPointer(block),
        into: UnsafeMutableRawBufferPointer(rebasing: target[position..<position + room]), isWhole: isWhole)
      guard let got else {
        throw isWhole && room < blockSize
          ? .wrong("its data are wrong or too long") : .wrong("its data are wrong")
      }
      position += got
    }
    if isWhole, position < target.count { throw .tooShort(position, target.count) }
    return position
  }

  /// Unpacks a block; one that is longer than `target` is an error only with `isWhole`.
  private static func unpack(
    _ block: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer, isWhole: Bool
  ) -> Int? {
    guard let source = block.baseAddress?.assumingMemoryBound(to: CChar.self),
      let destination = target.baseAddress?.assumingMemoryBound(to: CChar.self)
    else { return nil }
    let (count, room) = (Int32(block.count), Int32(target.count))
    let got =
      isWhole
      ? LZ4_decompress_safe(source, destination, count, room)
      : LZ4_decompress_safe_partial(source, destination, count, room, room)
    return got < 0 ? nil : Int(got)
  }

  private static func number(_ reader: PayloadReader) throws(UnpackingError) -> UInt32 {
    var value: UInt32 = 0
    var failure: UnpackingError?
    withUnsafeMutableBytes(of: &value) { bytes in
      do throws(UnpackingError) { try reader.read(into: bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    return UInt32(littleEndian: value)
  }
}
