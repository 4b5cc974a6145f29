// Conversions to integers and from them (IEEE 754-2019 sections 5.8 and 5.4.1).
//
// To integers, RISC-V's "Domains of float-to-integer conversions" apply: a value whose rounding is
// out of range gives the nearest integer in it, a NaN the greatest, and both raise invalid but not
// inexact.

extension BinaryFormat {
  /// FCVT.W: a rounded to a signed 32-bit integer, saturated.
  @inlinable
  package static func toInt32(_ a: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags) -> Int32 {
    toInteger(widen(a), rounding, &flags)
  }

  /// FCVT.WU: a rounded to an unsigned 32-bit integer, saturated.
  @inlinable
  package static func toUInt32(_ a: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags) -> UInt32 {
    toInteger(widen(a), rounding, &flags)
  }

  /// FCVT.L: a rounded to a signed 64-bit integer, saturated.
  @inlinable
  package static func toInt64(_ a: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags) -> Int64 {
    toInteger(widen(a), rounding, &flags)
  }

  /// FCVT.LU: a rounded to an unsigned 64-bit integer, saturated.
  @inlinable
  package static func toUInt64(_ a: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags) -> UInt64 {
    toInteger(widen(a), rounding, &flags)
  }

  /// The value of a signed 32-bit integer, rounded.
  @inlinable
  package static func fromInt32(
    _ value: Int32, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(fromInteger(value < 0 ? signMask : 0, UInt64(value.magnitude), rounding, &flags))
  }

  /// The value of an unsigned 32-bit integer, rounded.
  @inlinable
  package static func fromUInt32(
    _ value: UInt32, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(fromInteger(0, UInt64(value), rounding, &flags))
  }

  /// The value of a signed 64-bit integer, rounded.
  @inlinable
  package static func fromInt64(
    _ value: Int64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(fromInteger(value < 0 ? signMask : 0, value.magnitude, rounding, &flags))
  }

  /// The value of an unsigned 64-bit integer, rounded.
  @inlinable
  package static func fromUInt64(
    _ value: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(fromInteger(0, value, rounding, &flags))
  }

  @inlinable @inline(__always)
  static func fromInteger(
    _ sign: UInt64, _ magnitude: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if magnitude == 0 { return 0 }
    // A leading one in bit 63 goes down to bit 62; its own lowest bit becomes sticky.
    let leading = magnitude.leadingZeroBitCount
    let top = magnitude &<< UInt64(truncatingIfNeeded: leading)
    return round(sign, exponentBias &+ 63 &- leading, top &>> 1 | top & 1, rounding, &flags)
  }

  @inlinable @inline(__always)
  static func toInteger<Integer: FixedWidthInteger>(
    _ a: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Integer {
    let negative = a & signMask != 0
    let exponent = biasedExponent(a) &- exponentBias
    if exponent < 64 {
      let (magnitude, isInexact) = roundedMagnitude(a, exponent, rounding)
      if magnitude <= UInt64(truncatingIfNeeded: negative ? Integer.min.magnitude : Integer.max.magnitude) {
        if isInexact { flags.formUnion(.inexact) }
        return Integer(truncatingIfNeeded: negative ? 0 &- magnitude : magnitude)
      }
    }
    flags.formUnion(.invalid)
    return negative && !isNaN(a) ? .min : .max
  }

  /// |a|, of unbiased exponent below 64, rounded to an integer in the direction that `rounding` has
  /// for the sign of a. The sum does not overflow: only a magnitude below 2^53 has a fraction.
  @inlinable @inline(__always)
  static func roundedMagnitude(
    _ a: UInt64, _ exponent: Int, _ rounding: RoundingMode
  ) -> (magnitude: UInt64, isInexact: Bool) {
    // The point between the words: integer and fraction, 64 bits each.
    let significand =
      (a & fractionMask | (biasedExponent(a) == 0 ? 0 : implicitBit)) &<< (roundBits + 1)
    let integer: UInt64
    let fraction: UInt64
    if exponent < 0 {
      integer = 0
      fraction = shiftRightJamming(significand, -1 &- exponent)
    } else {
      integer = significand &>> UInt64(truncatingIfNeeded: 63 &- exponent)
      fraction = exponent == 63 ? 0 : significand &<< UInt64(truncatingIfNeeded: exponent &+ 1)
    }
    if fraction == 0 { return (integer, false) }
    let half: UInt64 = 1 << 63
    let roundsUp: Bool =
      switch rounding {
      case .nearestEven: fraction > half || (fraction == half && integer & 1 != 0)
      case .towardZero: false
      case .down: a & signMask != 0
      case .up: a & signMask == 0
      case .nearestMaxMagnitude: fraction >= half
      }
    return (integer &+ (roundsUp ? 1 : 0), true)
  }
}
