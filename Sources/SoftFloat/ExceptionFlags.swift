/// The exceptions of IEEE 754-2019 (section 7) under default handling, with the encoding of RISC-V's
/// `fflags` field. Operations only ever set flags; clearing them is their owner's business.
@frozen @usableFromInline
package struct ExceptionFlags: OptionSet, Hashable, Sendable {
  @usableFromInline package let rawValue: UInt8

  @inlinable package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// `NX`: the rounded result differs from the exact one.
  @inlinable package static var inexact: Self { Self(rawValue: 1 << 0) }
  /// `UF`: the result is inexact, and tiny after rounding.
  @inlinable package static var underflow: Self { Self(rawValue: 1 << 1) }
  /// `OF`: the rounded result is beyond the largest finite number.
  @inlinable package static var overflow: Self { Self(rawValue: 1 << 2) }
  /// `DZ`: an exact infinite result from finite operands.
  @inlinable package static var divideByZero: Self { Self(rawValue: 1 << 3) }
  /// `NV`: no useful definable result.
  @inlinable package static var invalid: Self { Self(rawValue: 1 << 4) }
}
