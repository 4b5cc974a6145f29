internal import Devices
internal import GuestMemory
internal import KVM

/// The board as a machine's lifecycle drives it.
extension PCBoard: MachineBoard {
  package var cpuCount: Int { machine.processors.count }

  package func powerOn(_ guest: LinuxGuest) throws(BootError) {
    resetDevices()
    let tables = ACPITables.build(
      for: description, at: PCMap.rootPointer, capacity: PCMap.acpiTables.count)
    try put(tables.bytes, at: PCMap.rootPointer)
    try put(ResetVector.code, at: PCMap.resetVector)
    let layout = try PCLoader.load(
      kernel: guest.kernel, initrd: guest.initrd, commandLine: guest.commandLine, memory: memory,
      map: PCMap.ram(size: UInt64(memory.size)).map, rootPointer: tables.rsdp)
    do throws(KVMError) {
      for note in try machine.reset(entering: layout.entry) { connections.report(note) }
    } catch {
      throw .hostRefused("the CPUs cannot be made ready", error.description)
    }
  }

  /// What ACPI's tables tell of the board.
  private var description: ACPITables.Board {
    var board = ACPITables.Board(processors: cpuCount, power: (power, PCMap.Port.sleepControl))
    board.localAPIC = PCMap.localAPIC
    board.ioAPIC = PCMap.ioAPIC
    board.pci = (pci, PCMap.pciBuses)
    board.serial = (serial, PCMap.Port.serial)
    board.clock = clock
    board.devices = [(panic, UInt64(PanicDevice.base))]
    return board
  }

  private func put(_ bytes: [UInt8], at address: UInt64) throws(BootError) {
    guard let slice = try? memory.slice(at: address, count: bytes.count) else {
      throw .kernelDoesNotFit(needed: address + UInt64(bytes.count), memory: UInt64(memory.size))
    }
    bytes.withUnsafeBytes { slice.copy(from: $0) }
  }

  package func runCPU(_ number: Int) {
    let cpu = machine.processors[number]
    while true {
      switch cpu.run(bus: bus) {
      case .paused: return
      case .kicked, .interruptWindow: continue
      // What a triple fault is on a PC.
      case .shutdown, .systemEvent(.reset): return connections.power(.reset)
      case .systemEvent(.shutdown): return connections.power(.powerOff(code: nil))
      case .systemEvent(.crash): return connections.crashed()
      case let exit: return connections.failed("CPU \(number): \(exit)")
      }
    }
  }

  package func setHalted(_ isHalted: Bool) {
    if isHalted { machine.pause() } else { machine.resume() }
  }

  /// Timers are KVM's, and the clock's is the host's.
  package func runTimer() {}

  package func pressPowerButton() -> Bool {
    power.pressPowerButton()
    return true
  }

  package func end() { machine.pause() }

  package var instructionsRetired: [UInt64] { [] }
  package var exits: UInt64 { bus.accesses }
}
