extension BinaryFormat {
  /// The square root of a (IEEE 754-2019 section 5.4.1); that of -0 is -0.
  @inlinable
  package static func sqrt(
    _ a: Bits, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> Bits {
    narrow(squareRoot(widen(a), rounding, &flags))
  }

  @inlinable @inline(__always)
  static func squareRoot(
    _ a: UInt64, _ rounding: RoundingMode, _ flags: inout ExceptionFlags
  ) -> UInt64 {
    if biasedExponent(a) == maximumExponent || a & signMask != 0 || magnitude(a) == 0 {
      return squareRootOfSpecial(a, &flags)
    }
    let (biased, significand) = normalize(a)
    let exponent = biased &- exponentBias
    let root = significandRoot(significand, odd: exponent & 1 != 0)
    return round(0, exponent &>> 1 &+ exponentBias, root, rounding, &flags)
  }

  @inlinable @inline(never)
  static func squareRootOfSpecial(_ a: UInt64, _ flags: inout ExceptionFlags) -> UInt64 {
    if isNaN(a) { return propagateNaN(a, a, &flags) }
    return a == infinity || magnitude(a) == 0 ? a : invalidOperation(&flags)
  }
}

/// The square root, as a core significand, of one in [1, 2), or of its double when the exponent is
/// odd: 54 bits after the leading one, exact, and the remainder jammed.
///
/// A quadratic seed for 1/sqrt(x) is good to 8 bits, and each of two Newton steps doubles that. A
/// last step on the root itself gives 54 bits but for an error of a few units, which the exact
/// remainder then corrects; so the approximations decide the speed alone, never the result.
/// Below, "Qn" is a fixed-point number with n fraction bits.
@inlinable @inline(__always)
func significandRoot(_ significand: UInt64, odd: Bool) -> UInt64 {
  let x = odd ? significand &<< 1 : significand  // Q62, [1, 4)
  let x30 = x &>> 32

  // Minimax over [1, 2) in t = significand - 1; for odd exponents the coefficients are divided by
  // sqrt(2). Q32.
  let t = (significand &- 1 &<< 62) &>> 30
  var inverse =
    odd
    ? 0xB471_3B43 &- (t &* (0x4EC4_C303 &- (t &* 0x1ABB_FBA8) &>> 32)) &>> 32
    : 0xFF2F_182F &- (t &* (0x6F65_4792 &- (t &* 0x25CE_DA87) &>> 32)) &>> 32

  // r <- r * (3 - x * r^2) / 2, twice.
  inverse = refinedInverseRoot(inverse, x30)
  inverse = refinedInverseRoot(inverse, x30)

  // s <- s + (x - s^2) * r / 2, from Q31 to Q54. The difference is small and fits the product.
  let coarse = (x30 &* inverse) &>> 31
  let difference = Int64(bitPattern: x &- coarse &* coarse)
  let correction = ((difference &>> 6) &* Int64(bitPattern: inverse)) &>> 35
  var root = Int64(bitPattern: coarse &<< 23) &+ correction

  // 0 <= x - root^2 < 2 * root + 1 holds for the floor; the wrapped low words suffice to tell.
  var remainder = Int64(bitPattern: x &<< 46) &- root &* root
  while remainder < 0 {
    root &-= 1
    remainder &+= 2 &* root &+ 1
  }
  while remainder > 2 &* root {
    remainder &-= 2 &* root &+ 1
    root &+= 1
  }
  return UInt64(bitPattern: root) &<< 8 | (remainder == 0 ? 0 : 1)
}

/// One Newton step toward 1/sqrt(x): `inverse` in Q32, x in Q30.
@inlinable @inline(__always)
func refinedInverseRoot(_ inverse: UInt64, _ x30: UInt64) -> UInt64 {
  let square = (inverse &* inverse) &>> 32
  let defect = 3 &<< 32 &- (x30 &* square) &>> 30
  return (inverse &* (defect &>> 2)) &>> 31
}
