/// What floating-point code needs from memory, in the context so that every block reaches it: by displacements
/// from the context register.
enum FloatConstants {
  private static let start = ContextLayout.floatConstants

  // Masks, sixteen bytes each; what is not named is zero.

  /// The upper half of a register that holds a single.
  static let box = start
  static let sign64 = start + 16
  static let magnitude64 = start + 32
  static let sign32 = start + 48
  /// All but the sign of a boxed single.
  static let magnitude32 = start + 64
  static let half64 = start + 208
  static let half32 = start + 216

  /// MXCSR for each rounding mode of the guest that the host has, 32 bits each: nearest even, towards zero,
  /// down, up.
  static let controls = start + 80
  /// MXCSR as Swift and C expect it.
  static let hostControl = start + 96
  /// Where MXCSR is stored to be looked at.
  static let status = start + 100
  /// The guest's exception flags for each value of MXCSR's six, a byte each.
  static let flags = start + 112
  /// The flags of MXCSR for each value of the guest's five, a byte each.
  static let hostFlags = start + 176

  /// All exceptions masked, no flag set, round to nearest (Intel SDM volume 1, 10.2.3).
  private static let defaultControl: UInt32 = 0x1F80

  /// Writes the constants into a context.
  static func install(in base: UnsafeMutableRawPointer) {
    let masks: [(Int32, UInt64)] = [
      (box, 0xFFFF_FFFF_0000_0000), (sign64, 1 << 63), (magnitude64, ~(1 << 63)), (sign32, 1 << 31),
      (magnitude32, ~(1 << 31)),
    ]
    for (displacement, mask) in masks {
      base.storeBytes(of: mask, toByteOffset: Int(displacement), as: UInt64.self)
    }
    base.storeBytes(of: 0.5, toByteOffset: Int(half64), as: Double.self)
    base.storeBytes(of: 0.5, toByteOffset: Int(half32), as: Float.self)
    for (mode, bits) in ([0, 3, 1, 2] as [UInt32]).enumerated() {
      base.storeBytes(
        of: defaultControl | bits << 13, toByteOffset: Int(controls) + 4 * mode, as: UInt32.self)
    }
    base.storeBytes(of: defaultControl, toByteOffset: Int(hostControl), as: UInt32.self)
    for status in 0..<64 as Range<UInt8> {
      let guest = guestFlags(status)
      base.storeBytes(of: guest, toByteOffset: Int(flags) + Int(status), as: UInt8.self)
      // Not by those with the denormal operand, which the guest does not know.
      if status & 2 == 0 {
        base.storeBytes(of: status, toByteOffset: Int(hostFlags) + Int(guest), as: UInt8.self)
      }
    }
  }

  /// MXCSR has invalid, denormal operand, division by zero, overflow, underflow and inexact from bit 0 on;
  /// the guest's flags are those but the second in reverse.
  private static func guestFlags(_ status: UInt8) -> UInt8 {
    var flags: UInt8 = 0
    for (bit, flag) in [(0, 4), (2, 3), (3, 2), (4, 1), (5, 0)] as [(UInt8, UInt8)]
    where status & 1 << bit != 0 { flags |= 1 << flag }
    return flags
  }
}
