import CHostFloat
import SoftFloat

/// What an operation gave: a value and the flags it raised.
struct Outcome: Equatable, CustomStringConvertible {
  var bits: UInt64
  var flags: ExceptionFlags

  init(_ bits: UInt64, _ flags: ExceptionFlags) {
    self.bits = bits
    self.flags = flags
  }

  init(_ result: volary_float_result) {
    self.init(result.bits, ExceptionFlags(rawValue: result.flags))
  }

  var description: String { "\(hex(bits)) flags \(flags.rawValue)" }
}

func hex(_ bits: UInt64) -> String { "0x" + String(bits, radix: 16) }

enum Operation: String, CaseIterable {
  case add, sub, mul, div, sqrt, fusedMultiplyAdd

  var host: volary_float_operation {
    switch self {
    case .add: VOLARY_FLOAT_ADD
    case .sub: VOLARY_FLOAT_SUB
    case .mul: VOLARY_FLOAT_MUL
    case .div: VOLARY_FLOAT_DIV
    case .sqrt: VOLARY_FLOAT_SQRT
    case .fusedMultiplyAdd: VOLARY_FLOAT_FMA
    }
  }
}

/// A format with the host's own arithmetic on it. Patterns are widened to 64 bits throughout.
protocol HostFormat: BinaryFormat {
  associatedtype Native: BinaryFloatingPoint
  static var is64: Bool { get }
  static func native(_ bits: UInt64) -> Native
  static func bits(_ native: Native) -> UInt64
  /// On the host's unit; `rounding` must be a mode it has.
  static func host(
    _ operation: Operation, _ rounding: RoundingMode, _ a: UInt64, _ b: UInt64, _ c: UInt64
  ) -> Outcome
  static func hostCompare(quiet: Bool, _ a: UInt64, _ b: UInt64) -> Outcome
  /// The C library's round(): to an integral value, ties away from zero.
  static func roundTiesAway(_ a: UInt64) -> UInt64
}

extension Binary64: HostFormat {
  static var is64: Bool { true }
  static func native(_ bits: UInt64) -> Double { Double(bitPattern: bits) }
  static func bits(_ native: Double) -> UInt64 { native.bitPattern }
  static func host(
    _ operation: Operation, _ rounding: RoundingMode, _ a: UInt64, _ b: UInt64, _ c: UInt64
  ) -> Outcome {
    Outcome(volary_float_arithmetic64(operation.host, rounding.rawValue, a, b, c))
  }
  static func hostCompare(quiet: Bool, _ a: UInt64, _ b: UInt64) -> Outcome {
    Outcome(volary_float_compare64(quiet, a, b))
  }
  static func roundTiesAway(_ a: UInt64) -> UInt64 { volary_float_round_ties_away64(a) }
}

extension Binary32: HostFormat {
  static var is64: Bool { false }
  static func native(_ bits: UInt64) -> Float { Float(bitPattern: UInt32(bits)) }
  static func bits(_ native: Float) -> UInt64 { UInt64(native.bitPattern) }
  static func host(
    _ operation: Operation, _ rounding: RoundingMode, _ a: UInt64, _ b: UInt64, _ c: UInt64
  ) -> Outcome {
    Outcome(
      volary_float_arithmetic32(
        operation.host, rounding.rawValue, UInt32(a), UInt32(b), UInt32(c)))
  }
  static func hostCompare(quiet: Bool, _ a: UInt64, _ b: UInt64) -> Outcome {
    Outcome(volary_float_compare32(quiet, UInt32(a), UInt32(b)))
  }
  static func roundTiesAway(_ a: UInt64) -> UInt64 { UInt64(volary_float_round_ties_away32(UInt32(a))) }
}

extension HostFormat {
  static var sign: UInt64 { 1 << (exponentBits + fractionBits) }
  static var infinityBits: UInt64 { (1 << exponentBits - 1) << fractionBits }
  static var smallestNormal: UInt64 { 1 << fractionBits }
  static var canonical: UInt64 { UInt64(canonicalNaN) }
  static func isNaN(_ bits: UInt64) -> Bool { bits & ~sign > infinityBits }
  static func isSignaling(_ bits: UInt64) -> Bool { isNaN(bits) && bits & (1 << (fractionBits - 1)) == 0 }

  /// The code under test.
  @inline(__always)
  static func soft(
    _ operation: Operation, _ rounding: RoundingMode, _ a: UInt64, _ b: UInt64, _ c: UInt64
  ) -> Outcome {
    let (a, b, c) = (Bits(truncatingIfNeeded: a), Bits(truncatingIfNeeded: b), Bits(truncatingIfNeeded: c))
    var flags: ExceptionFlags = []
    let result =
      switch operation {
      case .add: add(a, b, rounding, &flags)
      case .sub: sub(a, b, rounding, &flags)
      case .mul: mul(a, b, rounding, &flags)
      case .div: div(a, b, rounding, &flags)
      case .sqrt: sqrt(a, rounding, &flags)
      case .fusedMultiplyAdd: fusedMultiplyAdd(a, b, c, rounding, &flags)
      }
    return Outcome(UInt64(truncatingIfNeeded: result), flags)
  }
}
