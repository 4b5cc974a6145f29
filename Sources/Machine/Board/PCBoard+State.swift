internal import Devices
internal import KVM

extension PCBoard {
  package var build: BoardBuild {
    BoardBuild(
      board: firmware == nil ? "pc" : "pc with firmware", engine: "kvm", processors: processors,
      devices: pci.functions.compactMap { ($0.function as? VirtioPCITransport)?.device }.map {
        "\($0.deviceID)"
      })
  }

  /// What the guest was told of its processors (CPUID), as a number that two that differ hardly share (FNV-1a).
  private var processors: String {
    let words = machine.processors[0].cpuid.words
    let hash = words.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return "cpuid-" + String(hash, radix: 16)
  }

  package func name(parts: inout StateParts) throws {
    try parts.part(
      "kvmclock", kind: "nanoseconds", version: 1, get: { try machine.clock() },
      set: { try machine.setClock($0) })
    for cpu in machine.processors {
      try parts.part(
        "CPU \(cpu.number)", kind: KVMProcessor.State.kind, version: KVMProcessor.State.version,
        get: { try cpu.state() },
        set: { for note in try cpu.restore($0) { connections.report(note) } })
    }
    try parts.part(
      "generation", kind: "address", version: 1, get: { generation.place?.address },
      set: { generation.place = $0.flatMap { VMGenerationID(placedAt: $0) } })
    // Before those whose wires end there: what they raise is to be found.
    try parts.device("I/O APIC", ioAPIC)
    try parts.device("serial", serial)
    try parts.device("clock", clock)
    try parts.device("power management", power)
    for device in unlisted {
      if let control = device as? ResetControlPort { try parts.device("reset control", control) }
      if let progress = device as? POSTCodePort { try parts.device("progress", progress) }
      if let told = device as? FirmwareConfiguration { try parts.device("firmware configuration", told) }
      if let flash = device as? FlashMemory { try parts.device("firmware variables", flash) }
    }
    try parts.bus(pci)
  }

  /// The kernel follows what the process maps.
  package func forgetMemory() {}

  /// What of the kernel's own state of a CPU that has run would have to be undone first has not been tried.
  package var goesBack: Bool { false }

  package func forgetContents() {}
}
