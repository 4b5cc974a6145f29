extension KVMProcessor {
  /// How the first CPU starts.
  package enum Entry: Equatable, Sendable {
    /// At the reset vector, 16 bytes below 4 GiB, in real mode: firmware.
    case powerOn
    /// At a kernel's PVH entry in 32-bit protected mode without paging (Xen, docs/misc/pvh.pandoc; the ELF note
    /// XEN_ELFNOTE_PHYS32_ENTRY), with the address of `hvm_start_info`.
    case pvh(address: UInt32, startInfo: UInt32)
    /// At a kernel's 64-bit entry (Linux, Documentation/arch/x86/boot.rst), with the address of `boot_params`.
    case linux64(address: UInt64, bootParameters: UInt64, tables: BootTables)
  }

  private enum Control {
    /// CR0.
    static let protection: UInt64 = 1 << 0
    static let extensionType: UInt64 = 1 << 4
    static let paging: UInt64 = 1 << 31
    /// CR4.
    static let physicalAddressExtension: UInt64 = 1 << 5
    /// EFER.
    static let longModeEnable: UInt64 = 1 << 8
    static let longModeActive: UInt64 = 1 << 10
  }

  /// Puts the CPU, which is in its power-on state, at an entry.
  func enter(_ entry: Entry) throws(KVMError) {
    switch entry {
    case .powerOn: return
    case .pvh(let address, let startInfo):
      var system = try systemRegisters()
      system.setFlatSegments(is64Bit: false)
      system.tr = .taskState32
      system.cr0 = Control.protection | Control.extensionType
      system.cr4 = 0
      try setSystemRegisters(system)
      var general = GeneralRegisters()
      general.rip = UInt64(address)
      general.rbx = UInt64(startInfo)
      try setGeneralRegisters(general)
    case .linux64(let address, let bootParameters, let tables):
      var system = try systemRegisters()
      system.setFlatSegments(is64Bit: true)
      system.gdt.base = tables.globalDescriptors
      system.gdt.limit = UInt16(BootTables.descriptors.count * 8 - 1)
      system.cr3 = tables.pageMapLevel4
      system.cr4 = Control.physicalAddressExtension
      system.efer = Control.longModeEnable | Control.longModeActive
      system.cr0 = Control.protection | Control.extensionType | Control.paging
      try setSystemRegisters(system)
      var general = GeneralRegisters()
      general.rip = address
      general.rsi = bootParameters
      try setGeneralRegisters(general)
    }
    try setActivity(0)  // KVM_MP_STATE_RUNNABLE
  }
}

extension KVMProcessor.SystemRegisters {
  /// All of memory as code and as data, of the highest privilege.
  fileprivate mutating func setFlatSegments(is64Bit: Bool) {
    var segment = KVMProcessor.Segment()
    segment.limit = .max
    segment.present = 1
    segment.s = 1
    segment.g = 1
    segment.type = 11  // code, readable, accessed
    segment.selector = BootTables.codeSelector
    segment.l = is64Bit ? 1 : 0
    segment.db = is64Bit ? 0 : 1
    cs = segment
    segment.type = 3  // data, writable, accessed
    segment.selector = BootTables.dataSelector
    segment.l = 0
    segment.db = 1
    (ds, es, fs, gs, ss) = (segment, segment, segment, segment, segment)
  }
}

extension KVMProcessor.Segment {
  /// A busy 32-bit task state segment at address 0, of the smallest size there is.
  fileprivate static var taskState32: Self {
    var segment = Self()
    segment.limit = 0x67
    segment.type = 11
    segment.present = 1
    return segment
  }
}
