internal import Assembler

/// Control registers that generated code reads and writes itself: those that are nothing but a field, and the one
/// bit that kernels change all the time, whether interrupts are let in.
extension CodeGenerator {
  /// A label for where an instruction is carried out by the front end, and one for where it comes back to.
  private mutating func asSystem(_ i: Instruction) -> (entry: Label, back: Label) {
    var instruction = i
    instruction.operation = .system
    return interpretCold(instruction)
  }

  mutating func controlRead(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let place = architecture.controlFields[Int(i.c)]
    var back: Label?
    if place == architecture.interrupts?.status {
      let system = asSystem(i)
      requireCurrentStatus(else: system.entry)
      back = system.back
    }
    let work = target(i.destination)
    assembler.mov(.w64, work, field(place))
    store(work, to: i.destination)
    if let back { assembler.bind(back) }
    forget(i.destination)
  }

  mutating func controlExchange(_ i: Instruction) {
    let place = field(architecture.controlFields[Int(i.c)])
    load(i.a, into: .rcx)
    if i.b == 1 { assembler.and(.w64, .rcx, -2) }
    if i.destination != 0 {
      assembler.mov(.w64, .rax, place)
      store(.rax, to: i.destination)
      forget(i.destination)
    }
    assembler.mov(.w64, place, .rcx)
  }

  /// The status field is what the guest reads, unless floating-point instructions have left a note.
  private mutating func requireCurrentStatus(else cold: Label) {
    assembler.cmp(.w32, field(ContextLayout.floatTouched), 0)
    assembler.jump(.ne, to: cold)
  }

  mutating func interruptsOff(_ i: Instruction) {
    guard let interrupts = architecture.interrupts else { return callOut(i) }
    let (cold, back) = asSystem(i)
    if i.destination != 0 {
      requireCurrentStatus(else: cold)
      assembler.mov(.w64, .rax, field(interrupts.status))
      store(.rax, to: i.destination)
    }
    assembler.and(.w32, field(interrupts.status), ~(1 << Int32(interrupts.enableBit)))
    assembler.bind(back)
    forget(i.destination)
  }

  mutating func interruptsOn(_ i: Instruction) {
    guard let interrupts = architecture.interrupts else { return callOut(i) }
    let (cold, back) = asSystem(i)
    let bit = Int32(1) << Int32(interrupts.enableBit)
    if i.operation == .interruptsRestore {
      load(i.a, into: .rcx)
      assembler.test(.w64, .rcx, ~bit)
      assembler.jump(.ne, to: cold)
      assembler.test(.w64, .rcx, .rcx)
      assembler.jump(.e, to: back)
    }
    assembler.mov(.w64, .rax, field(interrupts.pending))
    assembler.and(.w64, .rax, field(interrupts.enabled))
    assembler.jump(.ne, to: cold)
    assembler.or(.w32, field(interrupts.status), bit)
    assembler.bind(back)
  }
}
