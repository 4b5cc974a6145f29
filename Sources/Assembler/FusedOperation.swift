/// What a fused multiply-add computes of a product and an addend, rounding once.
@usableFromInline package enum FusedOperation: UInt8, Sendable, CaseIterable {
  /// product + addend, product - addend, -product + addend, -product - addend.
  case madd, msub, nmadd, nmsub

  /// The operation's number, 0 to 3.
  @inlinable var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }
}

/// Which operands of a fused multiply-add, counted from the destination 1, are multiplied, and which
/// is added last: `.f213` is operand 2 × operand 1 + operand 3.
@usableFromInline package enum FusedForm: UInt8, Sendable, CaseIterable {
  case f132, f213, f231

  /// The form's number, 0 to 2.
  @inlinable var code: UInt8 { unsafeBitCast(self, to: UInt8.self) }
}
