internal import CHost
internal import HostSystem

extension KVMProcessor {
  /// KVM takes no more at a time (MAX_IO_MSRS is 256).
  private static let mostMSRs = 128

  /// The values of those registers that this host has.
  static func msrs(_ indices: [UInt32], of cpu: Descriptor) throws(KVMError) -> [MSR] {
    var found: [MSR] = []
    var rest = indices[...]
    while !rest.isEmpty {
      let part = rest.prefix(mostMSRs)
      var words = Self.words(part.map { MSR($0, 0) })
      let count = min(part.count, Int(try cpu.request(.getMSRs, words: &words)))
      for (place, index) in part.prefix(count).enumerated() { found.append(MSR(index, words[2 + 2 * place])) }
      // KVM stops at the first that it cannot read.
      rest = rest.dropFirst(count < part.count ? count + 1 : count)
    }
    return found
  }

  /// Sets registers; those that cannot be set to their values are left as they are and returned.
  func setMSRs(_ msrs: [MSR]) throws(KVMError) -> [MSR] {
    var refused: [MSR] = []
    var rest = msrs[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(Self.mostMSRs))
      var words = Self.words(part)
      let count = min(part.count, Int(try descriptor.request(.setMSRs, words: &words)))
      if count < part.count { refused.append(part[count]) }
      rest = rest.dropFirst(count < part.count ? count + 1 : count)
    }
    return refused
  }

  /// A register's value; nil when this host does not have it.
  package func msr(_ index: UInt32) throws(KVMError) -> UInt64? {
    try Self.msrs([index], of: descriptor).first?.value
  }

  /// struct kvm_msrs: how many, then each with its number and its value.
  private static func words(_ msrs: [MSR]) -> [UInt64] {
    [UInt64(msrs.count)] + msrs.flatMap { [UInt64($0.index), $0.value] }
  }

  /// What firmware leaves in registers for a kernel that is entered without any: all memory is cached unless page
  /// tables say otherwise, and string instructions are fast. A line about each that cannot be set.
  func setFirmwareRegisters() throws(KVMError) -> [String] {
    let enabledWriteBack: UInt64 = 1 << 11 | 6
    let fastStrings: UInt64 = 1
    let miscellaneous = try msr(MSRIndex.miscellaneousEnable) ?? 0
    let refused = try setMSRs([
      MSR(MSRIndex.memoryTypeDefault, enabledWriteBack),
      MSR(MSRIndex.miscellaneousEnable, miscellaneous | fastStrings),
    ])
    return refused.map {
      "CPU \(number): model-specific register 0x\(String($0.index, radix: 16)) cannot be set as firmware does"
    }
  }
}
