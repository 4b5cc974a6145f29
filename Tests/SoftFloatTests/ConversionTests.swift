import CHostFloat
import SoftFloat
import Testing

/// The integer types of the conversions.
enum IntegerKind: CaseIterable {
  case int32, uint32, int64, uint64

  var range: ClosedRange<Int128> {
    switch self {
    case .int32: Int128(Int32.min)...Int128(Int32.max)
    case .uint32: 0...Int128(UInt32.max)
    case .int64: Int128(Int64.min)...Int128(Int64.max)
    case .uint64: 0...Int128(UInt64.max)
    }
  }
}

extension HostFormat {
  /// The code under test: to an integer.
  static func softInteger(
    _ kind: IntegerKind, _ rounding: RoundingMode, _ a: UInt64
  ) -> (value: Int128, flags: ExceptionFlags) {
    let a = Bits(truncatingIfNeeded: a)
    var flags: ExceptionFlags = []
    let value =
      switch kind {
      case .int32: Int128(toInt32(a, rounding, &flags))
      case .uint32: Int128(toUInt32(a, rounding, &flags))
      case .int64: Int128(toInt64(a, rounding, &flags))
      case .uint64: Int128(toUInt64(a, rounding, &flags))
      }
    return (value, flags)
  }

  /// The code under test: from an integer.
  static func softFromInteger(_ kind: IntegerKind, _ rounding: RoundingMode, _ value: UInt64) -> Outcome {
    var flags: ExceptionFlags = []
    let result =
      switch kind {
      case .int32: fromInt32(Int32(truncatingIfNeeded: value), rounding, &flags)
      case .uint32: fromUInt32(UInt32(truncatingIfNeeded: value), rounding, &flags)
      case .int64: fromInt64(Int64(bitPattern: value), rounding, &flags)
      case .uint64: fromUInt64(value, rounding, &flags)
      }
    return Outcome(UInt64(truncatingIfNeeded: result), flags)
  }

  /// What RISC-V's FCVT gives: the host's rounding, saturated by the specification's table.
  static func expectedInteger(
    _ kind: IntegerKind, _ rounding: RoundingMode, _ a: UInt64
  ) -> (value: Int128, flags: ExceptionFlags) {
    let range = kind.range
    let value = native(a)
    if value.isNaN { return (range.upperBound, .invalid) }
    if value.magnitude >= Native(UInt64.max) {
      return (value < 0 ? range.lowerBound : range.upperBound, .invalid)
    }
    var rounded: Int128
    var flags: ExceptionFlags = []
    if value.magnitude >= Native(Int64.max) {
      rounded = Int128(value)  // an integer already
    } else if rounding == .nearestMaxMagnitude {
      let integral = native(roundTiesAway(a))
      rounded = Int128(integral)
      if integral != value { flags = .inexact }
    } else {
      let host = Outcome(volary_float_to_int64(is64, rounding.rawValue, a))
      rounded = Int128(Int64(bitPattern: host.bits))
      flags = host.flags
    }
    if !range.contains(rounded) {
      rounded = rounded < 0 ? range.lowerBound : range.upperBound
      flags = .invalid
    }
    return (rounded, flags)
  }
}

/// Conversions against the host's own, value and flags, in all rounding modes.
@Suite struct ConversionTests {
  /// Cases of each conversion and rounding mode.
  private static let casesPerMode = 250_000

  // MARK: - Integers

  @Test(arguments: IntegerKind.allCases)
  func integersFromBinary64(_ kind: IntegerKind) { checkToInteger(Binary64.self, kind) }

  @Test(arguments: IntegerKind.allCases)
  func integersFromBinary32(_ kind: IntegerKind) { checkToInteger(Binary32.self, kind) }

  @Test(arguments: IntegerKind.allCases)
  func integersToBinary64(_ kind: IntegerKind) { checkFromInteger(Binary64.self, kind) }

  @Test(arguments: IntegerKind.allCases)
  func integersToBinary32(_ kind: IntegerKind) { checkFromInteger(Binary32.self, kind) }

