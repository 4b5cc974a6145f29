internal import CHost
internal import HostSystem

/// The smaller parts of a CPU's state, each as the kernel has it.
extension KVMProcessor {
  // MARK: - Debug registers

  /// DR0 to DR3, DR6 and DR7 (struct kvm_debugregs).
  package struct DebugRegisters: Codable, Equatable, Sendable {
    /// DR0 to DR3.
    package var addresses: [UInt64]
    package var dr6: UInt64
    package var dr7: UInt64
  }

  static func debugRegisters(of cpu: Descriptor) throws(KVMError) -> DebugRegisters {
    var form = kvm_debugregs()
    try cpu.request(.getDebugRegisters, &form)
    return DebugRegisters(
      addresses: [form.db.0, form.db.1, form.db.2, form.db.3], dr6: form.dr6, dr7: form.dr7)
  }

  func setDebugRegisters(_ registers: DebugRegisters) throws(KVMError) {
    guard registers.addresses.count == 4 else { throw .badState("its debug registers") }
    var form = kvm_debugregs()
    let addresses = registers.addresses
    form.db = (addresses[0], addresses[1], addresses[2], addresses[3])
    form.dr6 = registers.dr6
    form.dr7 = registers.dr7
    try descriptor.request(.setDebugRegisters, &form)
  }

  // MARK: - Extended state

  /// struct kvm_xcrs: how many and flags in a word, then 16 of a number and a value, then room.
  private static let xcrWords = MemoryLayout<kvm_xcrs>.size / 8
  private static let mostXCRs = Int(KVM_MAX_XCRS)

  static func xcrs(of cpu: Descriptor) throws(KVMError) -> [XCR] {
    var words = [UInt64](repeating: 0, count: xcrWords)
    try cpu.request(.getXCRs, words: &words)
    let count = min(mostXCRs, Int(UInt32(truncatingIfNeeded: words[0])))
    return (0..<count).map {
      XCR(number: UInt32(truncatingIfNeeded: words[1 + 2 * $0]), value: words[2 + 2 * $0])
    }
  }

  func setXCRs(_ xcrs: [XCR]) throws(KVMError) {
    guard xcrs.count <= Self.mostXCRs else { throw .badState("its extended control registers") }
    // A host whose processor has no XSAVE knows none.
    guard !xcrs.isEmpty else { return }
    var words = [UInt64](repeating: 0, count: Self.xcrWords)
    words[0] = UInt64(xcrs.count)
    for (place, xcr) in xcrs.enumerated() {
      words[1 + 2 * place] = UInt64(xcr.number)
      words[2 + 2 * place] = xcr.value
    }
    try descriptor.request(.setXCRs, words: &words)
  }

  static func xsave(of cpu: Descriptor, size: Int) throws(KVMError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: size)
    // The older request fills 4096 bytes, which the newer one may exceed.
    try cpu.request(size > 4096 ? .getXSave2 : .getXSave, bytes: &bytes)
    return bytes
  }

  func setXSave(_ state: [UInt8]) throws(KVMError) {
    var bytes = state + [UInt8](repeating: 0, count: max(0, xsaveSize - state.count))
    try descriptor.request(.setXSave, bytes: &bytes)
  }

  // MARK: - Local APIC

  static func localAPIC(of cpu: Descriptor) throws(KVMError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(KVM_APIC_REG_SIZE))
    try cpu.request(.getLocalAPIC, bytes: &bytes)
    return bytes
  }

  func setLocalAPIC(_ registers: [UInt8]) throws(KVMError) {
    guard registers.count == Int(KVM_APIC_REG_SIZE) else { throw .badState("its local APIC") }
    var bytes = registers
    try descriptor.request(.setLocalAPIC, bytes: &bytes)
  }

  // MARK: - Activity and time

  static func activity(of cpu: Descriptor) throws(KVMError) -> UInt32 {
    var form = kvm_mp_state()
    try cpu.request(.getActivity, &form)
    return form.mp_state
  }

  func setActivity(_ activity: UInt32) throws(KVMError) {
    var form = kvm_mp_state()
    form.mp_state = activity
    try descriptor.request(.setActivity, &form)
  }

  /// Gives the time-stamp counter a frequency in kHz; a line when the guest has to live with another.
  func setTSCFrequency(_ frequency: UInt32) -> String? {
    guard frequency != 0, let present = try? descriptor.request(.getTSCFrequency),
      UInt32(present) != frequency
    else { return nil }
    if system.value(of: .tscScaling) > 0, (try? descriptor.request(.setTSCFrequency, UInt(frequency))) != nil
    {
      return nil
    }
    return "CPU \(number): its time-stamp counter ran at \(frequency) kHz, and runs at \(present) kHz here"
  }
}
