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

  /// In order of ports.
  package let mappings: [Mapping]
  private let report: @Sendable (String) -> Void

  /// `report` gets a line about each access that went wrong, rate-limited by the caller's own log.
  package init(
    _ mappings: [Mapping], report: @escaping @Sendable (String) -> Void
  ) throws(MMIOBus.BuildError) {
    self.mappings = mappings.sorted { $0.base < $1.base }
    self.report = report
    for (lower, upper) in zip(self.mappings, self.mappings.dropFirst())
    where Int(upper.base - lower.base) < lower.device.portCount {
      throw .overlap(lower.device.name, upper.device.name)
    }
  }

  /// Reads `width` bytes (1, 2 or 4) at a port. What nobody answers reads as all ones and is reported.
  package func read(port: UInt16, width: Int) -> UInt32 {
    let ones = UInt32.max >> UInt32(32 - 8 * width)
    do {
      let (device, offset) = try find(port, width: width)
      return try device.readPort(offset: offset, width: width) & ones
    } catch {
      report("read of \(width) bytes at port 0x\(String(port, radix: 16)): \(error)")
      return ones
    }
  }

  /// Writes `width` bytes (1, 2 or 4) at a port. What nobody takes is reported and lost.
  package func write(port: UInt16, width: Int, value: UInt32) {
    do {
      let (device, offset) = try find(port, width: width)
      try device.writePort(offset: offset, width: width, value: value)
    } catch {
      report("write of \(width) bytes at port 0x\(String(port, radix: 16)): \(error)")
    }
  }

  /// There are few devices with ports: they are looked at one after the other.
  private func find(_ port: UInt16, width: Int) throws(BusFault) -> (any PortDevice, Int) {
    for mapping in mappings where mapping.base <= port {
      let offset = Int(port - mapping.base)
      if offset + width <= mapping.device.portCount { return (mapping.device, offset) }
    }
    throw .unclaimed
  }
}
