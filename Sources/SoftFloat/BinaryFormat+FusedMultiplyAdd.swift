extension BinaryFormat {
  /// a * b + c, rounded once (IEEE 754-2019 section 5.4.1, fusedMultiplyAdd).
  ///
  /// Infinity times zero raises invalid whatever c is, as RISC-V requires where the standard leaves
  /// a choice (section 7.2). The subtracting and negating forms flip the signs of `a` and `c`.
  @inlinable
  package static func fusedMultiplyAdd(
    _ a: Bits, _ b: Bits, _ c: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(productSum(widen(a), widen(b), widen(c), rounding, &flags))
  }

  @inlinable @inline(__always)
  static func productSum(
    _ a: UInt64, _ b: UInt64, _ c: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if biasedExponent(a) == maximumExponent || biasedExponent(b) == maximumExponent
      || biasedExponent(c) == maximumExponent
    {
      return productSumOfNonFinite(a, b, c, &flags)
    }
    let productSign = (a ^ b) & signMask
    if magnitude(a) == 0 || magnitude(b) == 0 {
      if magnitude(c) != 0 || c & signMask == productSign { return c }
      return exactZero(rounding)
    }
    let (aExponent, aSignificand) = normalize(a)
    let (bExponent, bSignificand) = normalize(b)
    let productExponent = aExponent &+ bExponent &- exponentBias
    // Exact, below 2^126; a significand's 2^62 is 2^124 here.
    let (high, low) = aSignificand.multipliedFullWidth(by: bSignificand)
    let product = UInt128(truncatingIfNeeded: high) &<< 64 | UInt128(truncatingIfNeeded: low)
    if magnitude(c) == 0 {
      return roundWide(productSign, productExponent, product, rounding, &flags)
    }

    let (addendExponent, addendSignificand) = normalize(c)
    let addendSign = c & signMask
    let addend = UInt128(truncatingIfNeeded: addendSignificand) &<< 62
    // The one of lower exponent is shifted. As in addition, it either keeps all its bits or lies too
    // low for the difference to lose more than two leading ones.
    let distance = productExponent &- addendExponent
    let exponent = distance >= 0 ? productExponent : addendExponent
    let x = distance >= 0 ? product : shiftRightJamming(product, 0 &- distance)
    let y = distance >= 0 ? shiftRightJamming(addend, distance) : addend
    if productSign == addendSign {
      return roundWide(productSign, exponent, x &+ y, rounding, &flags)
    }
    if x == y { return exactZero(rounding) }
    return x > y
      ? roundWide(productSign, exponent, x &- y, rounding, &flags)
      : roundWide(addendSign, exponent, y &- x, rounding, &flags)
  }

  /// Rounds significand / 2^124 * 2^(exponent - bias); the significand is not zero.
  @inlinable @inline(__always)
  static func roundWide(
    _ sign: UInt64, _ exponent: Int, _ significand: UInt128, _ rounding: RoundingMode,
    _ flags: inout ExceptionFlags
  ) -> UInt64 {
    let shift = significand.leadingZeroBitCount &- 1
    let normal = significand &<< UInt128(truncatingIfNeeded: shift)
    let sticky: UInt64 = UInt64(truncatingIfNeeded: normal) == 0 ? 0 : 1
    return round(
      sign, exponent &+ 2 &- shift, UInt64(truncatingIfNeeded: normal &>> 64) | sticky, rounding, &flags)
  }

  @inlinable @inline(never)
  static func productSumOfNonFinite(
    _ a: UInt64, _ b: UInt64, _ c: UInt64, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    let zeroTimesInfinity =
      (magnitude(a) == 0 && magnitude(b) == infinity) || (magnitude(a) == infinity && magnitude(b) == 0)
    if zeroTimesInfinity { return invalidOperation(&flags) }
    if isNaN(a) || isNaN(b) || isNaN(c) {
      if isSignalingNaN(c) { flags.formUnion(.invalid) }
      return propagateNaN(a, b, &flags)
    }
    let productIsInfinite =
      biasedExponent(a) == maximumExponent || biasedExponent(b) == maximumExponent
    guard productIsInfinite else { return c }
    let product = (a ^ b) & signMask | infinity
    if biasedExponent(c) == maximumExponent && c != product { return invalidOperation(&flags) }
    return product
  }
}
