/// A binary interchange format of IEEE 754-2019 (section 3.4), and through its extensions the
/// arithmetic on it: exact results and exact exception flags, in integer code alone.
///
/// Values are raw bit patterns. An operation takes the rounding mode and the flags it may add to; a
/// NaN it makes is always ``canonicalNaN``. Tininess is detected after rounding.
///
/// The formats share one core, which widens every pattern to 64 bits and depends on the format only
/// through the constants below. It is `@inlinable` throughout, and the types `@usableFromInline`, so
/// that a call on ``Binary32`` or ``Binary64`` compiles to code for that format, in whatever module
/// it is made. Without the latter attribute the conformances stay hidden from other modules, and
/// every operation takes ten times as long.
@usableFromInline
package protocol BinaryFormat {
  /// The unsigned integer that holds an encoded value.
  associatedtype Bits: FixedWidthInteger & UnsignedInteger & Sendable
  /// Width of the biased exponent field, w.
  static var exponentBits: Int { get }
  /// Width of the trailing significand field, t; the precision is one more.
  static var fractionBits: Int { get }
}

/// Single precision.
@frozen @usableFromInline
package enum Binary32: BinaryFormat {
  @usableFromInline package typealias Bits = UInt32
  @inlinable package static var exponentBits: Int { 8 }
  @inlinable package static var fractionBits: Int { 23 }
}

/// Double precision.
@frozen @usableFromInline
package enum Binary64: BinaryFormat {
  @usableFromInline package typealias Bits = UInt64
  @inlinable package static var exponentBits: Int { 11 }
  @inlinable package static var fractionBits: Int { 52 }
}

// MARK: - Encoded values

extension BinaryFormat {
  /// The NaN that every operation without a number for a result returns: quiet, positive, no payload.
  @inlinable package static var canonicalNaN: Bits { Bits(truncatingIfNeeded: defaultNaN) }

  @inlinable static var exponentBias: Int { 1 << (exponentBits - 1) - 1 }
  /// The biased exponent of infinities and NaNs.
  @inlinable static var maximumExponent: Int { 1 << exponentBits - 1 }

  @inlinable static var signMask: UInt64 { 1 << (exponentBits + fractionBits) }
  @inlinable static var fractionMask: UInt64 { 1 << fractionBits - 1 }
  /// The leading significand bit, which a normal number does not store.
  @inlinable static var implicitBit: UInt64 { 1 << fractionBits }
  @inlinable static var quietBit: UInt64 { 1 << (fractionBits - 1) }

  @inlinable static var infinity: UInt64 { UInt64(maximumExponent) << fractionBits }
  @inlinable static var largestFinite: UInt64 { infinity - 1 }
  @inlinable static var defaultNaN: UInt64 { infinity | quietBit }

  @inlinable @inline(__always)
  static func widen(_ value: Bits) -> UInt64 { UInt64(truncatingIfNeeded: value) }

  @inlinable @inline(__always)
  static func narrow(_ value: UInt64) -> Bits { Bits(truncatingIfNeeded: value) }

  @inlinable @inline(__always)
  static func biasedExponent(_ value: UInt64) -> Int {
    Int(truncatingIfNeeded: (value &>> UInt64(fractionBits)) & UInt64(maximumExponent))
  }

  @inlinable @inline(__always)
  static func magnitude(_ value: UInt64) -> UInt64 { value & (signMask - 1) }

  @inlinable @inline(__always)
  static func isNaN(_ value: UInt64) -> Bool { magnitude(value) > infinity }

  @inlinable @inline(__always)
  static func isSignalingNaN(_ value: UInt64) -> Bool { isNaN(value) && value & quietBit == 0 }

  /// The default NaN, as the result of an operation none of whose operands is to be blamed but for
  /// being a NaN: invalid is raised when one of them is signaling (section 6.2).
  @inlinable @inline(__always)
  static func propagateNaN(_ a: UInt64, _ b: UInt64, _ flags: inout ExceptionFlags) -> UInt64 {
    if isSignalingNaN(a) || isSignalingNaN(b) { flags.formUnion(.invalid) }
    return defaultNaN
  }

  /// The default NaN, as the result of an operation that has none (section 7.2).
  @inlinable @inline(__always)
  static func invalidOperation(_ flags: inout ExceptionFlags) -> UInt64 {
    flags.formUnion(.invalid)
    return defaultNaN
  }
}
