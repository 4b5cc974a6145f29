internal import Devices
internal import GuestMemory
internal import HostSystem
internal import KVM

/// What firmware of its own finds on a board: QEMU's `q35`, as far as that goes.
extension PCBoard {
  /// The devices that ACPI's tables tell of.
  struct Described: Sendable {
    let processors: Int
    let power: ACPIPowerManagement
    let pci: PCIHostBridge
    let serial: UART16550
    let clock: CMOSClock
    let panic: PanicDevice
    let generation: GenerationCounter

    /// The board as it is now: firmware moves things. The generation ID is for a place that stays: firmware puts the
    /// tables where it likes and does not say where.
    func description(hasGenerationID: Bool) -> ACPITables.Board {
      var board = ACPITables.Board(processors: processors, power: (power, PCMap.Port.sleepControl))
      board.localAPIC = PCMap.localAPIC
      board.ioAPIC = PCMap.ioAPIC
      board.pci = (pci, PCMap.pciBuses)
      board.serial = (serial, PCMap.Port.serial)
      board.clock = clock
      board.devices = [(panic, UInt64(PanicDevice.base))]
      if hasGenerationID { board.generationID = generation.identifier }
      return board
    }
  }

  /// The PCI Express bus: below 4 GiB all that is neither RAM nor firmware's, above it everything behind RAM, since
  /// firmware puts ranges where it likes.
  static func expansionForFirmware(_ machine: KVMMachine) -> Expansion {
    let gibibyte: UInt64 = 1 << 30
    let start = max(PCMap.highMemory, (machine.memory.end + gibibyte - 1) & ~(gibibyte - 1))
    return Expansion(
      map: PCIHostBridge.AddressMap(
        ecam: PCMap.UEFI.pciConfiguration, memory32: PCMap.UEFI.pciMemory32,
        memory64: start..<max(start + gibibyte, 1 << UInt64(machine.system.physicalAddressBits)),
        movesECAM: true),
      identity: PCIHostBridge.q35Identity,
      others: [(LPCBridge.address, LPCBridge(powerManagement: PCMap.Port.sleepControl))])
  }

  /// What firmware is told: how much RAM there is and where, how many CPUs, and ACPI's tables.
  static func configuration(for machine: KVMMachine, _ described: Described) -> FirmwareConfiguration {
    let ram = machine.memory.regions.flatMap { region in
      MemoryMapEntry(range: region.base..<region.base + UInt64(region.size), kind: .usable).bytes
    }
    let tables = { @Sendable in ACPITables.build(for: described.description(hasGenerationID: false), at: 0) }
    return FirmwareConfiguration(
      processors: described.processors,
      files: [
        .init("etc/e820") { ram },
        .init(ACPITables.fileName) { tables().loaderFile },
        .init(ACPITables.commandsName) { tables().loaderCommands },
      ])
  }

  /// The flash memory with the firmware's variables, which guests read as memory.
  static func flash(
    _ firmware: PCFirmware, _ machine: KVMMachine, report: @escaping @Sendable (String) -> Void
  ) -> FlashMemory {
    FlashMemory(
      contents: firmware.variables,
      showContents: { shows in
        do throws(KVMError) {
          if shows {
            try machine.addReadOnly(firmware.variables, at: firmware.variablesAddress)
          } else {
            try machine.removeReadOnly(at: firmware.variablesAddress)
          }
        } catch { report("the firmware's variables: \(error)") }
      },
      keep: { firmware.keep($0, $1) })
  }

  /// Lets guests see the firmware, if the board has one.
  func showFirmware() throws(KVMError) {
    guard let firmware else { return }
    try machine.addReadOnly(firmware.code, at: firmware.codeAddress)
    try machine.addReadOnly(firmware.variables, at: firmware.variablesAddress)
  }
}
