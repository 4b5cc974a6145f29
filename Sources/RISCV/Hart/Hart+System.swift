internal import HostSystem
internal import Synchronization
internal import Translator

/// Instructions that change more than registers and memory. Each leaves the address of the next
/// instruction in the context.
extension Hart {
  /// Carries out a system instruction at the context's program counter.
  func executeSystem(_ instruction: Instruction) throws(Trap) {
    let pc = context.programCounter
    let next = pc &+ UInt64(instruction.length)
    guard let operation = SystemOperation(rawValue: instruction.info) else { throw illegal(instruction) }
    switch operation {
    case .csrReadWrite, .csrReadSet, .csrReadClear, .csrReadWriteImmediate, .csrReadSetImmediate,
      .csrReadClearImmediate:
      context.programCounter = next
      do { try accessCSR(operation, instruction) } catch {
        context.programCounter = pc
        throw error
      }
    case .ecall:
      if privilege == .user { throw Trap(cause: Trap.Cause.environmentCallFromUser, value: 0) }
      context.programCounter = next
      callSBI()
    case .ebreak: throw Trap(cause: Trap.Cause.breakpoint, value: pc)
    case .sret:
      guard privilege == .supervisor else { throw illegal(instruction) }
      returnFromTrap()
    case .wfi:
      guard privilege == .supervisor else { throw illegal(instruction) }
      context.programCounter = next
      waitForInterrupt()
    case .sfenceVMA, .sinvalVMA:
      guard privilege == .supervisor else { throw illegal(instruction) }
      context.programCounter = next
      let registers = context.registers
      fence(
        address: registers[Int(instruction.a)], pages: instruction.a == 0 ? nil : 1,
        space: instruction.b == 0 ? nil : registers[Int(instruction.b)] & 0xFFFF)
    case .sfenceWInval, .sfenceInvalIR:
      guard privilege == .supervisor else { throw illegal(instruction) }
      context.programCounter = next
    case .fenceI:
      // Writers drop what is derived from the pages they write; what other harts wrote is among the
      // requests that are served before the next instruction.
      context.programCounter = next
      serveRequests()
    case .cboZero:
      try requireEnvironment(1 << 7, instruction)
      try zeroBlock(context.registers[Int(instruction.a)])
      context.programCounter = next
    case .cboClean, .cboFlush:
      try requireEnvironment(1 << 6, instruction)
      context.programCounter = next
    case .cboInvalidate:
      try requireEnvironment(3 << 4, instruction)
      context.programCounter = next
    case .pause:
      context.programCounter = next
      hostYield()
    case .mret: throw illegal(instruction)
    }
  }

  func illegal(_ instruction: Instruction) -> Trap {
    Trap(cause: Trap.Cause.illegalInstruction, value: fetchForTrap(length: instruction.length))
  }

  /// The encoding at the program counter, for stval.
  private func fetchForTrap(length: UInt8) -> UInt64 {
    guard let low = try? fetchHalf(context.programCounter) else { return 0 }
    guard length == 4, let high = try? fetchHalf(context.programCounter &+ 2) else { return UInt64(low) }
    return UInt64(low) | UInt64(high) << 16
  }

  /// Sixteen bits of instruction memory.
  func fetchHalf(_ address: UInt64) throws(Trap) -> UInt16 {
    let page = try fetchPage(address)
    return UInt16(littleEndian: (page.host + Int(address & 0xFFE)).load(as: UInt16.self))
  }

  private func accessCSR(_ operation: SystemOperation, _ instruction: Instruction) throws(Trap) {
    let number = UInt16(truncatingIfNeeded: instruction.imm)
    let registers = context.registers
    let isImmediate: Bool
    switch operation {
    case .csrReadWriteImmediate, .csrReadSetImmediate, .csrReadClearImmediate: isImmediate = true
    default: isImmediate = false
    }
    let operand = isImmediate ? UInt64(instruction.a) : registers[Int(instruction.a)]
    guard let old = readCSR(number) else { throw csrFault(instruction) }
    var new: UInt64? = nil
    switch operation {
    case .csrReadWrite, .csrReadWriteImmediate: new = operand
    case .csrReadSet, .csrReadSetImmediate: if instruction.a != 0 { new = old | operand }
    default: if instruction.a != 0 { new = old & ~operand }
    }
    if let new, !writeCSR(number, new) { throw csrFault(instruction) }
    if instruction.destination != 0 { registers[Int(instruction.destination)] = old }
  }

  private func csrFault(_ instruction: Instruction) -> Trap {
    let next = context.programCounter
    context.programCounter = next &- UInt64(instruction.length)
    defer { context.programCounter = next }
    return illegal(instruction)
  }

  private func requireEnvironment(_ bits: UInt64, _ instruction: Instruction) throws(Trap) {
    if privilege == .user, state.pointee.environment & bits == 0 { throw illegal(instruction) }
  }

  /// Bytes that CBO.ZERO clears and the others name.
  package static let cacheBlock: UInt64 = 64

  private func zeroBlock(_ address: UInt64) throws(Trap) {
    let start = address & ~(Self.cacheBlock - 1)
    for offset in stride(from: UInt64(0), to: Self.cacheBlock, by: 8) {
      try slowStore(start &+ offset, width: 8, value: 0)
    }
  }

  /// WFI: sleeps until an enabled interrupt is pending, whether or not it will be taken.
  func waitForInterrupt() {
    while true {
      exitRequest.clear()
      serveRequests()
      checkTimer()
      if pendingInterrupts & state.pointee.interruptEnable != 0 || cluster.isHalted { break }
      if cluster.clock.isManual {
        let deadline = deadline.load(ordering: .relaxed)
        if deadline != .max { cluster.clock.advance(to: deadline) }
        checkTimer()
        break
      }
      park()
    }
    // The run loop looks at everything again before the next instruction.
    exitRequest.set()
  }
}
