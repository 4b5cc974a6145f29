/// What is left of a PC's keyboard controller (8042): the command by which old kernels reset the machine. It
/// keeps no state.
package final class KeyboardResetPort: PortDevice {
  /// The controller's port of commands and status.
  package static let base: UInt16 = 0x64
  /// Pulses the output that is wired to the processors' reset pin.
  private static let pulseReset: UInt8 = 0xFE

  package let name: String
  package let portCount = 1
  private let request: @Sendable (PowerRequest) -> Void

  /// `request` is called on the thread of the CPU that wrote, which it must not wait for.
  package init(name: String = "keyboard-reset", request: @escaping @Sendable (PowerRequest) -> Void) {
    self.name = name
    self.request = request
  }

  package func reset() {}

  /// All ones, by which drivers see that there is no controller to wait for.
  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return 0xFF
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    if UInt8(truncatingIfNeeded: value) == Self.pulseReset { request(.reset) }
  }
}
