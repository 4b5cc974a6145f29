internal import Assembler

extension Thunks {
  /// Emits ``changeStatus``.
  static func emitChangeStatus(_ assembler: inout X86Assembler, _ fields: StatusFields) -> UInt64 {
    func at(_ displacement: Int32) -> Address {
      Address(base: HostRegisters.context, displacement: displacement)
    }
    func bit(_ number: UInt8) -> Int32 { 1 << Int32(number) }
    let (unusual, floatSame, viewSame, interruptsOff, done) = (
      assembler.newLabel(), assembler.newLabel(), assembler.newLabel(), assembler.newLabel(),
      assembler.newLabel()
    )
    assembler.align(to: 16)
    let entry = assembler.executableAddress
    // The old value in rax, the new one in rdx, the bits that change in rcx.
    assembler.mov(.w64, .rax, at(fields.status))
    assembler.xor(.w64, .rcx, .rax)
    assembler.and(.w32, .rcx, fields.writable)
    assembler.mov(.w64, .rdx, .rcx)
    assembler.xor(.w64, .rdx, .rax)
    let looksFurther =
      bit(fields.interruptEnable) | bit(fields.permitUserMemory) | fields.floatState | fields.unusual
    assembler.test(.w32, .rcx, looksFurther)
    assembler.jump(.e, to: done)
    assembler.test(.w32, .rcx, fields.unusual)
    assembler.jump(.ne, to: unusual)

    assembler.test(.w32, .rcx, fields.floatState)
    assembler.jump(.e, to: floatSame)
    assembler.cmp(.w64, at(fields.floatMatters), 0)
    assembler.jump(.ne, to: unusual)
    assembler.push(.rcx)
    assembler.btr(.w64, .rdx, bit: fields.summary)
    assembler.mov(.w32, .rcx, .rdx)
    assembler.not(.w32, .rcx)
    assembler.test(.w32, .rcx, fields.floatState)
    assembler.pop(.rcx)
    assembler.jump(.ne, to: floatSame)
    assembler.bts(.w64, .rdx, bit: fields.summary)
    assembler.bind(floatSame)

    // Interrupts that are let in and pending.
    assembler.test(.w32, .rcx, bit(fields.interruptEnable))
    assembler.jump(.e, to: interruptsOff)
    assembler.test(.w32, .rdx, bit(fields.interruptEnable))
    assembler.jump(.e, to: interruptsOff)
    assembler.push(.rcx)
    assembler.mov(.w64, .rcx, at(fields.pending))
    assembler.test(.w64, at(fields.enabled), .rcx)
    assembler.pop(.rcx)
    assembler.jump(.ne, to: unusual)
    assembler.bind(interruptsOff)

    assembler.test(.w32, .rcx, bit(fields.permitUserMemory))
    assembler.jump(.e, to: viewSame)
    let isPermitted = assembler.newLabel()
    assembler.mov(.w64, .rcx, at(fields.viewWith))
    assembler.test(.w32, .rdx, bit(fields.permitUserMemory))
    assembler.jumpShort(.ne, to: isPermitted)
    assembler.mov(.w64, .rcx, at(fields.viewWithout))
    assembler.bind(isPermitted)
    assembler.test(.w64, .rcx, .rcx)
    assembler.jump(.e, to: unusual)
    assembler.mov(.w64, at(ContextLayout.view), .rcx)
    assembler.mov(.w64, HostRegisters.view, .rcx)
    assembler.bind(viewSame)

    assembler.bind(done)
    assembler.mov(.w64, at(fields.status), .rdx)
    assembler.clc()
    assembler.ret()

    assembler.bind(unusual)
    assembler.stc()
    assembler.ret()
    return entry
  }
}
