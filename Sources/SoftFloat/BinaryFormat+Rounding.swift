// The way from an exact (or sticky) result to an encoded one, shared by all operations.
//
// Inside the core a finite non-zero number is a sign, a biased exponent of any size, and a 64-bit
// significand whose leading one is bit 62: value = significand / 2^62 * 2^(exponent - bias). Bits
// below the format's precision decide the rounding; the lowest is sticky ("jammed"): it is one when
// anything that was shifted out was.

/// Shifts right by `count` >= 0; bit 0 of the result is also set when any bit shifted out was.
@inlinable @inline(__always)
func shiftRightJamming(_ value: UInt64, _ count: Int) -> UInt64 {
  guard count < 64 else { return value == 0 ? 0 : 1 }
  let lost = value & (1 &<< UInt64(truncatingIfNeeded: count) &- 1)
  return value &>> UInt64(truncatingIfNeeded: count) | (lost == 0 ? 0 : 1)
}

/// Shifts right by `count` >= 0; bit 0 of the result is also set when any bit shifted out was.
@inlinable @inline(__always)
func shiftRightJamming(_ value: UInt128, _ count: Int) -> UInt128 {
  guard count < 128 else { return value == 0 ? 0 : 1 }
  let kept = value &>> UInt128(truncatingIfNeeded: count)
  return kept | (kept &<< UInt128(truncatingIfNeeded: count) == value ? 0 : 1)
}

extension BinaryFormat {
  /// Bits of a core significand below the format's precision.
  @inlinable static var roundBits: UInt64 { UInt64(62 - fractionBits) }
  @inlinable static var roundMask: UInt64 { 1 << roundBits - 1 }
  @inlinable static var roundHalf: UInt64 { 1 << (roundBits - 1) }

  /// The core's view of a finite non-zero value.
  @inlinable @inline(__always)
  static func normalize(_ value: UInt64) -> (exponent: Int, significand: UInt64) {
    let exponent = biasedExponent(value)
    let fraction = value & fractionMask
    if exponent != 0 { return (exponent, (fraction | implicitBit) &<< roundBits) }
    // Subnormal: the exponent is that of the smallest normal, and the leading one is where it is.
    let shift = fraction.leadingZeroBitCount &- 1
    return (1 &+ Int(roundBits) &- shift, fraction &<< UInt64(truncatingIfNeeded: shift))
  }

  /// What must be added below the precision, before truncation, to round in the given direction.
  @inlinable @inline(__always)
  static func roundIncrement(_ sign: UInt64, _ rounding: RoundingMode) -> UInt64 {
    switch rounding {
    case .nearestEven, .nearestMaxMagnitude: roundHalf
    case .towardZero: 0
    case .down: sign == 0 ? 0 : roundMask
    case .up: sign == 0 ? roundMask : 0
    }
  }

  /// Rounds a core number to the format and encodes it with `sign` (0 or ``signMask``), raising
  /// inexact, underflow and overflow.
  @inlinable @inline(__always)
  static func round(
    _ sign: UInt64, _ exponent: Int, _ significand: UInt64, _ rounding: RoundingMode,
    _ flags: inout ExceptionFlags
  ) -> UInt64 {
    // One comparison for both ends: subnormal below, and above the exponent that a carry could
    // take to infinity.
    guard UInt(bitPattern: exponent &- 1) < UInt(maximumExponent - 2) else {
      return roundAtRangeEnd(sign, exponent, significand, rounding, &flags)
    }
    return encode(sign, exponent &- 1, significand, rounding, &flags)
  }

  /// Rounds and encodes; `exponent` is one less than the field's value, because the leading bit of
  /// the significand (or a carry) adds one.
  @inlinable @inline(__always)
  static func encode(
    _ sign: UInt64, _ exponent: Int, _ significand: UInt64, _ rounding: RoundingMode,
    _ flags: inout ExceptionFlags
  ) -> UInt64 {
    let discarded = significand & roundMask
    var kept = (significand &+ roundIncrement(sign, rounding)) &>> roundBits
    if discarded != 0 {
      flags.formUnion(.inexact)
      if discarded == roundHalf && rounding == .nearestEven { kept &= ~1 }
    }
    return sign | (UInt64(truncatingIfNeeded: exponent) &<< UInt64(fractionBits) &+ kept)
  }

  /// ``round(_:_:_:_:_:)`` where the result may be subnormal or overflow.
  @inlinable @inline(never)
  static func roundAtRangeEnd(
    _ sign: UInt64, _ exponent: Int, _ significand: UInt64, _ rounding: RoundingMode,
    _ flags: inout ExceptionFlags
  ) -> UInt64 {
    let increment = roundIncrement(sign, rounding)
    let carries = significand &+ increment >= 1 << 63
    if exponent > 0 {
      guard exponent >= maximumExponent || carries else {
        return encode(sign, exponent &- 1, significand, rounding, &flags)
      }
      flags.formUnion([.overflow, .inexact])
      return sign | (increment == 0 ? largestFinite : infinity)
    }
    // Tiny unless rounding to full precision, as though exponents had no end, reaches the smallest
    // normal number (section 7.5, detection after rounding).
    let tiny = exponent < 0 || !carries
    let denormalized = shiftRightJamming(significand, 1 &- exponent)
    if tiny && denormalized & roundMask != 0 { flags.formUnion(.underflow) }
    return encode(sign, 0, denormalized, rounding, &flags)
  }
}
