/// A device with registers among an x86 board's I/O ports.
package protocol PortDevice: Device {
  /// Ports that it decodes, one byte each.
  var portCount: Int { get }

  /// Reads `width` bytes (1, 2 or 4) from ports that begin `offset` behind the device's first.
  func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32

  /// Writes `width` bytes (1, 2 or 4) to ports that begin `offset` behind the device's first.
  func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault)
}
