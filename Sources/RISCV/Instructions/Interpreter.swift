package import Translator

/// What instructions do, written once: the reference for generated code and the core of the
/// interpreter's loop.
package enum Interpreter {
  /// Carries out one decoded instruction: registers and floating-point state are `context`'s, memory is
  /// reached through `memory`.
  ///
  /// `pc` holds the instruction's address, and afterwards that of the next one. A trap leaves it and the
  /// registers as they were. Instructions of the operation `.system` are the hart's, and illegal here; so
  /// is the question whether floating-point instructions are switched on
  /// (``Translator/Instruction/usesFloatingPoint``).
  ///
  /// Inlined where it is called, so call it in one place for each type of memory; other modules get the
  /// unspecialised form.
  @inline(always)
  package static func execute<Memory: MemoryAccess>(
    _ i: Instruction, pc: inout UInt64, context: Context, memory: inout Memory
  ) throws(Trap) {
    let x = context.registers
    let a = x[Int(i.a)]
    let b = x[Int(i.b)]
    let imm = UInt64(bitPattern: i.imm)
    let next = pc &+ UInt64(i.length)
    let result: UInt64

    if let value = i.operation.evaluate(a, b &+ imm) {
      result = value
    } else {
      switch i.operation {
      case .constant: result = imm
      case .addressOf: result = pc &+ imm
      case .shiftAdd: result = (a &<< imm) &+ b
      case .shiftAddUnsigned32: result = ((a & 0xFFFF_FFFF) &<< imm) &+ b

      case .load8: result = signExtended(try memory.load(a &+ imm, as: UInt8.self))
      case .load16: result = signExtended(try memory.load(a &+ imm, as: UInt16.self))
      case .load32: result = signExtended(try memory.load(a &+ imm, as: UInt32.self))
      case .load64:
        result = try memory.load(a &+ imm, as: UInt64.self)
        if i.destination >= 32 { markFloatTouched(context) }
      case .load8Unsigned: result = UInt64(try memory.load(a &+ imm, as: UInt8.self))
      case .load16Unsigned: result = UInt64(try memory.load(a &+ imm, as: UInt16.self))
      case .load32Unsigned: result = UInt64(try memory.load(a &+ imm, as: UInt32.self))
      case .loadFloat32:
        result = 0xFFFF_FFFF_0000_0000 | UInt64(try memory.load(a &+ imm, as: UInt32.self))
        markFloatTouched(context)

      case .store8:
        try memory.store(UInt8(truncatingIfNeeded: b), at: a &+ imm)
        pc = next
        return
      case .store16:
        try memory.store(UInt16(truncatingIfNeeded: b), at: a &+ imm)
        pc = next
        return
      case .store32:
        try memory.store(UInt32(truncatingIfNeeded: b), at: a &+ imm)
        pc = next
        return
      case .store64:
        try memory.store(b, at: a &+ imm)
        pc = next
        return

      case .branchEqual:
        pc = a == b ? pc &+ imm : next
        return
      case .branchNotEqual:
        pc = a != b ? pc &+ imm : next
        return
      case .branchLess:
        pc = Int64(bitPattern: a) < Int64(bitPattern: b) ? pc &+ imm : next
        return
      case .branchGreaterEqual:
        pc = Int64(bitPattern: a) >= Int64(bitPattern: b) ? pc &+ imm : next
        return
      case .branchLessUnsigned:
        pc = a < b ? pc &+ imm : next
        return
      case .branchGreaterEqualUnsigned:
        pc = a >= b ? pc &+ imm : next
        return
      case .jump:
        x[Int(i.destination)] = next
        x[0] = 0
        pc = pc &+ imm
        return
      case .jumpIndirect:
        x[Int(i.destination)] = next
        x[0] = 0
        pc = (a &+ imm) & ~1
        return

      case .loadReserved32: result = signExtended(try memory.loadReserved(a, as: UInt32.self))
      case .loadReserved64: result = try memory.loadReserved(a, as: UInt64.self)
      case .storeConditional32:
        result = try memory.storeConditional(UInt32(truncatingIfNeeded: b), at: a) ? 0 : 1
      case .storeConditional64:
        result = try memory.storeConditional(b, at: a) ? 0 : 1
      case .atomicSwap32: result = try atomic32(.swap, a, b, &memory)
      case .atomicAdd32: result = try atomic32(.add, a, b, &memory)
      case .atomicXor32: result = try atomic32(.xor, a, b, &memory)
      case .atomicAnd32: result = try atomic32(.and, a, b, &memory)
      case .atomicOr32: result = try atomic32(.or, a, b, &memory)
      case .atomicMinimum32: result = try atomic32(.minimum, a, b, &memory)
      case .atomicMaximum32: result = try atomic32(.maximum, a, b, &memory)
      case .atomicMinimumUnsigned32: result = try atomic32(.minimumUnsigned, a, b, &memory)
      case .atomicMaximumUnsigned32: result = try atomic32(.maximumUnsigned, a, b, &memory)
      case .atomicSwap64: result = try memory.atomic(a, .swap, b)
      case .atomicAdd64: result = try memory.atomic(a, .add, b)
      case .atomicXor64: result = try memory.atomic(a, .xor, b)
      case .atomicAnd64: result = try memory.atomic(a, .and, b)
      case .atomicOr64: result = try memory.atomic(a, .or, b)
      case .atomicMinimum64: result = try memory.atomic(a, .minimum, b)
      case .atomicMaximum64: result = try memory.atomic(a, .maximum, b)
      case .atomicMinimumUnsigned64: result = try memory.atomic(a, .minimumUnsigned, b)
      case .atomicMaximumUnsigned64: result = try memory.atomic(a, .maximumUnsigned, b)
      case .fence:
        memory.fence(Ordering(rawValue: i.info))
        pc = next
        return

      case .illegal:
        throw .illegalInstruction(imm)
      default:
        try executeFloat(i, context: context)
        pc = next
        return
      }
    }
    x[Int(i.destination)] = result
    x[0] = 0
    pc = next
  }

  /// The value sign-extended to a register's width.
  @inline(always)
  static func signExtended<T: FixedWidthInteger & UnsignedInteger>(_ value: T) -> UInt64 {
    let unused = UInt64(truncatingIfNeeded: 64 &- T.bitWidth)
    let bits = Int64(bitPattern: UInt64(truncatingIfNeeded: value) &<< unused)
    return UInt64(bitPattern: bits &>> Int64(bitPattern: unused))
  }

  /// An atomic operation on the low 32 bits.
  @inline(always)
  static func atomic32<Memory: MemoryAccess>(
    _ operation: AtomicOperation, _ address: UInt64, _ operand: UInt64, _ memory: inout Memory
  ) throws(Trap) -> UInt64 {
    signExtended(try memory.atomic(address, operation, UInt32(truncatingIfNeeded: operand)))
  }

  /// Notes that floating-point registers or flags were written: `mstatus.FS` has become dirty.
  @inline(always)
  static func markFloatTouched(_ context: Context) {
    context.half(ContextLayout.floatTouched).pointee = .max
  }
}
