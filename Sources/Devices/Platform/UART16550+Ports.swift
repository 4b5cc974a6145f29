/// A serial port among a PC's I/O ports.
extension UART16550: PortDevice {
  package var portCount: Int { Int(Register.count) }

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset >= 0 else { throw .noRegister }
    return UInt32(truncatingIfNeeded: try read(offset: UInt64(offset), width: width))
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset >= 0 else { throw .noRegister }
    try write(offset: UInt64(offset), width: width, value: UInt64(value))
  }
}

extension UART16550: ACPIDescribed {
  /// The ports where PCs have their serial ports, in the order of their numbers.
  package static let ports: [UInt16] = [0x3F8, 0x2F8, 0x3E8, 0x2E8]

  package func describe(in systemBus: inout AML.Block, at base: UInt64) {
    let port = UInt16(truncatingIfNeeded: base)
    guard let index = Self.ports.firstIndex(of: port) else {
      preconditionFailure("no PC has a serial port at \(base)")
    }
    systemBus.device(AML.Name("COM\(index + 1)")) {
      $0.name("_HID", .eisaID("PNP0501"))
      $0.name("_UID", .integer(UInt64(index + 1)))
      $0.name(
        "_CRS",
        .resources([.ports(port, count: UInt8(portCount)), .interrupt(interrupt.input, .edge)]))
    }
  }
}