  private func checkToInteger<Format: HostFormat>(_: Format.Type, _ kind: IntegerKind) {
    var source = OperandSource<Format>(seed: 21)
    var mismatches = Mismatches()
    for rounding in RoundingMode.allCases {
      for _ in 0..<Self.casesPerMode {
        let a = source.aroundInteger()
        let expected = Format.expectedInteger(kind, rounding, a)
        let actual = Format.softInteger(kind, rounding, a)
        if actual != expected { mismatches.note("\(rounding) \(hex(a)): \(actual), expected \(expected)") }
      }
    }
    mismatches.report(of: Self.casesPerMode * RoundingMode.allCases.count)
  }

  private func checkFromInteger<Format: HostFormat>(_: Format.Type, _ kind: IntegerKind) {
    var source = OperandSource<Format>(seed: 22)
    var oracle = Oracle<Format>()
    var mismatches = Mismatches()
    for rounding in RoundingMode.allCases {
      for _ in 0..<Self.casesPerMode {
        let value = source.integer() &* (source.below(2) == 0 ? 1 : ~0)
        // Narrow integers are wide ones to the host.
        let wide: UInt64 =
          switch kind {
          case .int32: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value)))
          case .uint32: UInt64(UInt32(truncatingIfNeeded: value))
          case .int64, .uint64: value
          }
        let isSigned = kind == .int32 || kind == .int64
        let upper =
          isSigned ? Double(Int64(bitPattern: wide) >> 32) * 0x1p32 : Double(wide >> 32) * 0x1p32
        let expected = oracle.conversion(rounding, high: upper, low: Double(wide & 0xFFFF_FFFF)) { mode in
          Outcome(
            isSigned
              ? volary_float_from_int64(Format.is64, mode.rawValue, Int64(bitPattern: wide))
              : volary_float_from_uint64(Format.is64, mode.rawValue, wide))
        }
        let actual = Format.softFromInteger(kind, rounding, value)
        if actual != expected { mismatches.note("\(rounding) \(hex(value)): \(actual), host \(expected)") }
      }
    }
    mismatches.report(of: Self.casesPerMode * RoundingMode.allCases.count)
  }

  // MARK: - Between the formats

  @Test func narrowing() {
    var source = OperandSource<Binary64>(seed: 23)
    var singles = OperandSource<Binary32>(seed: 24)
    var oracle = Oracle<Binary32>()
    var mismatches = Mismatches()
    for rounding in RoundingMode.allCases {
      for _ in 0..<Self.casesPerMode {
        // Half of them around the singles and their midpoints, half anywhere.
        var a = source.any()
        if source.below(2) == 0 {
          let single = Double(Float(bitPattern: UInt32(singles.any()))).bitPattern
          a = source.near(single &+ UInt64(source.below(4)) << 28)
        }
        let expected = oracle.conversion(rounding, high: Double(bitPattern: a), low: 0) { mode in
          Outcome(volary_float_narrow(mode.rawValue, a))
        }
        var flags: ExceptionFlags = []
        let actual = Outcome(UInt64(Binary64.toBinary32(a, rounding, &flags)), flags)
        if actual != expected { mismatches.note("\(rounding) \(hex(a)): \(actual), host \(expected)") }
      }
    }
    mismatches.report(of: Self.casesPerMode * RoundingMode.allCases.count)
  }

  @Test func widening() {
    var source = OperandSource<Binary32>(seed: 25)
    var mismatches = Mismatches()
    for _ in 0..<1_000_000 {
      let a = UInt32(source.any())
      var expected = Outcome(volary_float_widen(a))
      if Binary64.isNaN(expected.bits) { expected.bits = Binary64.canonical }
      var flags: ExceptionFlags = []
      let actual = Outcome(Binary32.toBinary64(a, &flags), flags)
      if actual != expected { mismatches.note("\(hex(UInt64(a))): \(actual), host \(expected)") }
    }
    mismatches.report(of: 1_000_000)
  }
}
