/// The enhanced configuration access mechanism: the configuration space in memory (PCI Express §7.2.2).
/// Buses but the first have no functions.
package final class PCIECAM: MMIODevice {
  package var name: String { "\(bridge.name)-ecam" }
  package let registerSpace: UInt64
  private let bridge: PCIHostBridge

  init(_ bridge: PCIHostBridge, buses: Int) {
    self.bridge = bridge
    registerSpace = UInt64(buses) * PCIHostBridge.busConfigurationSize
  }

  /// The bridge resets itself.
  package func reset() {}

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    try bridge.readConfiguration(at: offset, width: width)
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    try bridge.writeConfiguration(at: offset, width: width, value: value)
  }
}

/// Addresses of the CPU that lead to the bus's memory space.
package final class PCIWindow: MMIODevice {
  package var name: String { "\(bridge.name)-window" }
  package var registerSpace: UInt64 { range.upperBound - range.lowerBound }
  private let range: Range<UInt64>
  private let bridge: PCIHostBridge

  init(_ bridge: PCIHostBridge, _ range: Range<UInt64>) {
    self.bridge = bridge
    self.range = range
  }

  package func reset() {}

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    try bridge.readMemory(address: range.lowerBound + offset, width: width)
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    try bridge.writeMemory(address: range.lowerBound + offset, width: width, value: value)
  }
}

/// The ports by which PCs reach the configuration space: one for the address, one for the data
/// (PCI 3.0 §3.2.2.3.2).
package final class PCIConfigurationPorts: PortDevice {
  /// The first port of the eight.
  package static let base: UInt16 = 0xCF8
  /// The address register's bits: enable, bus, device, function, register.
  static let addressMask: UInt32 = 0x80FF_FFFC

  package var name: String { "\(bridge.name)-ports" }
  package let portCount = 8
  private let bridge: PCIHostBridge
  private let resetControl: ResetControlPort?

  init(_ bridge: PCIHostBridge, resetControl: ResetControlPort?) {
    self.bridge = bridge
    self.resetControl = resetControl
  }

  /// The bridge resets itself.
  package func reset() { resetControl?.reset() }

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    if let resetControl, Self.isResetControl(offset, width) {
      return try resetControl.readPort(offset: 0, width: 1)
    }
    guard offset >= 4 else {
      try Self.checkAddress(offset, width)
      return bridge.configurationAddress
    }
    let place = try place(offset)
    return try bridge.readConfiguration(
      bus: place.bus, function: place.function, offset: place.offset, width: width)
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    if let resetControl, Self.isResetControl(offset, width) {
      return try resetControl.writePort(offset: 0, width: 1, value: value)
    }
    guard offset >= 4 else {
      try Self.checkAddress(offset, width)
      bridge.configurationAddress = value
      return
    }
    let place = try place(offset)
    try bridge.writeConfiguration(
      bus: place.bus, function: place.function, offset: place.offset, width: width, value: value)
  }

  /// Whether an access is for the reset control register, which shares ports with the address.
  private static func isResetControl(_ offset: Int, _ width: Int) -> Bool {
    offset == Int(ResetControlPort.base - base) && width == 1
  }

  /// The address is reached as a whole only; narrower accesses are for other devices at these ports.
  private static func checkAddress(_ offset: Int, _ width: Int) throws(BusFault) {
    guard offset == 0, width == 4 else { throw .unclaimed }
  }

  private func place(_ offset: Int) throws(BusFault) -> (bus: Int, function: Int, offset: Int) {
    let address = bridge.configurationAddress
    guard address & 0x8000_0000 != 0 else { throw .unclaimed }
    return (Int(address >> 16 & 0xFF), Int(address >> 8 & 0xFF), Int(address & 0xFC) + offset - 4)
  }
}

extension PCIHostBridge {
  /// What the board puts on its memory bus: ECAM for as many `buses` as its map has room for, and the windows, in
  /// which it is if it can be moved.
  package func mappings(buses: Int = 1) -> [MMIOBus.Mapping] {
    let windows = [map.memory32, map.memory64].compactMap { $0 }
      .map { MMIOBus.Mapping(base: $0.lowerBound, device: PCIWindow(self, $0)) }
    if map.movesECAM { return windows }
    return [MMIOBus.Mapping(base: map.ecam, device: PCIECAM(self, buses: buses))] + windows
  }

  /// What a PC puts on its port bus.
  package var portMapping: PortBus.Mapping { portMapping(resetControl: nil) }

  /// As ``portMapping``, with the register among them that resets the machine.
  package func portMapping(resetControl: ResetControlPort?) -> PortBus.Mapping {
    PortBus.Mapping(
      base: PCIConfigurationPorts.base,
      device: PCIConfigurationPorts(self, resetControl: resetControl))
  }
}
