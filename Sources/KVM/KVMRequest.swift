internal import CHost
internal import HostSystem

/// A request to /dev/kvm, a virtual machine or a virtual CPU, with its name in linux/kvm.h.
struct KVMRequest: Sendable {
  let number: UInt
  let name: String

  private init(_ number: UInt, _ name: String) {
    self.number = number
    self.name = name
  }

  static let getVersion = Self(volary_kvm_get_api_version, "KVM_GET_API_VERSION")
  static let checkExtension = Self(volary_kvm_check_extension, "KVM_CHECK_EXTENSION")
  static let getRunSize = Self(volary_kvm_get_vcpu_mmap_size, "KVM_GET_VCPU_MMAP_SIZE")
  static let getSupportedCPUID = Self(volary_kvm_get_supported_cpuid, "KVM_GET_SUPPORTED_CPUID")
  static let getMSRIndexList = Self(volary_kvm_get_msr_index_list, "KVM_GET_MSR_INDEX_LIST")
  static let createVM = Self(volary_kvm_create_vm, "KVM_CREATE_VM")

  static let enableCapability = Self(volary_kvm_enable_cap, "KVM_ENABLE_CAP")
  static let setMemoryRegion = Self(volary_kvm_set_user_memory_region, "KVM_SET_USER_MEMORY_REGION")
  static let setTSSAddress = Self(volary_kvm_set_tss_addr, "KVM_SET_TSS_ADDR")
  static let setIdentityMapAddress = Self(volary_kvm_set_identity_map_addr, "KVM_SET_IDENTITY_MAP_ADDR")
  static let getDirtyLog = Self(volary_kvm_get_dirty_log, "KVM_GET_DIRTY_LOG")
  static let clearDirtyLog = Self(volary_kvm_clear_dirty_log, "KVM_CLEAR_DIRTY_LOG")
  static let setRouting = Self(volary_kvm_set_gsi_routing, "KVM_SET_GSI_ROUTING")
  static let signalMSI = Self(volary_kvm_signal_msi, "KVM_SIGNAL_MSI")
  static let irqfd = Self(volary_kvm_irqfd, "KVM_IRQFD")
  static let ioeventfd = Self(volary_kvm_ioeventfd, "KVM_IOEVENTFD")
  static let getClock = Self(volary_kvm_get_clock, "KVM_GET_CLOCK")
  static let setClock = Self(volary_kvm_set_clock, "KVM_SET_CLOCK")
  static let createCPU = Self(volary_kvm_create_vcpu, "KVM_CREATE_VCPU")

  static let run = Self(volary_kvm_run, "KVM_RUN")
  static let setCPUID = Self(volary_kvm_set_cpuid2, "KVM_SET_CPUID2")
  static let getRegisters = Self(volary_kvm_get_regs, "KVM_GET_REGS")
  static let setRegisters = Self(volary_kvm_set_regs, "KVM_SET_REGS")
  static let getSystemRegisters = Self(volary_kvm_get_sregs, "KVM_GET_SREGS")
  static let setSystemRegisters = Self(volary_kvm_set_sregs, "KVM_SET_SREGS")
  static let getDebugRegisters = Self(volary_kvm_get_debugregs, "KVM_GET_DEBUGREGS")
  static let setDebugRegisters = Self(volary_kvm_set_debugregs, "KVM_SET_DEBUGREGS")
  static let getMSRs = Self(volary_kvm_get_msrs, "KVM_GET_MSRS")
  static let setMSRs = Self(volary_kvm_set_msrs, "KVM_SET_MSRS")
  static let getXSave = Self(volary_kvm_get_xsave, "KVM_GET_XSAVE")
  static let getXSave2 = Self(volary_kvm_get_xsave2, "KVM_GET_XSAVE2")
  static let setXSave = Self(volary_kvm_set_xsave, "KVM_SET_XSAVE")
  static let getXCRs = Self(volary_kvm_get_xcrs, "KVM_GET_XCRS")
  static let setXCRs = Self(volary_kvm_set_xcrs, "KVM_SET_XCRS")
  static let getLocalAPIC = Self(volary_kvm_get_lapic, "KVM_GET_LAPIC")
  static let setLocalAPIC = Self(volary_kvm_set_lapic, "KVM_SET_LAPIC")
  static let getEvents = Self(volary_kvm_get_vcpu_events, "KVM_GET_VCPU_EVENTS")
  static let setEvents = Self(volary_kvm_set_vcpu_events, "KVM_SET_VCPU_EVENTS")
  static let getActivity = Self(volary_kvm_get_mp_state, "KVM_GET_MP_STATE")
  static let setActivity = Self(volary_kvm_set_mp_state, "KVM_SET_MP_STATE")
  static let getTSCFrequency = Self(volary_kvm_get_tsc_khz, "KVM_GET_TSC_KHZ")
  static let setTSCFrequency = Self(volary_kvm_set_tsc_khz, "KVM_SET_TSC_KHZ")
  static let notePause = Self(volary_kvm_kvmclock_ctrl, "KVM_KVMCLOCK_CTRL")
  static let interrupt = Self(volary_kvm_interrupt, "KVM_INTERRUPT")
  static let nonMaskableInterrupt = Self(volary_kvm_nmi, "KVM_NMI")

