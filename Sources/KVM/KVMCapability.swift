internal import CHost

/// Something that a kernel's KVM may be able to do (KVM_CHECK_EXTENSION).
package struct KVMCapability: Hashable, Sendable {
  package let number: UInt32
  /// The name in linux/kvm.h.
  package let name: String

  private init(_ number: Int32, _ name: String) {
    self.number = UInt32(number)
    self.name = name
  }

  // MARK: What every machine needs; all of it is there since Linux 4.13

  package static let userMemory = Self(KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY")
  package static let tssAddress = Self(KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR")
  package static let identityMapAddress = Self(KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR")
  package static let cpuid = Self(KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID")
  package static let activity = Self(KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE")
  package static let splitInterruptChip = Self(KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP")
  package static let routing = Self(KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING")
  package static let irqfd = Self(KVM_CAP_IRQFD, "KVM_CAP_IRQFD")
  package static let ioeventfd = Self(KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD")
  package static let signalMSI = Self(KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI")
  package static let events = Self(KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS")
  package static let debugRegisters = Self(KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS")
  package static let xsave = Self(KVM_CAP_XSAVE, "KVM_CAP_XSAVE")
  package static let xcrs = Self(KVM_CAP_XCRS, "KVM_CAP_XCRS")
  package static let clock = Self(KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK")
  package static let immediateExit = Self(KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT")
  package static let readOnlyMemory = Self(KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM")
  package static let deadlineTimer = Self(KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER")
  package static let tscFrequency = Self(KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ")

  package static let required = [
    userMemory, tssAddress, identityMapAddress, cpuid, activity, splitInterruptChip, routing, irqfd,
    ioeventfd,
    signalMSI, events, debugRegisters, xsave, xcrs, clock, immediateExit, readOnlyMemory, deadlineTimer,
    tscFrequency,
  ]

  // MARK: What is used where it is there

  /// How many virtual CPUs a machine can have.
  package static let mostCPUs = Self(KVM_CAP_MAX_VCPUS, "KVM_CAP_MAX_VCPUS")
  /// The dirty log is cleared by a request of its own, not by reading it.
  package static let manualDirtyLog = Self(
    KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, "KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2")
  /// Bytes of extended state, which may be more than struct kvm_xsave has.
  package static let xsaveSize = Self(KVM_CAP_XSAVE2, "KVM_CAP_XSAVE2")
  /// A guest's TSC can run at another frequency than the host's.
  package static let tscScaling = Self(KVM_CAP_TSC_CONTROL, "KVM_CAP_TSC_CONTROL")
  /// An ioeventfd may take writes of any width.
  package static let anyWidthDoorbells = Self(KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH")

  /// Names of the required capabilities for which `value` gives none.
  package static func missing(_ value: (KVMCapability) -> Int) -> [String] {
    required.filter { value($0) <= 0 }.map(\.name)
  }
}
