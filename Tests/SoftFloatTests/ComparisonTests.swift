import CHostFloat
import SoftFloat
import Testing

/// Comparison, minimum, maximum and classification against the host and the Swift library.
@Suite struct ComparisonTests {
  private static let cases = 1_000_000

  @Test func binary64() { check(Binary64.self) }
  @Test func binary32() { check(Binary32.self) }

  private func check<Format: HostFormat>(_: Format.Type) {
    var source = OperandSource<Format>(seed: 31)
    var mismatches = Mismatches()
    for _ in 0..<Self.cases {
      let (a, b, _) = source.operands(for: .add)
      let x = Format.Bits(truncatingIfNeeded: a)
      let y = Format.Bits(truncatingIfNeeded: b)
      let quiet = Format.hostCompare(quiet: true, a, b)
      let signaling = Format.hostCompare(quiet: false, a, b)
      let isEqual = quiet.bits == 2
      let isLess = signaling.bits == 4

      func compare(_ name: String, _ expected: Outcome, _ operation: (inout ExceptionFlags) -> UInt64) {
        var flags: ExceptionFlags = []
        let result = operation(&flags)
        let actual = Outcome(result, flags)
        if actual != expected { mismatches.note("\(name) \(hex(a)) \(hex(b)): \(actual), host \(expected)") }
      }
      compare("eq", Outcome(isEqual ? 1 : 0, quiet.flags)) { Format.eq(x, y, &$0) ? 1 : 0 }
      compare("lt", Outcome(isLess ? 1 : 0, signaling.flags)) { Format.lt(x, y, &$0) ? 1 : 0 }
      compare("le", Outcome(isLess || isEqual ? 1 : 0, signaling.flags)) { Format.le(x, y, &$0) ? 1 : 0 }

      // As with the quiet comparison, only a signaling NaN raises invalid.
      let lesser: UInt64
      let greater: UInt64
      switch (Format.isNaN(a), Format.isNaN(b)) {
      case (true, true): (lesser, greater) = (Format.canonical, Format.canonical)
      case (true, false): (lesser, greater) = (b, b)
      case (false, true): (lesser, greater) = (a, a)
      // Equal numbers of unlike patterns are the zeros.
      case (false, false) where isEqual: (lesser, greater) = (Swift.max(a, b), Swift.min(a, b))
      case (false, false): (lesser, greater) = isLess ? (a, b) : (b, a)
      }
      compare("min", Outcome(lesser, quiet.flags)) { UInt64(truncatingIfNeeded: Format.min(x, y, &$0)) }
      compare("max", Outcome(greater, quiet.flags)) { UInt64(truncatingIfNeeded: Format.max(x, y, &$0)) }
    }
    mismatches.report(of: Self.cases)
  }

  // MARK: - Classification

  @Test func classes64() { checkClasses(Binary64.self) }
  @Test func classes32() { checkClasses(Binary32.self) }

  private func checkClasses<Format: HostFormat>(_: Format.Type) {
    var source = OperandSource<Format>(seed: 32)
    var mismatches = Mismatches()
    for _ in 0..<Self.cases {
      let a = source.any()
      // The bits of the specification's table "Format of result of FCLASS instruction".
      let bit =
        switch Format.native(a).floatingPointClass {
        case .negativeInfinity: 0
        case .negativeNormal: 1
        case .negativeSubnormal: 2
        case .negativeZero: 3
        case .positiveZero: 4
        case .positiveSubnormal: 5
        case .positiveNormal: 6
        case .positiveInfinity: 7
        case .signalingNaN: 8
        case .quietNaN: 9
        }
      let actual = Format.classify(Format.Bits(truncatingIfNeeded: a))
      if actual != 1 << UInt64(bit) { mismatches.note("\(hex(a)): \(hex(actual)), expected bit \(bit)") }
    }
    mismatches.report(of: Self.cases)
  }
}
