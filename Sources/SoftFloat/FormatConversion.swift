// Conversions between the formats (IEEE 754-2019 section 5.4.2) and the way narrow values live in
// wide registers.

extension Binary64 {
  /// FCVT.S.D: a rounded to single precision.
  @inlinable
  package static func toBinary32(
    _ a: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt32 {
    let sign = (a & signMask) >> 32
    if biasedExponent(a) == maximumExponent {
      if isNaN(a) {
        _ = propagateNaN(a, a, &flags)
        return Binary32.canonicalNaN
      }
      return UInt32(truncatingIfNeeded: sign | Binary32.infinity)
    }
    if magnitude(a) == 0 { return UInt32(truncatingIfNeeded: sign) }
    let (exponent, significand) = normalize(a)
    return UInt32(
      truncatingIfNeeded: Binary32.round(
        sign, exponent &- exponentBias &+ Binary32.exponentBias, significand, rounding, &flags))
  }
}

extension Binary32 {
  /// FCVT.D.S: a in double precision; exact.
  @inlinable
  package static func toBinary64(_ a: UInt32, _ flags: inout ExceptionFlags) -> UInt64 {
    let a = widen(a)
    let sign = (a & signMask) << 32
    if biasedExponent(a) == maximumExponent {
      if isNaN(a) {
        _ = propagateNaN(a, a, &flags)
        return Binary64.defaultNaN
      }
      return sign | Binary64.infinity
    }
    if magnitude(a) == 0 { return sign }
    let (exponent, significand) = normalize(a)
    // The leading one of the shifted significand adds one to the exponent.
    let field = UInt64(truncatingIfNeeded: exponent &- exponentBias &+ Binary64.exponentBias &- 1)
    return sign | (field &<< 52 &+ significand &>> Binary64.roundBits)
  }

  // MARK: - NaN-boxing

  /// The 64-bit register that holds a single: its upper half is all ones, so that as a double it is
  /// a NaN (RISC-V unprivileged specification, "NaN Boxing of Narrower Values").
  @inlinable package static func box(_ value: UInt32) -> UInt64 { 0xFFFF_FFFF_0000_0000 | UInt64(value) }

  /// The single in a 64-bit register, as operations on singles see it: the canonical NaN when the
  /// upper half is not all ones. Moves and stores take the lower half as it is.
  @inlinable package static func unbox(_ register: UInt64) -> UInt32 {
    register >= 0xFFFF_FFFF_0000_0000 ? UInt32(truncatingIfNeeded: register) : canonicalNaN
  }
}
