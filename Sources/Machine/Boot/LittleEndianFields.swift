/// Reads the fields of a header, which may end anywhere.
struct LittleEndianFields {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The integer at `offset`; nil when it does not lie within the bytes.
  func field<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type = T.self, at offset: Int) -> T? {
    let size = MemoryLayout<T>.size
    guard offset >= 0, bytes.count >= size, offset <= bytes.count - size else { return nil }
    return (0..<size).reduce(0) { $0 | T(bytes[offset + $1]) << T(8 * $1) }
  }
}
