/// What a virtual CPU reaches that is neither RAM nor in the kernel: ports, addresses, and the end of an
/// interrupt. Called on the CPU's own thread, from any CPU at once.
package protocol KVMBus: AnyObject, Sendable {
  /// Reads 1, 2 or 4 bytes from a port.
  func readPort(_ port: UInt16, width: Int) -> UInt32
  /// Writes 1, 2 or 4 bytes to a port.
  func writePort(_ port: UInt16, width: Int, value: UInt32)
  /// Reads 1, 2, 4 or 8 bytes at a physical address.
  func read(address: UInt64, width: Int) -> UInt64
  /// Writes 1, 2, 4 or 8 bytes at a physical address.
  func write(address: UInt64, width: Int, value: UInt64)
  /// A CPU has ended the interrupt of a vector that a level-triggered route of an I/O APIC's input has, so that
  /// the input is looked at again.
  func endOfInterrupt(vector: UInt8)
}
