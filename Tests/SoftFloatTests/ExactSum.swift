/// A sum of products of doubles, kept exactly: two's complement in 68 limbs, the lowest bit of which
/// is worth the square of the smallest subnormal.
///
/// It settles on which side of a threshold an exact result lies, for the rounding mode that the host
/// has not, and shares no idea with the code under test.
struct ExactSum {
  private var limbs = [UInt64](repeating: 0, count: 68)

  mutating func clear() {
    for index in limbs.indices { limbs[index] = 0 }
  }

  /// Adds x * y * 2^scale, 0 <= scale < 8. An infinity counts as the power of two next after the
  /// largest finite number.
  mutating func add(_ x: Double, _ y: Double, scale: Int = 0) {
    let (xMantissa, xExponent) = Self.parts(x)
    let (yMantissa, yExponent) = Self.parts(y)
    let product = xMantissa.multipliedFullWidth(by: yMantissa)
    if product.high == 0 && product.low == 0 { return }
    let offset = xExponent + yExponent - 2 + scale
    let shift = UInt64(offset % 64)
    let words = [
      product.low << shift,
      product.high << shift | (shift == 0 ? 0 : product.low >> (64 - shift)),
      shift == 0 ? 0 : product.high >> (64 - shift),
    ]
    let negative = (x.sign == .minus) != (y.sign == .minus)
    var carry: UInt64 = 0
    for index in offset / 64..<limbs.count {
      let place = index - offset / 64
      let word = place < 3 ? words[place] : 0
      if place >= 3 && carry == 0 { break }
      let (partial, first) =
        negative
        ? limbs[index].subtractingReportingOverflow(word) : limbs[index].addingReportingOverflow(word)
      let (total, second) =
        negative ? partial.subtractingReportingOverflow(carry) : partial.addingReportingOverflow(carry)
      limbs[index] = total
      carry = first || second ? 1 : 0
    }
  }

  /// -1, 0 or 1.
  var signum: Int {
    if Int64(bitPattern: limbs[limbs.count - 1]) < 0 { return -1 }
    return limbs.allSatisfy { $0 == 0 } ? 0 : 1
  }

  /// value = mantissa * 2^(exponent - 1075), exponent >= 1.
  private static func parts(_ value: Double) -> (mantissa: UInt64, exponent: Int) {
    let field = Int(value.exponentBitPattern)
    return field == 0
      ? (value.significandBitPattern, 1) : (value.significandBitPattern | 1 << 52, field)
  }
}
