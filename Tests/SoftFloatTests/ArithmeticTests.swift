import CHostFloat
import SoftFloat
import Testing

/// Arithmetic against the host's own, value and flags, in all rounding modes.
@Suite struct ArithmeticTests {
  /// Cases of each operation, format and rounding mode.
  private static let casesPerMode = 300_000

  @Test(arguments: Operation.allCases)
  func binary64(_ operation: Operation) { check(Binary64.self, operation) }

  @Test(arguments: Operation.allCases)
  func binary32(_ operation: Operation) { check(Binary32.self, operation) }

  private func check<Format: HostFormat>(_: Format.Type, _ operation: Operation) {
    if operation == .fusedMultiplyAdd && !volary_float_has_fma() {
      print("This processor lacks FMA: the oracle of fusedMultiplyAdd is the C library's fma().")
    }
    var source = OperandSource<Format>(seed: 1 + UInt64(Operation.allCases.firstIndex(of: operation)!))
    var oracle = Oracle<Format>()
    var mismatches = Mismatches()
    for rounding in RoundingMode.allCases {
      for _ in 0..<Self.casesPerMode {
        let (a, b, c) = source.operands(for: operation)
        let expected = oracle.arithmetic(operation, rounding, a, b, c)
        let actual = Format.soft(operation, rounding, a, b, c)
        if actual != expected {
          mismatches.note("\(rounding) \(hex(a)) \(hex(b)) \(hex(c)): \(actual), host \(expected)")
        }
      }
    }
    mismatches.report(of: Self.casesPerMode * RoundingMode.allCases.count)
  }
}
