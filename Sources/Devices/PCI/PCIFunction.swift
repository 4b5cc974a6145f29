/// A function on a PCI bus: a device as the bus's driver sees it.
package protocol PCIFunction: Device {
  /// Its configuration space, its ranges and its interrupts.
  var interface: PCIInterface { get }

  /// Reads bytes of the configuration space that lie in one word of four bytes.
  func readConfiguration(offset: Int, width: Int) -> UInt32

  /// Writes bytes of the configuration space that lie in one word of four bytes.
  func writeConfiguration(offset: Int, width: Int, value: UInt32)

  /// Reads `width` bytes (1, 2, 4 or 8) at an offset into the range of a base address register.
  func read(range: Int, offset: UInt64, width: Int) throws(BusFault) -> UInt64

  /// Writes `width` bytes (1, 2, 4 or 8) at an offset into the range of a base address register.
  func write(range: Int, offset: UInt64, width: Int, value: UInt64) throws(BusFault)
}

extension PCIFunction {
  package func readConfiguration(offset: Int, width: Int) -> UInt32 {
    interface.read(offset: offset, width: width)
  }

  package func writeConfiguration(offset: Int, width: Int, value: UInt32) {
    if interface.write(offset: offset, width: width, value: value).contains(.functionReset) { reset() }
  }

  package func read(range: Int, offset: UInt64, width: Int) throws(BusFault) -> UInt64 { throw .noRegister }
  package func write(range: Int, offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    throw .noRegister
  }
}
