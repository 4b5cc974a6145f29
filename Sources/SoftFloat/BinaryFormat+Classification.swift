extension BinaryFormat {
  /// The class of a value as RISC-V's FCLASS gives it: one bit of ten. Raises nothing.
  ///
  /// From bit 0: -infinity, negative normal, negative subnormal, -0, +0, positive subnormal,
  /// positive normal, +infinity, signaling NaN, quiet NaN.
  @inlinable
  package static func classify(_ a: Bits) -> UInt64 {
    let a = widen(a)
    if isNaN(a) { return isSignalingNaN(a) ? 1 << 8 : 1 << 9 }
    let negative = a & signMask != 0
    if magnitude(a) == infinity { return negative ? 1 << 0 : 1 << 7 }
    if magnitude(a) == 0 { return negative ? 1 << 3 : 1 << 4 }
    if biasedExponent(a) == 0 { return negative ? 1 << 2 : 1 << 5 }
    return negative ? 1 << 1 : 1 << 6
  }
}
