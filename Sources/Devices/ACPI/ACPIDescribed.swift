/// A device that a board with ACPI describes to its guest. Devices whose objects need to know more of the
/// board have a `describe` of their own.
package protocol ACPIDescribed: Device {
  /// Adds the device's object to the scope of the system bus, `\_SB`. `base` is its first register: a port, or
  /// an address for those in memory. Interrupts are named by their controller's input, which is the global
  /// system interrupt on a board of one controller.
  func describe(in systemBus: inout AML.Block, at base: UInt64)
}
