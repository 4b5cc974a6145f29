package import Devices
internal import GuestMemory

extension PCIHostBridge {
  /// A bridge and a bus with virtio devices from place 1 on. `wire` gives INTA to INTD, by number; `attach` makes
  /// a device's transport, whose own interrupt it is handed.
  convenience init(
    ecam: UInt64, memory32: Range<UInt64>, ram: GuestMemory, wire: (Int) -> InterruptLine,
    devices: [any VirtioDevice], attach: (any VirtioDevice, InterruptLine) -> VirtioPCITransport
  ) {
    precondition(devices.count < 32)
    let interrupts = PCIInterruptRouter(lines: (0..<4).map(wire))
    let end = ram.regions.map { $0.base + UInt64($0.size) }.max() ?? 0
    self.init(
      map: AddressMap(ecam: ecam, memory32: memory32, memory64: Self.memory64(behind: end)),
      interrupts: interrupts,
      functions: devices.enumerated().map { index, device in
        let address = PCIAddress(device: index + 1)
        return (address, attach(device, interrupts.interruptLine(of: address)))
      })
  }

  /// The bus's addresses above 4 GiB: 16 GiB, aligned to as many, behind the end of RAM.
  package static func memory64(behind end: UInt64) -> Range<UInt64> {
    let size: UInt64 = 0x4_0000_0000
    let base = max(size, (end + size - 1) & ~(size - 1))
    return base..<base + size
  }
}
