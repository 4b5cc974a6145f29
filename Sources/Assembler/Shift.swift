/// Shifts and rotations. The raw values are the encoding's.
@usableFromInline package enum Shift: UInt8, CaseIterable, Sendable {
  case rol, ror, rcl, rcr, shl, shr
  case sar = 7

  /// The operation's number in the ModRM byte.
  @inlinable package var code: UInt8 { self == .sar ? 7 : unsafeBitCast(self, to: UInt8.self) }
}
