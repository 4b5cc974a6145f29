internal import CHost

/// Registers as plain values, with the kernel's structures on the other side.
extension KVMProcessor {
  /// The general registers, the instruction pointer and the flags (struct kvm_regs).
  package struct GeneralRegisters: Codable, Equatable, Sendable {
    package var rax: UInt64 = 0
    package var rbx: UInt64 = 0
    package var rcx: UInt64 = 0
    package var rdx: UInt64 = 0
    package var rsi: UInt64 = 0
    package var rdi: UInt64 = 0
    package var rsp: UInt64 = 0
    package var rbp: UInt64 = 0
    package var r8: UInt64 = 0
    package var r9: UInt64 = 0
    package var r10: UInt64 = 0
    package var r11: UInt64 = 0
    package var r12: UInt64 = 0
    package var r13: UInt64 = 0
    package var r14: UInt64 = 0
    package var r15: UInt64 = 0
    package var rip: UInt64 = 0
    /// Bit 1 is always set.
    package var rflags: UInt64 = 2

    package init() {}

    init(_ form: kvm_regs) {
      (rax, rbx, rcx, rdx) = (form.rax, form.rbx, form.rcx, form.rdx)
      (rsi, rdi, rsp, rbp) = (form.rsi, form.rdi, form.rsp, form.rbp)
      (r8, r9, r10, r11) = (form.r8, form.r9, form.r10, form.r11)
      (r12, r13, r14, r15) = (form.r12, form.r13, form.r14, form.r15)
      (rip, rflags) = (form.rip, form.rflags)
    }

    var kernelForm: kvm_regs {
      kvm_regs(
        rax: rax, rbx: rbx, rcx: rcx, rdx: rdx, rsi: rsi, rdi: rdi, rsp: rsp, rbp: rbp, r8: r8, r9: r9,
        r10: r10,
        r11: r11, r12: r12, r13: r13, r14: r14, r15: r15, rip: rip, rflags: rflags)
    }
  }

  /// A segment register with its hidden part (Intel SDM volume 3A, 3.4.3; struct kvm_segment).
  package struct Segment: Codable, Equatable, Sendable {
    package var base: UInt64 = 0
    /// The last offset, in bytes.
    package var limit: UInt32 = 0
    package var selector: UInt16 = 0
    package var type: UInt8 = 0
    package var present: UInt8 = 0
    /// Descriptor privilege level.
    package var dpl: UInt8 = 0
    /// Default operation size: 1 for 32 bits.
    package var db: UInt8 = 0
    /// 1 for code and data, 0 for what the system has.
    package var s: UInt8 = 0
    /// 1 for 64-bit code.
    package var l: UInt8 = 0
    /// Granularity: 1 when the limit counts pages.
    package var g: UInt8 = 0
    package var avl: UInt8 = 0
    package var unusable: UInt8 = 0

    package init() {}

    init(_ form: kvm_segment) {
      (base, limit, selector, type) = (form.base, form.limit, form.selector, form.type)
      (present, dpl, db, s) = (form.present, form.dpl, form.db, form.s)
      (l, g, avl, unusable) = (form.l, form.g, form.avl, form.unusable)
    }

    var kernelForm: kvm_segment {
      kvm_segment(
        base: base, limit: limit, selector: selector, type: type, present: present, dpl: dpl, db: db, s: s,
        l: l,
        g: g, avl: avl, unusable: unusable, padding: 0)
    }
  }

  /// Where a descriptor table is (GDTR, IDTR).
  package struct DescriptorTable: Codable, Equatable, Sendable {
    package var base: UInt64 = 0
    package var limit: UInt16 = 0

    package init() {}

    init(_ form: kvm_dtable) { (base, limit) = (form.base, form.limit) }

    var kernelForm: kvm_dtable { kvm_dtable(base: base, limit: limit, padding: (0, 0, 0)) }
  }

  /// Segments, tables and control registers (struct kvm_sregs).
  package struct SystemRegisters: Codable, Equatable, Sendable {
    package var cs = Segment()
    package var ds = Segment()
    package var es = Segment()
    package var fs = Segment()
    package var gs = Segment()
    package var ss = Segment()
    package var tr = Segment()
    package var ldt = Segment()
    package var gdt = DescriptorTable()
    package var idt = DescriptorTable()
    package var cr0: UInt64 = 0
    package var cr2: UInt64 = 0
    package var cr3: UInt64 = 0
    package var cr4: UInt64 = 0
    package var cr8: UInt64 = 0
    package var efer: UInt64 = 0
    package var apicBase: UInt64 = 0
    /// An external interrupt that the CPU has accepted and not taken: the bit of its vector, in four words.
    package var acceptedInterrupts: [UInt64] = [0, 0, 0, 0]

    package init() {}

    init(_ form: kvm_sregs) {
      (cs, ds, es) = (Segment(form.cs), Segment(form.ds), Segment(form.es))
      (fs, gs, ss) = (Segment(form.fs), Segment(form.gs), Segment(form.ss))
      (tr, ldt) = (Segment(form.tr), Segment(form.ldt))
      (gdt, idt) = (DescriptorTable(form.gdt), DescriptorTable(form.idt))
      (cr0, cr2, cr3, cr4, cr8) = (form.cr0, form.cr2, form.cr3, form.cr4, form.cr8)
      (efer, apicBase) = (form.efer, form.apic_base)
      let words = form.interrupt_bitmap
      acceptedInterrupts = [words.0, words.1, words.2, words.3]
    }

    var kernelForm: kvm_sregs {
      var form = kvm_sregs()
      (form.cs, form.ds, form.es) = (cs.kernelForm, ds.kernelForm, es.kernelForm)
      (form.fs, form.gs, form.ss) = (fs.kernelForm, gs.kernelForm, ss.kernelForm)
      (form.tr, form.ldt) = (tr.kernelForm, ldt.kernelForm)
      (form.gdt, form.idt) = (gdt.kernelForm, idt.kernelForm)
      (form.cr0, form.cr2, form.cr3, form.cr4, form.cr8) = (cr0, cr2, cr3, cr4, cr8)
      (form.efer, form.apic_base) = (efer, apicBase)
      let words = acceptedInterrupts + [0, 0, 0, 0]
      form.interrupt_bitmap = (words[0], words[1], words[2], words[3])
      return form
    }
  }

  package func generalRegisters() throws(KVMError) -> GeneralRegisters {
    var form = kvm_regs()
    try descriptor.request(.getRegisters, &form)
    return GeneralRegisters(form)
  }

  package func setGeneralRegisters(_ registers: GeneralRegisters) throws(KVMError) {
    var form = registers.kernelForm
    try descriptor.request(.setRegisters, &form)
  }

  package func systemRegisters() throws(KVMError) -> SystemRegisters {
    var form = kvm_sregs()
    try descriptor.request(.getSystemRegisters, &form)
    return SystemRegisters(form)
  }

  package func setSystemRegisters(_ registers: SystemRegisters) throws(KVMError) {
    var form = registers.kernelForm
    try descriptor.request(.setSystemRegisters, &form)
  }
}
