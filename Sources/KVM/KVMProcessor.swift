internal import CHost
internal import GuestMemory
internal import HostSystem
internal import Synchronization

/// One virtual CPU. A thread of its own runs it; other threads may only ``kick()`` it. Everything else is for
/// whoever runs it, while it does not run.
package final class KVMProcessor: @unchecked Sendable {  // owner's thread only, but for what is atomic
  /// The CPU's number, which is its APIC ID.
  package let number: Int
  /// What the guest is told of the processor.
  package let cpuid: CPUIDTable
  package let hasLocalAPIC: Bool
  let system: KVMSystem
  let descriptor: Descriptor
  let area: RunArea
  let pauseSwitch: PauseSwitch
  /// Bytes that the kernel reads and writes as extended state.
  let xsaveSize: Int
  /// What the CPU is after power-on.
  let powerOnState: State
  /// The kernel's id of the thread that runs the CPU, 0 while none does.
  private let runner = Atomic<Int32>(0)
  /// Mapped for as long as the CPU can run in it.
  private let memory: GuestMemory

  init(
    number: Int, system: KVMSystem, machine: Descriptor, memory: GuestMemory, pauseSwitch: PauseSwitch,
    cpuid: CPUIDTable, xsaveSize: Int, hasLocalAPIC: Bool
  ) throws(KVMError) {
    self.number = number
    self.system = system
    self.memory = memory
    self.pauseSwitch = pauseSwitch
    self.cpuid = cpuid
    self.xsaveSize = xsaveSize
    self.hasLocalAPIC = hasLocalAPIC
    descriptor = Descriptor(owning: try machine.request(.createCPU, UInt(number)))
    do throws(Errno) { area = try RunArea(descriptor, size: system.runAreaSize) } catch {
      throw .failed(request: "mmap", error)
    }
    var words = cpuid.words
    try descriptor.request(.setCPUID, words: &words)
    powerOnState = try State(
      of: descriptor, stateRegisters: system.stateRegisters, xsaveSize: xsaveSize, hasLocalAPIC: hasLocalAPIC)
  }

  // MARK: - Running

  /// Makes the CPU come back from its run loop, or not enter guest code if it is about to. From any thread, at
  /// any time; kicks that come before the CPU has looked up are one.
  package func kick() {
    area.requestExit()
    let thread = runner.load(ordering: .sequentiallyConsistent)
    // Guest code runs on the host's processor and sees nothing of memory's changes: a signal brings it out. The
    // request comes first, so that a thread which is not there yet finds it.
    if thread != 0 { _ = volary_interrupt_thread(thread) }
  }

  /// Runs guest code until there is something that `bus` cannot answer.
  ///
  /// Whenever it returns, the last access has been completed and the state can be saved. A CPU that waits for an
  /// interrupt, or for its startup message, waits in here.
  package func run(bus: any KVMBus) -> KVMExit {
    runner.store(volary_accept_interrupts(), ordering: .sequentiallyConsistent)
    defer { runner.store(0, ordering: .sequentiallyConsistent) }
    // Looked at after the thread is known, or a pause that comes between would have nobody to interrupt.
    guard !pauseSwitch.isOn else { return .paused }
    while true {
      let status = volary_kvm_ioctl(descriptor.raw, volary_kvm_run, 0)
      if status >= 0 {
        if let exit = area.answer(bus) { return exit }
      } else if status == -Errno.interrupted.code || status == -Errno.again.code {
        // The access that the bus answered last was completed before this. Without a request it was somebody
        // else's signal, or a CPU that has just got its startup message.
        if area.takeExitRequest() { return pauseSwitch.isOn ? .paused : .kicked }
      } else {
        return .failed(Errno(-status))
      }
    }
  }

  /// Tells the guest that it was stopped for a while. Guests without kvmclock cannot be told.
  func notePause() { _ = try? descriptor.request(.notePause) }

  // MARK: - Interrupts without a local APIC

  /// Whether the run loop comes back as soon as the guest can take an interrupt.
  package var wantsInterruptWindow: Bool {
    get { area.requestsInterruptWindow }
    set { area.requestsInterruptWindow = newValue }
  }

  /// Whether the guest could take an interrupt when the run loop last came back.
  package var isReadyForInterrupt: Bool { area.isReadyForInterrupt }

  /// Has the guest take an external interrupt; for machines without local APICs.
  package func interrupt(vector: UInt8) throws(KVMError) {
    var order = kvm_interrupt()
    order.irq = UInt32(vector)
    try descriptor.request(.interrupt, &order)
  }

  /// Has the guest take a non-maskable interrupt, for which a stock kernel prints where it is.
  package func interruptNonMaskable() throws(KVMError) { try descriptor.request(.nonMaskableInterrupt) }
}
