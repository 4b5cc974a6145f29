internal import Devices
internal import RISCV

extension VirtBoard {
  package var build: BoardBuild {
    BoardBuild(
      board: "virt", engine: "translator", processors: Self.extensions.joined(separator: "_"),
      devices: virtioDevices.map { "\($0.deviceID)" })
  }

  private var virtioDevices: [any VirtioDevice] {
    virtio.map(\.device) + (pci?.functions ?? []).compactMap { ($0.function as? VirtioPCITransport)?.device }
  }

  package func name(parts: inout StateParts) throws {
    try parts.part(
      "clock", kind: "ticks", version: 1, get: { cluster.clock.now }, set: { cluster.clock.set(to: $0) })
    for hart in cluster.harts {
      try parts.part(
        "hart \(hart.id)", kind: Hart.stateKind, version: Hart.stateVersion, get: { hart.savedState },
        set: { hart.restore($0) })
    }
    // Before those whose wires end there: what they raise is to be found.
    try parts.device("interrupt controller", plic)
    try parts.device("serial", serial)
    try parts.device("real-time clock", clock)
    for (slot, transport) in virtio.enumerated() {
      try parts.virtio("virtio \(slot)", transport.device)
      try parts.device("virtio \(slot) registers", transport)
    }
    if let pci { try parts.bus(pci) }
  }

  package func forgetMemory() {
    for hart in cluster.harts { hart.forgetTranslations() }
  }

  package var goesBack: Bool { true }

  package func forgetContents() { cluster.forgetCode() }
}

extension StateParts {
  /// A PCI bus with its functions.
  mutating func bus(_ bus: PCIHostBridge) throws(MachineStateError) {
    try device("pci", bus)
    for (address, function) in bus.functions {
      if let bridge = function as? LPCBridge { try device("pci \(address)", bridge) }
      guard let transport = function as? VirtioPCITransport else { continue }
      try virtio("pci \(address)", transport.device)
      try device("pci \(address) registers", transport)
    }
  }
}
