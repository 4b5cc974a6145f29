/// A port that takes a kernel's first words, before it has a console: each byte written is a character. It
/// keeps no state.
package final class DebugPort: PortDevice {
  /// Where emulators of PCs have it.
  package static let base: UInt16 = 0xE9

  package let name: String
  package let portCount = 1
  private let output: @Sendable (UInt8) -> Void

  /// `output` is called with each character on the thread of the CPU that wrote.
  package init(name: String = "debug", output: @escaping @Sendable (UInt8) -> Void) {
    self.name = name
    self.output = output
  }

  package func reset() {}

  /// The port's own number, by which guests know that it is there.
  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    return UInt32(Self.base)
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == 0 else { throw .noRegister }
    guard width == 1 else { throw .badWidth }
    output(UInt8(truncatingIfNeeded: value))
  }
}
