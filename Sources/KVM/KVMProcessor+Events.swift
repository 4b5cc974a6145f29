internal import CHost
internal import HostSystem

extension KVMProcessor {
  /// Exceptions and interrupts on their way into the guest (struct kvm_vcpu_events).
  package struct PendingEvents: Codable, Equatable, Sendable {
    package struct Exception: Codable, Equatable, Sendable {
      package var injected: UInt8 = 0
      package var vector: UInt8 = 0
      package var hasErrorCode: UInt8 = 0
      package var pending: UInt8 = 0
      package var errorCode: UInt32 = 0
      package var hasPayload: UInt8 = 0
      package var payload: UInt64 = 0
    }

    package struct Interrupt: Codable, Equatable, Sendable {
      package var injected: UInt8 = 0
      package var vector: UInt8 = 0
      package var isSoft: UInt8 = 0
      /// KVM_X86_SHADOW_INT_*: the instruction before was STI, or loaded SS.
      package var shadow: UInt8 = 0
    }

    package struct NonMaskable: Codable, Equatable, Sendable {
      package var injected: UInt8 = 0
      package var pending: UInt8 = 0
      package var masked: UInt8 = 0
    }

    /// System management mode, which boards do not use.
    package struct SystemManagement: Codable, Equatable, Sendable {
      package var active: UInt8 = 0
      package var pending: UInt8 = 0
      package var insideNonMaskable: UInt8 = 0
      package var latchedInit: UInt8 = 0
    }

    package var exception = Exception()
    package var interrupt = Interrupt()
    package var nonMaskable = NonMaskable()
    package var systemManagement = SystemManagement()
    /// Which of the fields count (KVM_VCPUEVENT_VALID_*).
    package var flags: UInt32 = 0
    package var tripleFaultPending: UInt8 = 0
  }

  static func events(of cpu: Descriptor) throws(KVMError) -> PendingEvents {
    var form = kvm_vcpu_events()
    try cpu.request(.getEvents, &form)
    return PendingEvents(
      exception: .init(
        injected: form.exception.injected, vector: form.exception.nr,
        hasErrorCode: form.exception.has_error_code, pending: form.exception.pending,
        errorCode: form.exception.error_code, hasPayload: form.exception_has_payload,
        payload: form.exception_payload),
      interrupt: .init(
        injected: form.interrupt.injected, vector: form.interrupt.nr, isSoft: form.interrupt.soft,
        shadow: form.interrupt.shadow),
      nonMaskable: .init(injected: form.nmi.injected, pending: form.nmi.pending, masked: form.nmi.masked),
      systemManagement: .init(
        active: form.smi.smm, pending: form.smi.pending, insideNonMaskable: form.smi.smm_inside_nmi,
        latchedInit: form.smi.latched_init),
      flags: form.flags, tripleFaultPending: form.triple_fault.pending)
  }

  func setEvents(_ events: PendingEvents) throws(KVMError) {
    var form = kvm_vcpu_events()
    form.exception.injected = events.exception.injected
    form.exception.nr = events.exception.vector
    form.exception.has_error_code = events.exception.hasErrorCode
    form.exception.pending = events.exception.pending
    form.exception.error_code = events.exception.errorCode
    form.exception_has_payload = events.exception.hasPayload
    form.exception_payload = events.exception.payload
    form.interrupt.injected = events.interrupt.injected
    form.interrupt.nr = events.interrupt.vector
    form.interrupt.soft = events.interrupt.isSoft
    form.interrupt.shadow = events.interrupt.shadow
    form.nmi.injected = events.nonMaskable.injected
    form.nmi.pending = events.nonMaskable.pending
    form.nmi.masked = events.nonMaskable.masked
    form.smi.smm = events.systemManagement.active
    form.smi.pending = events.systemManagement.pending
    form.smi.smm_inside_nmi = events.systemManagement.insideNonMaskable
    form.smi.latched_init = events.systemManagement.latchedInit
    form.triple_fault.pending = events.tripleFaultPending
    // What is pending is meant to be as it was, not as it happens to be here.
    form.flags = events.flags | UInt32(KVM_VCPUEVENT_VALID_NMI_PENDING)
    try descriptor.request(.setEvents, &form)
  }
}
