/// A condition on RFLAGS, by the suffix of its `jcc`, `setcc` and `cmovcc`. The order is the
/// encoding's (Intel SDM volume 1, appendix B).
@usableFromInline package enum Condition: UInt8, CaseIterable, Sendable {
  /// Overflow; no overflow.
  case o, no
  /// Unsigned below (carry); above or equal (no carry).
  case b, ae
  /// Equal (zero); not equal.
  case e, ne
  /// Unsigned below or equal; above.
  case be, a
  /// Sign; no sign.
  case s, ns
  /// Parity even (after a floating-point comparison: unordered); parity odd.
  case p, np
  /// Signed less; greater or equal.
  case l, ge
  /// Signed less or equal; greater.
  case le, g

  /// The condition's number, 0 to 15.
  @inlinable package var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }

  /// The condition that holds exactly when this one does not.
  @inlinable package var inverted: Condition { unsafeBitCast(code ^ 1, to: Condition.self) }
}
