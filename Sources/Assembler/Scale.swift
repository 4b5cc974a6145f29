/// What an address multiplies its index register with.
@usableFromInline package enum Scale: UInt8, CaseIterable, Sendable {
  case x1, x2, x4, x8

  /// The binary logarithm of the factor.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }
}
