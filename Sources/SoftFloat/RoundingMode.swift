/// The rounding-direction attributes of IEEE 754-2019 (section 4.3), with the encoding of RISC-V's
/// `frm` field (unprivileged specification, "Floating-Point Control and Status Register").
///
/// The encodings 5 and 6 are reserved and 7 (`DYN`) is resolved by the decoder, so all three are
/// illegal here: `init(rawValue:)` answers nil.
@frozen @usableFromInline
package enum RoundingMode: UInt8, CaseIterable, Sendable {
  /// `RNE`: to nearest, ties to the even significand.
  case nearestEven = 0
  /// `RTZ`: toward zero.
  case towardZero = 1
  /// `RDN`: toward negative infinity.
  case down = 2
  /// `RUP`: toward positive infinity.
  case up = 3
  /// `RMM`: to nearest, ties away from zero.
  case nearestMaxMagnitude = 4
}
