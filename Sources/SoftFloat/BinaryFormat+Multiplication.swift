extension BinaryFormat {
  /// a * b (IEEE 754-2019 section 5.4.1).
  @inlinable
  package static func mul(
    _ a: Bits, _ b: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(product(widen(a), widen(b), rounding, &flags))
  }

  @inlinable @inline(__always)
  static func product(
    _ a: UInt64, _ b: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if biasedExponent(a) == maximumExponent || biasedExponent(b) == maximumExponent {
      return productOfNonFinite(a, b, &flags)
    }
    let sign = (a ^ b) & signMask
    if magnitude(a) == 0 || magnitude(b) == 0 { return sign }
    let (aExponent, aSignificand) = normalize(a)
    let (bExponent, bSignificand) = normalize(b)
    // 2^62 * 2^63 <= product < 2^127: the high word's leading one is bit 61 or 62.
    let (high, low) = aSignificand.multipliedFullWidth(by: bSignificand &<< 1)
    let carry = high &>> 62
    let significand = high &<< (1 &- carry) | (low == 0 ? 0 : 1)
    return round(
      sign, aExponent &+ bExponent &- exponentBias &+ Int(truncatingIfNeeded: carry), significand,
      rounding, &flags)
  }

  @inlinable @inline(never)
  static func productOfNonFinite(_ a: UInt64, _ b: UInt64, _ flags: inout ExceptionFlags) -> UInt64 {
    if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
    if magnitude(a) == 0 || magnitude(b) == 0 { return invalidOperation(&flags) }
    return (a ^ b) & signMask | infinity
  }
}
