/// The compressed kernel in a `bzImage`: a stream, with the number of bytes that it unpacks to in its last four
/// (Documentation/arch/x86/boot.rst, `payload_length`; gzip's own trailer is that number).
struct CompressedPayload: Sendable {
  let compression: Compression
  /// Bytes when it is unpacked, as the file says.
  let size: Int
  private let file: BootFile
  /// Where the stream lies in the file.
  private let range: Range<Int>

  init(_ file: BootFile, range: Range<Int>) throws(BootError) {
    guard range.count >= 16 else { throw .kernelTooShort(bytes: file.size) }
    let start = try file.bytes(range.lowerBound..<range.lowerBound + 8)
    guard let compression = Compression(start: start) else {
      throw .unsupportedCompression("something unknown")
    }
    let trailer = LittleEndianFields(try file.bytes(range.upperBound - 4..<range.upperBound))
    self.file = file
    self.compression = compression
    self.range = compression == .gzip ? range : range.lowerBound..<range.upperBound - 4
    size = Int(trailer.field(UInt32.self, at: 0) ?? 0)
  }

  /// Unpacks the first `count` bytes, or all if there are fewer.
  func start(_ count: Int) throws(BootError) -> [UInt8] {
    try [UInt8](filling: min(count, size)) { target throws(BootError) in
      try decode(into: target, isWhole: false)
    }
  }

  /// Unpacks all of it into `target`, which has ``size`` bytes.
  func decode(into target: UnsafeMutableRawBufferPointer) throws(BootError) {
    precondition(target.count == size)
    _ = try decode(into: target, isWhole: true)
  }

  /// Unpacks until `target` is full, and with `isWhole` until the end, which has to be where `target` ends.
  private func decode(
    into target: UnsafeMutableRawBufferPointer, isWhole: Bool
  ) throws(BootError) -> Int {
    do throws(UnpackingError) {
      let reader = PayloadReader(file, range: range)
      switch compression {
      case .gzip:
        return try Self.run(GzipDecoder(), reader, target, isWhole)
      case .xz:
        return try Self.run(XZDecoder(), reader, target, isWhole)
      case .zstandard:
        return try Self.run(ZstandardDecoder(keepsOutput: isWhole), reader, target, isWhole)
      case .lz4:
        return try LZ4LegacyFrame.decode(reader, into: target, isWhole: isWhole)
      case .bzip2, .lzma, .lzo: throw .boot(.unsupportedCompression(compression.name))
      }
    } catch {
      switch error {
      case .boot(let error): throw error
      case .wrong(let why): throw .cannotDecompress(compression.name, why)
      }
    }
  }

  /// Gives a decoder what is read and takes what it makes of it.
  private static func run(
    _ decoder: some StreamDecoder, _ reader: PayloadReader, _ target: UnsafeMutableRawBufferPointer,
    _ isWhole: Bool
  ) throws(UnpackingError) -> Int {
    var position = 0
    var idleSteps = 0
    while true {
      let input = try reader.available()
      let before = position
      let (consumed, hasEnded) = try decoder.step(input, into: target, at: &position)
      reader.consume(consumed)
      if hasEnded {
        if isWhole, position < target.count { throw .tooShort(position, target.count) }
        return position
      }
      if !isWhole, position == target.count { return position }
      // A decoder may finish something within itself once.
      idleSteps = consumed == 0 && position == before ? idleSteps + 1 : 0
      if idleSteps < 2 { continue }
      throw input.isEmpty ? .endsEarly : .tooLong(target.count)
    }
  }
}
