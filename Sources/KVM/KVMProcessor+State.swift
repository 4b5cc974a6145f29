internal import CHost
internal import HostSystem

extension KVMProcessor {
  /// All that a CPU is between two instructions, but for guest memory and what the guest is told by CPUID
  /// (``KVMProcessor/cpuid``). Where the kernel has no fields but bytes, so has the state.
  package struct State: Codable, Equatable, Sendable {
    /// Names the state's type in a snapshot.
    package static let kind = "kvm-x86-64"
    /// Grows with every change of the state's meaning.
    package static let version = 1

    package var general: GeneralRegisters
    package var system: SystemRegisters
    package var debug: DebugRegisters
    package var events: PendingEvents
    package var msrs: [MSR]
    /// Extended control registers, by number.
    package var xcrs: [XCR]
    /// Floating-point and vector registers in the standard format of XSAVE (Intel SDM volume 1, 13.4).
    package var xsave: [UInt8]
    /// The local APIC's registers (struct kvm_lapic_state); nil without one.
    package var localAPIC: [UInt8]?
    /// What the CPU does: KVM_MP_STATE_*.
    package var activity: UInt32
    /// The frequency of the guest's time-stamp counter in kHz. The counter itself is an MSR.
    package var tscFrequency: UInt32
  }

  /// A model-specific register with its value.
  package struct MSR: Codable, Equatable, Sendable {
    package var index: UInt32
    package var value: UInt64

    package init(_ index: UInt32, _ value: UInt64) {
      self.index = index
      self.value = value
    }
  }

  /// An extended control register; number 0 says which state XSAVE knows.
  package struct XCR: Codable, Equatable, Sendable {
    package var number: UInt32
    package var value: UInt64

    package init(number: UInt32, value: UInt64) {
      self.number = number
      self.value = value
    }
  }

  /// The CPU's state. It must not run.
  package func state() throws(KVMError) -> State {
    try State(
      of: descriptor, stateRegisters: system.stateRegisters, xsaveSize: xsaveSize, hasLocalAPIC: hasLocalAPIC)
  }

  /// Gives the CPU a state, perhaps from another host. Returns a line about each register that this host's KVM
  /// does not take; what it refuses as a whole is thrown.
  @discardableResult
  package func restore(_ state: State) throws(KVMError) -> [String] {
    try restore(state, leavingOut: [])
  }

  /// Back to the state after power-on, but for the time-stamp counter, which the CPUs of a machine keep in step
  /// only as long as nobody sets it.
  func reset() throws(KVMError) -> [String] {
    try restore(powerOnState, leavingOut: [MSRIndex.tsc, MSRIndex.tscAdjust])
  }

  private func restore(_ state: State, leavingOut left: Set<UInt32>) throws(KVMError) -> [String] {
    guard state.xsave.count <= max(xsaveSize, 1 << 20) else {
      throw .badState("its extended state is too large")
    }
    guard (state.localAPIC != nil) == hasLocalAPIC else { throw .badState("its local APIC") }
    var notes: [String] = []
    if let note = setTSCFrequency(state.tscFrequency) { notes.append(note) }
    // Control registers decide what the others may be; the local APIC's base is among them.
    try setSystemRegisters(state.system)
    try setGeneralRegisters(state.general)
    try setXCRs(state.xcrs)
    try setXSave(state.xsave)
    try setDebugRegisters(state.debug)
    if let localAPIC = state.localAPIC { try setLocalAPIC(localAPIC) }
    // A deadline is taken only while the local APIC's timer is in that mode, and is counted by the TSC.
    let msrs = state.msrs.filter { !left.contains($0.index) && $0.index != MSRIndex.tscDeadline }
    let deadline = state.msrs.filter { $0.index == MSRIndex.tscDeadline }
    for msr in try setMSRs(msrs + deadline) where try self.msr(msr.index) != msr.value {
      notes.append(
        "CPU \(number): model-specific register 0x\(String(msr.index, radix: 16)) "
          + "cannot be 0x\(String(msr.value, radix: 16)) on this host")
    }
    try setActivity(state.activity)
    // Last, because others of these requests drop what is pending.
    try setEvents(state.events)
    return notes
  }
}

extension KVMProcessor.State {
  init(
    of cpu: Descriptor, stateRegisters: [UInt32], xsaveSize: Int, hasLocalAPIC: Bool
  ) throws(KVMError) {
    // First, because it has the kernel act on a startup message that waits.
    activity = try KVMProcessor.activity(of: cpu)
    var general = kvm_regs()
    try cpu.request(.getRegisters, &general)
    self.general = KVMProcessor.GeneralRegisters(general)
    var system = kvm_sregs()
    try cpu.request(.getSystemRegisters, &system)
    self.system = KVMProcessor.SystemRegisters(system)
    debug = try KVMProcessor.debugRegisters(of: cpu)
    xcrs = try KVMProcessor.xcrs(of: cpu)
    xsave = try KVMProcessor.xsave(of: cpu, size: xsaveSize)
    localAPIC = hasLocalAPIC ? try KVMProcessor.localAPIC(of: cpu) : nil
    msrs = try KVMProcessor.msrs(MSRIndex.all(stateRegisters), of: cpu)
    tscFrequency = UInt32((try? cpu.request(.getTSCFrequency)) ?? 0)
    events = try KVMProcessor.events(of: cpu)
  }
}
