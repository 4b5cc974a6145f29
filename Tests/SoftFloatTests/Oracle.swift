import CHostFloat
import SoftFloat

/// Expected outcomes: the host's own, with RISC-V's rules where they differ, and a derivation from
/// its directed roundings for ties away from zero, which it has not.
struct Oracle<Format: HostFormat> {
  private var sum = ExactSum()

  mutating func arithmetic(
    _ operation: Operation, _ rounding: RoundingMode, _ a: UInt64, _ b: UInt64, _ c: UInt64
  ) -> Outcome {
    if rounding != .nearestMaxMagnitude {
      return riscv(operation, Format.host(operation, rounding, a, b, c), a, b)
    }
    let exact = riscv(operation, Format.host(operation, .nearestEven, a, b, c), a, b)
    if !exact.flags.contains(.inexact) { return exact }
    let x = double(a)
    let y = double(b)
    let z = double(c)
    return tiesAway(
      down: Format.host(operation, .down, a, b, c).bits, up: Format.host(operation, .up, a, b, c).bits
    ) { sum, scale, high, low in
      switch operation {
      case .add, .sub:
        sum.add(x, 1, scale: scale)
        sum.add(operation == .add ? y : -y, 1, scale: scale)
      case .mul, .fusedMultiplyAdd:
        sum.add(x, y, scale: scale)
        if operation == .fusedMultiplyAdd { sum.add(z, 1, scale: scale) }
      case .div:
        // x / y against t as x against t * y, times the sign of y.
        let sign: Double = y < 0 ? -1 : 1
        sum.add(x, sign, scale: scale)
        sum.add(high, -y * sign)
        sum.add(low, -y * sign)
        return
      case .sqrt:
        sum.add(x, 1, scale: 2 * scale)
        sum.add(high, -high)
        sum.add(high, -low, scale: 1)
        sum.add(low, -low)
        return
      }
      sum.add(-high, 1)
      sum.add(-low, 1)
    }
  }

  /// A conversion of the exact number high + low, with the host's outcomes for a mode.
  mutating func conversion(
    _ rounding: RoundingMode, high: Double, low: Double, host: (RoundingMode) -> Outcome
  ) -> Outcome {
    if rounding != .nearestMaxMagnitude { return canonical(host(rounding)) }
    let exact = canonical(host(.nearestEven))
    if !exact.flags.contains(.inexact) { return exact }
    return tiesAway(down: host(.down).bits, up: host(.up).bits) { sum, scale, first, second in
      sum.add(high, 1, scale: scale)
      sum.add(low, 1, scale: scale)
      sum.add(-first, 1)
      sum.add(-second, 1)
    }
  }

  // MARK: - RISC-V's rules

  private func canonical(_ outcome: Outcome) -> Outcome {
    Format.isNaN(outcome.bits) ? Outcome(Format.canonical, outcome.flags) : outcome
  }

  /// NaNs are canonical, and infinity * 0 + NaN is invalid, which it is not on the host.
  private func riscv(_ operation: Operation, _ outcome: Outcome, _ a: UInt64, _ b: UInt64) -> Outcome {
    var outcome = canonical(outcome)
    let magnitudes = (a & ~Format.sign, b & ~Format.sign)
    if operation == .fusedMultiplyAdd
      && (magnitudes == (0, Format.infinityBits) || magnitudes == (Format.infinityBits, 0))
    {
      outcome.flags.formUnion(.invalid)
    }
    return outcome
  }

  // MARK: - To nearest, ties away from zero

  /// Chooses between the neighbours of an inexact result. `compare` adds to a sum that is 0 the
  /// exact result times 2^scale, less high + low (times a positive number).
  private mutating func tiesAway(
    down: UInt64, up: UInt64,
    compare: (_ sum: inout ExactSum, _ scale: Int, _ high: Double, _ low: Double) -> Void
  ) -> Outcome {
    let negative = down & Format.sign != 0
    sum.clear()
    compare(&sum, 1, double(down), double(up))
    let side = sum.signum
    let result = side == 0 ? (negative ? down : up) : (side > 0 ? up : down)

    var flags: ExceptionFlags = .inexact
    let magnitude = result & ~Format.sign
    if magnitude == Format.infinityBits { flags.formUnion(.overflow) }
    if magnitude < Format.smallestNormal { flags.formUnion(.underflow) }
    if magnitude == Format.smallestNormal && result == (negative ? down : up) {
      // Rounded up to the smallest normal number: tiny all the same, unless rounding to full
      // precision, whose steps are half as wide here, gets there too: 4 * |exact| >= 4 * it - ulp.
      let sign: Double = negative ? -1 : 1
      sum.clear()
      compare(&sum, 2, 4 * sign * double(Format.smallestNormal), -sign * double(1))
      if sum.signum * Int(sign) < 0 { flags.formUnion(.underflow) }
    }
    return Outcome(result, flags)
  }

  /// The exact value; infinity is the power of two that comes after the largest finite number.
  private func double(_ bits: UInt64) -> Double {
    if !Format.is64 && bits & ~Format.sign == Format.infinityBits {
      return bits & Format.sign == 0 ? 0x1p128 : -0x1p128
    }
    return Double(Format.native(bits))
  }
}