  /// Every request that is made once /dev/kvm is open: what a filter of system calls has to let through.
  /// Those that guest code's exits need come first.
  static let all = [
    run, signalMSI, setRouting, irqfd, ioeventfd, setMemoryRegion, getDirtyLog, clearDirtyLog,
    getVersion, checkExtension, getRunSize, getSupportedCPUID, getMSRIndexList, createVM, enableCapability,
    setTSSAddress, setIdentityMapAddress, getClock, setClock, createCPU, setCPUID, getRegisters, setRegisters,
    getSystemRegisters, setSystemRegisters, getDebugRegisters, setDebugRegisters, getMSRs, setMSRs, getXSave,
    getXSave2, setXSave, getXCRs, setXCRs, getLocalAPIC, setLocalAPIC, getEvents, setEvents, getActivity,
    setActivity, getTSCFrequency, setTSCFrequency, notePause, interrupt, nonMaskableInterrupt,
  ]
}

extension Descriptor {
  /// Makes a request with an integer; what ioctl(2) returns.
  @discardableResult
  func request(_ request: KVMRequest, _ argument: UInt = 0) throws(KVMError) -> Int32 {
    let status = volary_kvm_ioctl(raw, request.number, argument)
    guard status >= 0 else { throw .failed(request: request.name, Errno(-status)) }
    return status
  }

  /// Makes a request with a structure of the kernel's, which it reads, or fills, or both.
  @discardableResult
  func request<Argument>(_ request: KVMRequest, _ argument: inout Argument) throws(KVMError) -> Int32 {
    let status = withUnsafeMutablePointer(to: &argument) { volary_ioctl(raw, request.number, $0) }
    guard status >= 0 else { throw .failed(request: request.name, Errno(-status)) }
    return status
  }

  /// Makes a request with a structure that ends in an array, as words of 64 bits.
  @discardableResult
  func request(_ request: KVMRequest, words: inout [UInt64]) throws(KVMError) -> Int32 {
    let status = words.withUnsafeMutableBytes { volary_ioctl(raw, request.number, $0.baseAddress) }
    guard status >= 0 else { throw .failed(request: request.name, Errno(-status)) }
    return status
  }

  /// Makes a request with plain bytes, such as the registers of a local APIC.
  @discardableResult
  func request(_ request: KVMRequest, bytes: inout [UInt8]) throws(KVMError) -> Int32 {
    let status = bytes.withUnsafeMutableBytes { volary_ioctl(raw, request.number, $0.baseAddress) }
    guard status >= 0 else { throw .failed(request: request.name, Errno(-status)) }
    return status
  }
}
