internal import Devices
internal import GuestMemory
internal import KVM

/// The board as a machine's lifecycle drives it.
extension PCBoard: MachineBoard {
  package var cpuCount: Int { machine.processors.count }

  package func powerOn(_ guest: LinuxGuest?) throws(BootError) {
    resetDevices()
    guard let guest else {
      guard firmware != nil else { throw .noKernel }
      return try reset(entering: .powerOn)
    }
    let tables = ACPITables.build(
      for: described.description(hasGenerationID: true), at: PCMap.rootPointer,
      capacity: PCMap.acpiTables.count)
    try put(tables.bytes, at: PCMap.rootPointer)
    generation.place = tables.generationID
    try put(ResetVector.code, at: PCMap.resetVector)
    let layout = try PCLoader.load(
      kernel: guest.kernel, initrd: guest.initrd, commandLine: guest.commandLine, memory: memory,
      map: PCMap.ram(size: UInt64(memory.size)).map, rootPointer: tables.rsdp,
      entropySeed: guest.entropySeed)
    try reset(entering: layout.entry)
  }

  private func reset(entering entry: KVMProcessor.Entry) throws(BootError) {
    do throws(KVMError) {
      for note in try machine.reset(entering: entry) { connections.report(note) }
    } catch {
      throw .hostRefused("the CPUs cannot be made ready", error.description)
    }
  }

  private func put(_ bytes: [UInt8], at address: UInt64) throws(BootError) {
    guard let slice = try? memory.slice(at: address, count: bytes.count) else {
      throw .kernelDoesNotFit(needed: address + UInt64(bytes.count), memory: UInt64(memory.size))
    }
    bytes.withUnsafeBytes { slice.copy(from: $0) }
  }

  /// Says that the guest goes on as another machine than it was, since it was restored or copied: it draws its random
  /// numbers anew.
  package func renewGeneration() {
    guard let place = generation.renew(),
      let slice = try? memory.slice(at: place.address, count: VMGenerationID.size)
    else { return }
    generation.identifier.withUnsafeBytes { slice.copy(from: $0) }
    power.raise(.generationChanged)
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
  package var codeBytes: UInt64 { 0 }
  package var exits: UInt64 { bus.accesses }
}
