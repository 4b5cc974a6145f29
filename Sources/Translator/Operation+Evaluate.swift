extension Operation {
  /// The value of an integer operation on `a` and the second operand `b` (with the immediate already
  /// added), where the operation is pure and takes no other; nil for the rest. The meaning of the
  /// representation's arithmetic is written here once: the interpreter runs it and constant folding
  /// and the tests of generated code ask it.
  ///
  /// `@inline(always)`, because the optimizer does not heed `@inline(__always)` in a caller as large as
  /// an interpreter, which would then pay for a call and a second dispatch.
  @inlinable @inline(always)
  package func evaluate(_ a: UInt64, _ b: UInt64) -> UInt64? {
    switch self {
    case .add: a &+ b
    case .subtract: a &- b
    case .and: a & b
    case .or: a | b
    case .xor: a ^ b
    case .shiftLeft: a &<< b
    case .shiftRight: a &>> b
    case .shiftRightArithmetic: UInt64(bitPattern: Int64(bitPattern: a) &>> Int64(bitPattern: b))
    case .add32: Self.extend(UInt32(truncatingIfNeeded: a) &+ UInt32(truncatingIfNeeded: b))
    case .subtract32: Self.extend(UInt32(truncatingIfNeeded: a) &- UInt32(truncatingIfNeeded: b))
    case .shiftLeft32: Self.extend(UInt32(truncatingIfNeeded: a) &<< UInt32(truncatingIfNeeded: b))
    case .shiftRight32: Self.extend(UInt32(truncatingIfNeeded: a) &>> UInt32(truncatingIfNeeded: b))
    case .shiftRightArithmetic32:
      UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: a) &>> Int32(truncatingIfNeeded: b)))
    case .setLess: Int64(bitPattern: a) < Int64(bitPattern: b) ? 1 : 0
    case .setLessUnsigned: a < b ? 1 : 0
    case .multiply: a &* b
    case .multiplyHigh:
      UInt64(bitPattern: Int64(bitPattern: a).multipliedFullWidth(by: Int64(bitPattern: b)).high)
    case .multiplyHighUnsigned: a.multipliedFullWidth(by: b).high
    case .multiplyHighSignedUnsigned:
      a.multipliedFullWidth(by: b).high &- (Int64(bitPattern: a) < 0 ? b : 0)
    case .multiply32: Self.extend(UInt32(truncatingIfNeeded: a) &* UInt32(truncatingIfNeeded: b))
    case .divide: UInt64(bitPattern: Self.quotient(Int64(bitPattern: a), Int64(bitPattern: b)))
    case .divideUnsigned: b == 0 ? .max : a / b
    case .remainder: UInt64(bitPattern: Self.rest(Int64(bitPattern: a), Int64(bitPattern: b)))
    case .remainderUnsigned: b == 0 ? a : a % b
    case .divide32:
      UInt64(bitPattern: Int64(Self.quotient(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b))))
    case .divideUnsigned32:
      UInt32(truncatingIfNeeded: b) == 0
        ? .max : Self.extend(UInt32(truncatingIfNeeded: a) / UInt32(truncatingIfNeeded: b))
    case .remainder32:
      UInt64(bitPattern: Int64(Self.rest(Int32(truncatingIfNeeded: a), Int32(truncatingIfNeeded: b))))
    case .remainderUnsigned32:
      UInt32(truncatingIfNeeded: b) == 0
        ? Self.extend(UInt32(truncatingIfNeeded: a))
        : Self.extend(UInt32(truncatingIfNeeded: a) % UInt32(truncatingIfNeeded: b))
    case .andNot: a & ~b
    case .orNot: a | ~b
    case .xorNot: ~(a ^ b)
    case .minimum: Int64(bitPattern: a) < Int64(bitPattern: b) ? a : b
    case .maximum: Int64(bitPattern: a) < Int64(bitPattern: b) ? b : a
    case .minimumUnsigned: a < b ? a : b
    case .maximumUnsigned: a < b ? b : a
    case .rotateLeft: (a &<< b) | (a &>> (0 &- b))
    case .rotateRight: (a &>> b) | (a &<< (0 &- b))
    case .rotateLeft32:
      Self.extend(Self.rotate(UInt32(truncatingIfNeeded: a), left: UInt32(truncatingIfNeeded: b)))
    case .rotateRight32:
      Self.extend(Self.rotate(UInt32(truncatingIfNeeded: a), left: 0 &- UInt32(truncatingIfNeeded: b)))
    case .countLeadingZeros: UInt64(truncatingIfNeeded: a.leadingZeroBitCount)
    case .countTrailingZeros: UInt64(truncatingIfNeeded: a.trailingZeroBitCount)
    case .countOnes: UInt64(truncatingIfNeeded: a.nonzeroBitCount)
    case .countLeadingZeros32:
      UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).leadingZeroBitCount)
    case .countTrailingZeros32:
      UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).trailingZeroBitCount)
    case .countOnes32: UInt64(truncatingIfNeeded: UInt32(truncatingIfNeeded: a).nonzeroBitCount)
    case .signExtend8: UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: a)))
    case .signExtend16: UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: a)))
    case .zeroExtend16: a & 0xFFFF
    case .reverseBytes: a.byteSwapped
    case .combineBytes: Self.combineBytes(a)
    case .bitSet: a | (1 &<< b)
    case .bitClear: a & ~(1 &<< b)
    case .bitInvert: a ^ (1 &<< b)
    case .bitExtract: (a &>> b) & 1
    case .keepIfNonzero: b != 0 ? a : 0
    case .keepIfZero: b == 0 ? a : 0
    default: nil
    }
  }

  @inlinable @inline(always)
  package static func extend(_ value: UInt32) -> UInt64 {
    UInt64(bitPattern: Int64(Int32(bitPattern: value)))
  }

  @inlinable @inline(always)
  static func quotient<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T {
    if b == 0 { return -1 }
    return b == -1 ? 0 &- a : a / b
  }

  @inlinable @inline(always)
  static func rest<T: FixedWidthInteger & SignedInteger>(_ a: T, _ b: T) -> T {
    if b == 0 { return a }
    return b == -1 ? 0 : a % b
  }

  @inlinable @inline(always)
  static func rotate(_ value: UInt32, left: UInt32) -> UInt32 {
    (value &<< left) | (value &>> (0 &- left))
  }

  /// Each byte with a set bit becomes 0xFF: the sum carries into bit 7 without leaving the byte.
  @inlinable @inline(always)
  static func combineBytes(_ value: UInt64) -> UInt64 {
    let low: UInt64 = 0x7F7F_7F7F_7F7F_7F7F
    let marks = ((((value & low) &+ low) | value) & ~low) &>> 7
    return marks &* 0xFF
  }
}
