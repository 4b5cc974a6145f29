/// An x86 board's decoder of I/O ports. Built before the machine runs, then only read, so that accesses
/// need no lock.
package final class PortBus: Sendable {
  /// A device and its first port.
  package struct Mapping: Sendable {
    package let base: UInt16
    package let device: any PortDevice

    package init(base: UInt16, device: any PortDevice) {
      self.base = base
      self.device = device
    }
  }

  private let decoder: AddressDecoder<Mapping>
  private let report: @Sendable (String) -> Void

  /// `report` gets a line about each access that went wrong, rate-limited by the caller's own log.
  package init(
    _ mappings: [Mapping], report: @escaping @Sendable (String) -> Void
  ) throws(MMIOBus.BuildError) {
    decoder = try AddressDecoder(mappings)
    self.report = report
  }

  /// Reads `width` bytes (1, 2 or 4) at a port. What nobody answers reads as all ones and is reported.
  package func read(port: UInt16, width: Int) -> UInt32 {
    let ones = UInt32.max >> UInt32(32 - 8 * width)
    do {
      let (mapping, offset) = try decoder.find(UInt64(port), width: width)
      return try mapping.device.readPort(offset: Int(offset), width: width) & ones
    } catch {
      report("read of \(width) bytes at port 0x\(String(port, radix: 16)): \(error)")
      return ones
    }
  }

  /// Writes `width` bytes (1, 2 or 4) at a port. What nobody takes is reported and lost.
  package func write(port: UInt16, width: Int, value: UInt32) {
    do {
      let (mapping, offset) = try decoder.find(UInt64(port), width: width)
      try mapping.device.writePort(offset: Int(offset), width: width, value: value)
    } catch {
      report("write of \(width) bytes at port 0x\(String(port, radix: 16)): \(error)")
    }
  }
}

extension PortBus.Mapping: AddressMapping {
  var start: UInt64 { UInt64(base) }
  var size: UInt64 { UInt64(device.portCount) }
  var name: String { device.name }
}
