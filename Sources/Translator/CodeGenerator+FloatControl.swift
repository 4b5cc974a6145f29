internal import Assembler

/// Exception flags and rounding mode as the guest's instructions see them. Compilers and mathematical functions
/// save the flags before and put them back after comparisons that must not raise any, so this is not rare.
extension CodeGenerator {
  /// Puts the accumulated flags in rax, and MXCSR where it can be looked at.
  private mutating func collectFlags() {
    assembler.stmxcsr(field(FloatConstants.status))
    assembler.mov(.w32, .rax, field(FloatConstants.status))
    assembler.and(.w32, .rax, 0x3F)
    assembler.movzx(
      .rax, Address(base: HostRegisters.context, index: .rax, displacement: FloatConstants.flags), from: .w8)
    assembler.or(.w32, .rax, field(ContextLayout.floatFlags))
  }

  mutating func floatReadFlags(_ i: Instruction) {
    guard i.destination != 0 else { return }
    collectFlags()
    store(.rax, to: i.destination)
    forget(i.destination)
  }

  mutating func floatReadRounding(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let work = target(i.destination)
    assembler.mov(.w32, work, field(ContextLayout.floatRounding))
    store(work, to: i.destination)
    forget(i.destination)
  }

  /// The new flags are in MXCSR as well: writing that is slow, and they are mostly those that it has already.
  mutating func floatExchangeFlags(_ i: Instruction) {
    noteFloat()
    load(i.a, into: .rcx)
    assembler.and(.w32, .rcx, 31)
    collectFlags()
    assembler.mov(.w32, field(ContextLayout.floatFlags), .rcx)
    assembler.movzx(
      .rcx, Address(base: HostRegisters.context, index: .rcx, displacement: FloatConstants.hostFlags),
      from: .w8)
    assembler.mov(.w32, .rdx, field(ContextLayout.floatRounding))
    assembler.or(
      .w32, .rcx,
      Address(
        base: HostRegisters.context, index: .rdx, scale: .x4, displacement: FloatConstants.controls))
    let same = assembler.newLabel()
    assembler.cmp(.w32, .rcx, field(FloatConstants.status))
    assembler.jumpShort(.e, to: same)
    assembler.mov(.w32, field(FloatConstants.status), .rcx)
    assembler.ldmxcsr(field(FloatConstants.status))
    assembler.bind(same)
    store(.rax, to: i.destination)
    forget(i.destination)
  }
}
