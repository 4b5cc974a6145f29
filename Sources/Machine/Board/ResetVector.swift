internal import Devices

/// The only code of the firmware that Volary stands in for: what a PC's processor finds where it begins, in real mode.
///
/// On a board whose ACPI is reduced to what machines need, Linux asks UEFI for a restart first, and where there is none
/// does as it would on the oldest PCs: it goes back to real mode and jumps here.
enum ResetVector {
  /// Sets the bit of the reset control port that resets the processors, and waits for that; at most 16 bytes.
  static let code: [UInt8] = [
    0xBA, UInt8(ResetControlPort.base & 0xFF), UInt8(ResetControlPort.base >> 8),  // mov dx, port
    0xB0, 0x06,  // mov al, a full reset
    0xEE,  // out dx, al
    0xF4,  // hlt
    0xEB, 0xFD,  // jmp to the hlt
  ]
}
