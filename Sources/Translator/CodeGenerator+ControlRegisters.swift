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
    if place == architecture.status?.status {
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
    guard let fields = architecture.status else { return callOut(i) }
    let (cold, back) = asSystem(i)
    if i.destination != 0 {
      requireCurrentStatus(else: cold)
      assembler.mov(.w64, .rax, field(fields.status))
      store(.rax, to: i.destination)
    }
    assembler.and(.w32, field(fields.status), ~(1 << Int32(fields.interruptEnable)))
    assembler.bind(back)
    forget(i.destination)
  }

  mutating func interruptsOn(_ i: Instruction) {
    guard let fields = architecture.status else { return callOut(i) }
    let bit = Int32(1) << Int32(fields.interruptEnable)
    if i.operation == .interruptsRestore, knownValue(i.a) == 1 << UInt64(fields.permitUserMemory) {
      return permitUserMemory(i, fields, true)
    }
    let (cold, back) = asSystem(i)
    if i.operation == .interruptsRestore {
      let general = assembler.newLabel()
      load(i.a, into: .rcx)
      assembler.test(.w64, .rcx, ~bit)
      assembler.jump(.ne, to: general)
      assembler.test(.w64, .rcx, .rcx)
      assembler.jump(.e, to: back)
      var set = i
      set.operation = .statusSet
      colds.append(Cold(kind: .changeStatus, entry: general, back: back, pc: pc, instruction: set))
    }
    assembler.mov(.w64, .rax, field(fields.pending))
    assembler.and(.w64, .rax, field(fields.enabled))
    assembler.jump(.ne, to: cold)
    assembler.or(.w32, field(fields.status), bit)
    assembler.bind(back)
  }

  /// The status register as a whole.
  mutating func changeStatus(_ i: Instruction) {
    guard let fields = architecture.status, thunks.changeStatus != 0 else { return callOut(i) }
    if i.operation == .statusClear, i.destination == 0,
      knownValue(i.a) == 1 << UInt64(fields.permitUserMemory)
    {
      return permitUserMemory(i, fields, false)
    }
    let (cold, back) = asSystem(i)
    requireCurrentStatus(else: cold)
    load(i.a, into: .rcx)
    switch i.operation {
    case .statusSet: assembler.or(.w64, .rcx, field(fields.status))
    case .statusClear:
      assembler.not(.w64, .rcx)
      assembler.and(.w64, .rcx, field(fields.status))
    default: break
    }
    call(thunk: thunks.changeStatus)
    assembler.jump(.b, to: cold)
    store(.rax, to: i.destination)
    assembler.bind(back)
    forget(i.destination)
  }

  /// The bit that permits access to user memory, alone: kernels set it around each such access.
  private mutating func permitUserMemory(_ i: Instruction, _ fields: StatusFields, _ permit: Bool) {
    let (cold, back) = asSystem(i)
    let bit = Int32(1) << Int32(fields.permitUserMemory)
    assembler.mov(.w64, .rcx, field(permit ? fields.viewWith : fields.viewWithout))
    assembler.test(.w64, .rcx, .rcx)
    assembler.jump(.e, to: cold)
    if permit {
      assembler.or(.w32, field(fields.status), bit)
    } else {
      assembler.and(.w32, field(fields.status), ~bit)
    }
    assembler.mov(.w64, field(ContextLayout.view), .rcx)
    assembler.mov(.w64, HostRegisters.view, .rcx)
    assembler.bind(back)
  }
}
