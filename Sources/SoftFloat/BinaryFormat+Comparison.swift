extension BinaryFormat {
  /// a = b, a quiet predicate (IEEE 754-2019 section 5.11, compareQuietEqual): invalid is raised for
  /// a signaling NaN alone.
  @inlinable
  package static func eq(_ a: Bits, _ b: Bits, _ flags: inout ExceptionFlags) -> Bool {
    let a = widen(a)
    let b = widen(b)
    if isNaN(a) || isNaN(b) {
      _ = propagateNaN(a, b, &flags)
      return false
    }
    return a == b || magnitude(a | b) == 0
  }

  /// a < b, a signaling predicate (compareSignalingLess): invalid is raised for any NaN.
  @inlinable
  package static func lt(_ a: Bits, _ b: Bits, _ flags: inout ExceptionFlags) -> Bool {
    let a = widen(a)
    let b = widen(b)
    if isNaN(a) || isNaN(b) {
      flags.formUnion(.invalid)
      return false
    }
    return orderKey(a) < orderKey(b)
  }

  /// a <= b, a signaling predicate (compareSignalingLessEqual): invalid is raised for any NaN.
  @inlinable
  package static func le(_ a: Bits, _ b: Bits, _ flags: inout ExceptionFlags) -> Bool {
    let a = widen(a)
    let b = widen(b)
    if isNaN(a) || isNaN(b) {
      flags.formUnion(.invalid)
      return false
    }
    return orderKey(a) <= orderKey(b)
  }

  /// The lesser operand (IEEE 754-2019 section 9.6, minimumNumber): -0 is less than +0, a NaN loses
  /// against a number, and a signaling one raises invalid.
  @inlinable
  package static func min(_ a: Bits, _ b: Bits, _ flags: inout ExceptionFlags) -> Bits {
    let x = widen(a)
    let y = widen(b)
    if isNaN(x) || isNaN(y) { return numberAmong(x, y, &flags) }
    // Zeros tie; or-ing them finds the negative one.
    if magnitude(x | y) == 0 { return a | b }
    return orderKey(x) < orderKey(y) ? a : b
  }

  /// The greater operand (maximumNumber), with the rules of ``min(_:_:_:)``.
  @inlinable
  package static func max(_ a: Bits, _ b: Bits, _ flags: inout ExceptionFlags) -> Bits {
    let x = widen(a)
    let y = widen(b)
    if isNaN(x) || isNaN(y) { return numberAmong(x, y, &flags) }
    if magnitude(x | y) == 0 { return a & b }
    return orderKey(x) > orderKey(y) ? a : b
  }

  /// A signed integer that orders numbers as their values; both zeros are 0.
  @inlinable @inline(__always)
  static func orderKey(_ value: UInt64) -> Int64 {
    let magnitude = Int64(bitPattern: magnitude(value))
    return value & signMask == 0 ? magnitude : 0 &- magnitude
  }

  /// Of two operands, one of them at least a NaN, the one that is a number.
  @inlinable @inline(never)
  static func numberAmong(_ a: UInt64, _ b: UInt64, _ flags: inout ExceptionFlags) -> Bits {
    let none = propagateNaN(a, b, &flags)
    if !isNaN(a) { return narrow(a) }
    return narrow(isNaN(b) ? none : b)
  }
}
