package import Devices
internal import GuestMemory

extension PCIHostBridge {
  /// A bridge and a bus with virtio devices from place 1 on. `wire` gives INTA to INTD, by number; `attach` makes
  /// a device's transport, whose own interrupt it is handed. `others` are functions that are
  /// no virtio devices.
  convenience init(
    map: AddressMap, identity: PCIIdentity = genericIdentity,
    others: [(address: PCIAddress, function: any PCIFunction)] = [], wire: (Int) -> InterruptLine,
    devices: [any VirtioDevice], attach: (any VirtioDevice, InterruptLine) -> VirtioPCITransport
  ) {
    precondition(devices.count + others.count < 32)
    let interrupts = PCIInterruptRouter(lines: (0..<4).map(wire))
    self.init(
      map: map, identity: identity, interrupts: interrupts,
      functions: devices.enumerated().map { index, device in
        let address = PCIAddress(device: index + 1)
        return (address, attach(device, interrupts.interruptLine(of: address)))
      } + others)
  }

  /// Where the bus is on boards that lay it out themselves.
  static func map(ecam: UInt64, memory32: Range<UInt64>, ram: GuestMemory) -> AddressMap {
    AddressMap(ecam: ecam, memory32: memory32, memory64: memory64(behind: ram.end))
  }

  /// The bus's addresses above 4 GiB: 16 GiB, aligned to as many, behind the end of RAM.
  package static func memory64(behind end: UInt64) -> Range<UInt64> {
    let size: UInt64 = 0x4_0000_0000
    let base = max(size, (end + size - 1) & ~(size - 1))
    return base..<base + size
  }
}
