extension BinaryFormat {
  /// a + b (IEEE 754-2019 section 5.4.1).
  @inlinable
  package static func add(
    _ a: Bits, _ b: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(sum(widen(a), widen(b), rounding, &flags))
  }

  /// a - b (IEEE 754-2019 section 5.4.1).
  @inlinable
  package static func sub(
    _ a: Bits, _ b: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    // The sign of a NaN means nothing, so that b may be negated whatever it is.
    narrow(sum(widen(a), widen(b) ^ signMask, rounding, &flags))
  }

  @inlinable @inline(__always)
  static func sum(
    _ a: UInt64, _ b: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if biasedExponent(a) == maximumExponent || biasedExponent(b) == maximumExponent {
      return sumOfNonFinite(a, b, &flags)
    }
    let aIsLarger = magnitude(a) >= magnitude(b)
    let larger = aIsLarger ? a : b
    let smaller = aIsLarger ? b : a
    if (a ^ b) & signMask == 0 {
      return sumOfMagnitudes(larger, smaller, rounding, &flags)
    }
    return differenceOfMagnitudes(larger, smaller, rounding, &flags)
  }

  /// |larger| + |smaller| with their common sign.
  @inlinable @inline(__always)
  static func sumOfMagnitudes(
    _ larger: UInt64, _ smaller: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    let exponent = biasedExponent(larger)
    // Subnormals add as integers: a carry out of the fraction is the exponent of a normal number.
    if exponent == 0 { return larger &+ magnitude(smaller) }
    // A bit lower than the core's significands, for the carry.
    let total = (aligned(larger) &>> 1) &+ alignedToward(exponent, smaller, spare: 1)
    let carry = Int(truncatingIfNeeded: total &>> 62)
    return round(
      larger & signMask, exponent &+ carry, total &<< UInt64(truncatingIfNeeded: 1 &- carry), rounding,
      &flags)
  }

  /// |larger| - |smaller| with the sign of `larger`.
  @inlinable @inline(__always)
  static func differenceOfMagnitudes(
    _ larger: UInt64, _ smaller: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if magnitude(larger) == magnitude(smaller) { return exactZero(rounding) }
    let exponent = biasedExponent(larger)
    if exponent == 0 { return larger &- magnitude(smaller) }
    // Either no bit is shifted out, and the difference is exact, or the exponents are so far apart
    // that it loses at most one leading bit, and the sticky bit stays below the rounding position.
    let difference = aligned(larger) &- alignedToward(exponent, smaller, spare: 0)
    let shift = difference.leadingZeroBitCount &- 1
    return round(
      larger & signMask, exponent &- shift, difference &<< UInt64(truncatingIfNeeded: shift), rounding,
      &flags)
  }

  /// The core significand of a normal number.
  @inlinable @inline(__always)
  static func aligned(_ value: UInt64) -> UInt64 {
    (value & fractionMask | implicitBit) &<< roundBits
  }

  /// The significand of a finite value, shifted right to the given biased exponent and by `spare`.
  @inlinable @inline(__always)
  static func alignedToward(_ exponent: Int, _ value: UInt64, spare: Int) -> UInt64 {
    let own = biasedExponent(value)
    let fraction = value & fractionMask | (own == 0 ? 0 : implicitBit)
    let distance = exponent &- (own == 0 ? 1 : own)
    return shiftRightJamming(fraction &<< (roundBits - UInt64(spare)), distance)
  }

  /// The zero that is the exact sum of two non-zero numbers, or of zeros of unlike sign
  /// (section 6.3).
  @inlinable @inline(__always)
  static func exactZero(_ rounding: RoundingMode) -> UInt64 { rounding == .down ? signMask : 0 }

  @inlinable @inline(never)
  static func sumOfNonFinite(_ a: UInt64, _ b: UInt64, _ flags: inout ExceptionFlags) -> UInt64 {
    if isNaN(a) || isNaN(b) { return propagateNaN(a, b, &flags) }
    let aIsInfinite = biasedExponent(a) == maximumExponent
    if aIsInfinite && biasedExponent(b) == maximumExponent && a != b {
      return invalidOperation(&flags)
    }
    return aIsInfinite ? a : b
  }
}
