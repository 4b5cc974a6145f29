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

  /// In order of address.
  package let mappings: [Mapping]
  private let report: @Sendable (String) -> Void

  /// `report` gets a line about each access that went wrong, rate-limited by the caller's own log.
  package init(_ mappings: [Mapping], report: @escaping @Sendable (String) -> Void) throws(BuildError) {
    self.mappings = mappings.sorted { $0.base < $1.base }
    self.report = report
    for (lower, upper) in zip(self.mappings, self.mappings.dropFirst())
    where upper.base - lower.base < lower.device.registerSpace {
      throw .overlap(lower.device.name, upper.device.name)
    }
  }

  /// Reads `width` bytes at a physical address. What nobody answers reads as all ones and is reported.
  package func read(address: UInt64, width: Int) -> UInt64 {
    let ones = UInt64.max >> UInt64(64 - 8 * width)
    do {
      let (device, offset) = try find(address, width: width)
      return try device.read(offset: offset, width: width) & ones
    } catch {
      report("read of \(width) bytes at 0x\(String(address, radix: 16)): \(error)")
      return ones
    }
  }

  /// Writes `width` bytes at a physical address. What nobody takes is reported and lost.
  package func write(address: UInt64, width: Int, value: UInt64) {
    do {
      let (device, offset) = try find(address, width: width)
      try device.write(offset: offset, width: width, value: value)
    } catch {
      report("write of \(width) bytes at 0x\(String(address, radix: 16)): \(error)")
    }
  }

  /// Whether a device decodes the address.
  package func claims(_ address: UInt64) -> Bool { (try? find(address, width: 1)) != nil }

  private func find(_ address: UInt64, width: Int) throws(BusFault) -> (any MMIODevice, UInt64) {
    var low = 0
    var high = mappings.count
    while low < high {
      let middle = (low + high) / 2
      if mappings[middle].base <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { throw .unclaimed }
    let mapping = mappings[low - 1]
    let offset = address - mapping.base
    guard offset < mapping.device.registerSpace, UInt64(width) <= mapping.device.registerSpace - offset
    else { throw .unclaimed }
    return (mapping.device, offset)
  }
}
