extension BinaryFormat {
  /// a / b (IEEE 754-2019 section 5.4.1).
  @inlinable
  package static func div(
    _ a: Bits, _ b: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(quotient(widen(a), widen(b), rounding, &flags))
  }

  @inlinable @inline(__always)
  static func quotient(
    _ a: UInt64, _ b: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if biasedExponent(a) == maximumExponent || biasedExponent(b) == maximumExponent
      || magnitude(a) == 0 || magnitude(b) == 0
    {
      return quotientOfSpecial(a, b, &flags)
    }
    let (aExponent, aSignificand) = normalize(a)
    let (bExponent, bSignificand) = normalize(b)
    let exponent = aExponent &- bExponent &+ exponentBias
    // A dividend twice as large where a < b in significand, so that the leading one's place is known.
    let borrow: UInt64 = aSignificand < bSignificand ? 1 : 0
    return round(
      (a ^ b) & signMask, exponent &- Int(borrow),
      significandQuotient(aSignificand, bSignificand, borrow), rounding, &flags)
  }

  /// dividend * 2^borrow / divisor in [1, 2) as a core significand, the remainder jammed.
  @inlinable @inline(__always)
  static func significandQuotient(_ dividend: UInt64, _ divisor: UInt64, _ borrow: UInt64) -> UInt64 {
    if fractionBits <= 30 {
      // Both significands fit in a half, so that one 64-bit division gives 32 bits of quotient.
      let (quotient, remainder) = (dividend &<< borrow).quotientAndRemainder(dividingBy: divisor &>> 31)
      return quotient &<< 31 | (remainder == 0 ? 0 : 1)
    }
    let shift = 2 &- borrow
    let (quotient, remainder) = divisor.dividingFullWidth(
      (dividend &>> shift, dividend &<< (64 &- shift)))
    return quotient | (remainder == 0 ? 0 : 1)
  }

  @inlinable @inline(never)
  static func quotientOfSpecial(_ a: UInt64, _ b: UInt64, _ flags: inout ExceptionFlags) -> UInt64 {
    if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
    let sign = (a ^ b) & signMask
    if biasedExponent(a) == maximumExponent {
      return biasedExponent(b) == maximumExponent ? invalidOperation(&flags) : sign | infinity
    }
    if biasedExponent(b) == maximumExponent { return sign }
    if magnitude(b) != 0 { return sign }
    if magnitude(a) == 0 { return invalidOperation(&flags) }
    flags.formUnion(.divideByZero)
    return sign | infinity
  }
}
