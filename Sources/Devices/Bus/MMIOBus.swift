/// The board's decoder of physical addresses that are not RAM. Built before the machine runs, then
/// only read, so that accesses need no lock.
package final class MMIOBus: Sendable {
  /// A device and where it sits.
  package struct Mapping: Sendable {
    package let base: UInt64
    package let device: any MMIODevice

    package init(base: UInt64, device: any MMIODevice) {
      self.base = base
      self.device = device
    }
  }

  package enum BuildError: Error, Equatable {
    /// Two devices claim the same addresses.
    case overlap(String, String)
  }

  private let decoder: AddressDecoder<Mapping>
  private let report: @Sendable (String) -> Void

  /// `report` gets a line about each access that went wrong, rate-limited by the caller's own log.
  package init(_ mappings: [Mapping], report: @escaping @Sendable (String) -> Void) throws(BuildError) {
    decoder = try AddressDecoder(mappings)
    self.report = report
  }

  /// Reads `width` bytes at a physical address. What nobody answers reads as all ones and is reported.
  package func read(address: UInt64, width: Int) -> UInt64 {
    let ones = UInt64.max >> UInt64(64 - 8 * width)
    do {
      let (mapping, offset) = try decoder.find(address, width: width)
      return try mapping.device.read(offset: offset, width: width) & ones
    } catch {
      report("read of \(width) bytes at 0x\(String(address, radix: 16)): \(error)")
      return ones
    }
  }

  /// Writes `width` bytes at a physical address. What nobody takes is reported and lost.
  package func write(address: UInt64, width: Int, value: UInt64) {
    do {
      let (mapping, offset) = try decoder.find(address, width: width)
      try mapping.device.write(offset: offset, width: width, value: value)
    } catch {
      report("write of \(width) bytes at 0x\(String(address, radix: 16)): \(error)")
    }
  }

  /// Whether a device decodes the address.
  package func claims(_ address: UInt64) -> Bool { (try? decoder.find(address, width: 1)) != nil }
}

extension MMIOBus.Mapping: AddressMapping {
  var start: UInt64 { base }
  var size: UInt64 { device.registerSpace }
  var name: String { device.name }
}
