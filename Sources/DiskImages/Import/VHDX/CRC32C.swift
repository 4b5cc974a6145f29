/// The checksum of VHDX: CRC-32 with Castagnoli's polynomial (RFC 3720, appendix B.4).
struct CRC32C {
  private static let table: [UInt32] = (0..<256).map { (index: UInt32) in
    (0..<8).reduce(index) { value, _ in value & 1 == 0 ? value >> 1 : value >> 1 ^ 0x82F6_3B78 }
  }

  private var state: UInt32 = 0xFFFF_FFFF

  var value: UInt32 { ~state }

  mutating func add(_ bytes: some Sequence<UInt8>) {
    Self.table.withUnsafeBufferPointer { table in
      var state = state
      for byte in bytes { state = state >> 8 ^ table[Int(UInt8(truncatingIfNeeded: state) ^ byte)] }
      self.state = state
    }
  }

  /// Of bytes whose own checksum, four bytes at `place`, counts as zero.
  static func of(_ bytes: [UInt8], checksumAt place: Int) -> UInt32 {
    var sum = CRC32C()
    sum.add(bytes[..<place])
    sum.add(repeatElement(0, count: 4))
    sum.add(bytes[(place + 4)...])
    return sum.value
  }
}
