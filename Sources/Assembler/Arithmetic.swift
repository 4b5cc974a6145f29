/// The operations with two operands that share one encoding. The order is the encoding's.
@usableFromInline package enum Arithmetic: UInt8, CaseIterable, Sendable {
  case add, or, adc, sbb, and, sub, xor, cmp

  /// The operation's number, 0 to 7.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }
}
