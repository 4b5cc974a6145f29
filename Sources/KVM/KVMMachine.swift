internal import CHost
package import GuestMemory
internal import HostSystem
internal import Synchronization

/// A virtual machine of the kernel's: guest memory, virtual CPUs with their local APICs, interrupt routes,
/// doorbells, clock. Ports, addresses without memory and I/O APICs are the board's, behind a ``KVMBus``.
///
/// The kernel plays the local APICs and nothing else ("split" interrupt chip, docs/decisions/0008).
package final class KVMMachine: Sendable {
  /// More CPUs need APIC IDs that messages cannot name, and a wider topology than was tried.
  package static let mostCPUs = 64

  /// Guest-physical pages that KVM uses on Intel's processors while a CPU is in real mode: a page table and a
  /// task state segment of three pages behind it. The board keeps RAM and devices away from them.
  package static let reservedAddresses: Range<UInt64> = 0xFEFF_C000..<0xFF00_0000

  /// Who interrupts the CPUs.
  package enum InterruptChip: Equatable, Sendable {
    /// Local APICs in the kernel, an I/O APIC of so many inputs on the board.
    case split(inputs: Int)
    /// Nobody but ``KVMProcessor/interrupt(vector:)``; HLT comes out of the run loop. For measuring.
    case none
  }

  package let system: KVMSystem
  package let memory: GuestMemory
  package let interruptChip: InterruptChip
  /// In order of their numbers, which are their APIC IDs. The first starts the guest, the others wait for its
  /// startup message.
  package let processors: [KVMProcessor]
  let descriptor: Descriptor
  let slots: Mutex<MemorySlots>
  let routes: Mutex<RoutingTable>
  private let pauseSwitch = PauseSwitch()

  /// Builds a machine whose RAM is all of `memory`.
  ///
  /// `cpuid` is what guests are to be told of the processor, from a snapshot or another host; nil stands for all
  /// that this host supports, and more than that is left out. CPUs are in their power-on state.
  package init(
    system: KVMSystem, memory: GuestMemory, cpus: Int, interruptChip: InterruptChip = .split(inputs: 24),
    cpuid: CPUIDTable? = nil
  ) throws(KVMError) {
    guard cpus >= 1, cpus <= system.mostCPUs else {
      throw .tooManyCPUs(asked: cpus, most: system.mostCPUs)
    }
    self.system = system
    self.memory = memory
    self.interruptChip = interruptChip
    descriptor = Descriptor(owning: try system.device.request(.createVM))
    var inputs = 0
    try Self.reserveAddresses(descriptor)
    if case .split(let count) = interruptChip {
      inputs = count
      try Self.enable(.splitInterruptChip, UInt64(count), at: descriptor)
    }
    let clearsByHand = system.value(of: .manualDirtyLog) & Int(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE) != 0
    if clearsByHand {
      try Self.enable(.manualDirtyLog, UInt64(KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE), at: descriptor)
    }
    slots = Mutex(try MemorySlots(memory: memory, clearsByHand: clearsByHand, machine: descriptor))
    routes = Mutex(RoutingTable(inputs: inputs))
    let base = cpuid?.restricted(to: system.supportedCPUID) ?? system.supportedCPUID
    // The size of extended state depends on what the process was permitted when the machine was made.
    let xsaveSize = max(4096, KVMSystem.value(of: .xsaveSize, at: descriptor))
    var processors: [KVMProcessor] = []
    for number in 0..<cpus {
      processors.append(
        try KVMProcessor(
          number: number, system: system, machine: descriptor, memory: memory, pauseSwitch: pauseSwitch,
          cpuid: base.guest(cpu: number, of: cpus, hasLocalAPIC: interruptChip != .none),
          xsaveSize: xsaveSize, hasLocalAPIC: interruptChip != .none))
    }
    self.processors = processors
  }

  private static func reserveAddresses(_ machine: Descriptor) throws(KVMError) {
    var identityMap = reservedAddresses.lowerBound
    try machine.request(.setIdentityMapAddress, &identityMap)
    try machine.request(.setTSSAddress, UInt(reservedAddresses.lowerBound) + 0x1000)
  }

  private static func enable(
    _ capability: KVMCapability, _ argument: UInt64, at machine: Descriptor
  ) throws(KVMError) {
    var order = kvm_enable_cap()
    order.cap = capability.number
    order.args.0 = argument
    try machine.request(.enableCapability, &order)
  }

  // MARK: - Lifecycle

  /// Makes every CPU leave its run loop, and those that are run later come back at once, until ``resume()``.
  /// Whoever needs them still waits for their threads.
  package func pause() {
    pauseSwitch.set(true)
    for processor in processors { processor.kick() }
  }

  /// Lets CPUs run again. Their guests are told that time has passed, so that no watchdog of theirs barks.
  package func resume() {
    guard isPaused else { return }
    for processor in processors { processor.notePause() }
    pauseSwitch.set(false)
  }

  package var isPaused: Bool { pauseSwitch.isOn }

  /// Power-on: all CPUs as they start, the first about to enter the guest. No CPU may run. Returns a line about
  /// each register that could not be set, for the log.
  package func reset(entering entry: KVMProcessor.Entry) throws(KVMError) -> [String] {
    var notes: [String] = []
    for processor in processors {
      notes += try processor.reset()
      if entry != .powerOn { notes += try processor.setFirmwareRegisters() }
    }
    try processors[0].enter(entry)
    return notes
  }

  // MARK: - Time

  /// Nanoseconds on kvmclock, the clock that Linux guests keep time by.
  package func clock() throws(KVMError) -> UInt64 {
    var data = kvm_clock_data()
    try descriptor.request(.getClock, &data)
    return data.clock
  }

  /// Sets kvmclock: to what it was when a machine was saved, before its CPUs run.
  package func setClock(_ nanoseconds: UInt64) throws(KVMError) {
    var data = kvm_clock_data()
    data.clock = nanoseconds
    try descriptor.request(.setClock, &data)
  }
}
