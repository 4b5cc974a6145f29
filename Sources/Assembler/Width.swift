/// An operand size in bits. Writing a 32-bit register clears its upper half; writing 8 or 16 bits
/// keeps the rest (Intel SDM volume 1, 3.4.1.1).
@usableFromInline package enum Width: UInt8, CaseIterable, Sendable {
  case w8, w16, w32, w64

  /// The binary logarithm of the size in bytes.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }

  /// The size in bytes.
  @inlinable package var bytes: Int { 1 &<< Int(code) }

  /// The bytes of an immediate operand: those of the width, but never more than four.
  @inlinable var immediateBytes: Int { self == .w64 ? 4 : bytes }
}
