/// A few bytes with numbers at fixed places. A place outside is a mistake of ours, and traps.
struct Fields {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func little<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
    Number(littleEndian: load(type, at: offset))
  }

  func big<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
    Number(bigEndian: load(type, at: offset))
  }

  private func load<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
    bytes[offset..<offset + MemoryLayout<Number>.size].withUnsafeBytes { $0.loadUnaligned(as: type) }
  }

  func has(_ text: String, at offset: Int) -> Bool {
    bytes[offset...].starts(with: text.utf8)
  }
}

extension [UInt8] {
  /// Sets a number at a place inside.
  mutating func setLittle<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
    Swift.withUnsafeBytes(of: value.littleEndian) {
      replaceSubrange(offset..<offset + MemoryLayout<Number>.size, with: $0)
    }
  }

  mutating func setBig<Number: FixedWidthInteger>(_ value: Number, at offset: Int) {
    setLittle(value.byteSwapped, at: offset)
  }

  mutating func set(_ text: String, at offset: Int) {
    replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
  }
}
