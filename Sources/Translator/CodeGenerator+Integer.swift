internal import Assembler

/// Integer arithmetic. Each function leaves the flags in no particular state and uses only the
/// scratch registers beside the operands' own.
extension CodeGenerator {
  private static func is32(_ operation: Operation) -> Bool {
    switch operation {
    case .add32, .subtract32, .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .multiply32,
      .rotateLeft32, .rotateRight32:
      true
    default: false
    }
  }

  /// Whether the second operand is the immediate alone, in 32 bits.
  private func immediate(_ i: Instruction) -> Int32? { i.b == 0 ? Int32(exactly: i.imm) : nil }

  /// The second operand in a register: its own, or `scratch`.
  private mutating func second(_ i: Instruction, _ scratch: Register) -> Register {
    if i.b == 0 {
      assembler.mov(.w64, scratch, i.imm)
      return scratch
    }
    if i.imm == 0 { return value(i.b, scratch) }
    load(i.b, into: scratch)
    if let short = Int32(exactly: i.imm) {
      assembler.add(.w64, scratch, short)
    } else {
      let other: Register = scratch == .rdx ? .rcx : .rdx
      assembler.mov(.w64, other, i.imm)
      assembler.add(.w64, scratch, other)
    }
    return scratch
  }

  /// Sign-extends a 32-bit result where the operation asks for it, and stores it.
  private mutating func finish(_ i: Instruction, _ work: Register) {
    if Self.is32(i.operation) { assembler.movsx(.w64, work, work, from: .w32) }
    store(work, to: i.destination)
    forget(i.destination)
  }

  mutating func arithmetic(_ i: Instruction) {
    guard i.destination != 0 else { return }
    if let a = knownValue(i.a), let b = i.b == 0 ? 0 : knownValue(i.b),
      let result = i.operation.evaluate(a, b &+ UInt64(bitPattern: i.imm))
    {
      setConstant(i.destination, result)
      know(i.destination, result)
      return
    }
    let work = target(i.destination)
    if let imm = immediate(i) {
      arithmeticImmediate(i, imm, work)
      return
    }
    if i.operation == .add, i.imm == 0, host(i.destination) != nil, let a = host(i.a), let b = host(i.b),
      a != work, b != work
    {
      assembler.lea(.w64, work, Address(base: a, index: b))
      forget(i.destination)
      return
    }
    if i.a == 0, i.operation == .add || i.operation == .or || i.operation == .xor {
      store(second(i, work), to: i.destination)
      forget(i.destination)
      return
    }
    var b = second(i, .rcx)
    if b == work, host(i.a) != work {
      // The destination is the second operand: keep it before it is overwritten.
      if i.operation != .subtract && i.operation != .subtract32 {
        combine(i.operation, work, with: i.a)
        finish(i, work)
        return
      }
      assembler.mov(.w64, .rcx, b)
      b = .rcx
    }
    load(i.a, into: work)
    assembler.arithmetic(Self.mnemonic(i.operation), Self.is32(i.operation) ? .w32 : .w64, work, b)
    finish(i, work)
  }

  /// `work = work op register`, the register taken from where it is.
  private mutating func combine(_ operation: Operation, _ work: Register, with register: UInt8) {
    let width: Width = Self.is32(operation) ? .w32 : .w64
    if register == 0 {
      assembler.arithmetic(Self.mnemonic(operation), width, work, 0)
    } else if let host = host(register) {
      assembler.arithmetic(Self.mnemonic(operation), width, work, host)
    } else {
      assembler.arithmetic(Self.mnemonic(operation), width, work, home(register))
    }
  }

  private mutating func arithmeticImmediate(_ i: Instruction, _ imm: Int32, _ work: Register) {
    switch i.operation {
    case .add where imm == 0:
      store(value(i.a, work), to: i.destination)
    case .add32 where imm == 0:
      if let a = host(i.a) {
        assembler.movsx(.w64, work, a, from: .w32)
      } else {
        assembler.movsx(.w64, work, home(i.a), from: .w32)
      }
      store(work, to: i.destination)
    case .add where i.destination == i.a && host(i.a) == nil:
      assembler.add(.w64, home(i.a), imm)
    case .add where host(i.a) != nil && host(i.a) != work:
      assembler.lea(.w64, work, Address(base: host(i.a)!, displacement: imm))
      store(work, to: i.destination)
    case .xor where imm == -1:
      load(i.a, into: work)
      assembler.not(.w64, work)
      store(work, to: i.destination)
    default:
      load(i.a, into: work)
      assembler.arithmetic(
        Self.mnemonic(i.operation), Self.is32(i.operation) ? .w32 : .w64, work, imm)
      if Self.is32(i.operation) { assembler.movsx(.w64, work, work, from: .w32) }
      store(work, to: i.destination)
    }
    forget(i.destination)
  }

  private static func mnemonic(_ operation: Operation) -> Arithmetic {
    switch operation {
    case .subtract, .subtract32: .sub
    case .and: .and
    case .or: .or
    case .xor: .xor
    default: .add
    }
  }

  mutating func shift(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let is32 = Self.is32(i.operation)
    let width: Width = is32 ? .w32 : .w64
    let work = target(i.destination)
    let mnemonic: Shift =
      switch i.operation {
      case .shiftLeft, .shiftLeft32: .shl
      case .shiftRight, .shiftRight32: .shr
      case .shiftRightArithmetic, .shiftRightArithmetic32: .sar
      case .rotateLeft, .rotateLeft32: .rol
      default: .ror
      }
    if i.b == 0 {
      load(i.a, into: work)
      let amount = UInt8(truncatingIfNeeded: i.imm) & (is32 ? 31 : 63)
      if amount != 0 { assembler.shift(mnemonic, width, work, by: amount) }
      finish(i, work)
      return
    }
    if features.flaglessShifts, mnemonic == .shl || mnemonic == .shr || mnemonic == .sar, i.imm == 0 {
      let count = value(i.b, .rcx)
      let a = value(i.a, .rax)
      switch mnemonic {
      case .shl: assembler.shlx(width, work, a, count: count)
      case .shr: assembler.shrx(width, work, a, count: count)
      default: assembler.sarx(width, work, a, count: count)
      }
      finish(i, work)
      return
    }
    let count = second(i, .rcx)
    if count != .rcx { assembler.mov(.w64, .rcx, count) }
    load(i.a, into: .rax)
    assembler.shift(mnemonic, width, .rax)
    finish(i, .rax)
  }

  /// Compares the first operand with the second.
  mutating func compare(_ i: Instruction) {
    if let imm = immediate(i) {
      if i.a != 0, host(i.a) == nil {
        assembler.cmp(.w64, home(i.a), imm)
      } else {
        let a = value(i.a, .rax)
        if imm == 0 { assembler.test(.w64, a, a) } else { assembler.cmp(.w64, a, imm) }
      }
      return
    }
    let a = value(i.a, .rax)
    if i.imm == 0, host(i.b) == nil {
      assembler.cmp(.w64, a, home(i.b))
    } else {
      assembler.cmp(.w64, a, second(i, .rcx))
    }
  }

  mutating func setLess(_ i: Instruction) {
    guard i.destination != 0 else { return }
    compare(i)
    assembler.setcc(i.operation == .setLess ? .l : .b, .rax)
    let work = target(i.destination)
    assembler.movzx(work, .rax, from: .w8)
    store(work, to: i.destination)
    forget(i.destination)
  }

  mutating func multiply(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let b = second(i, .rcx)
    load(i.a, into: .rax)
    assembler.imul(Self.is32(i.operation) ? .w32 : .w64, .rax, b)
    finish(i, .rax)
  }

  mutating func multiplyHigh(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let b = second(i, .rcx)
    load(i.a, into: .rax)
    if i.operation == .multiplyHigh { assembler.imul(.w64, b) } else { assembler.mul(.w64, b) }
    if i.operation == .multiplyHighSignedUnsigned {
      // A negative first operand counts 2^64 less than it did.
      load(i.a, into: .rax)
      assembler.sar(.w64, .rax, by: 63)
      assembler.and(.w64, .rax, b)
      assembler.sub(.w64, .rdx, .rax)
    }
    finish(i, .rdx)
  }

  mutating func divide(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let is32: Bool
    let isSigned: Bool
    let wantsRemainder: Bool
    switch i.operation {
    case .divide: (is32, isSigned, wantsRemainder) = (false, true, false)
    case .divideUnsigned: (is32, isSigned, wantsRemainder) = (false, false, false)
    case .remainder: (is32, isSigned, wantsRemainder) = (false, true, true)
    case .remainderUnsigned: (is32, isSigned, wantsRemainder) = (false, false, true)
    case .divide32: (is32, isSigned, wantsRemainder) = (true, true, false)
    case .divideUnsigned32: (is32, isSigned, wantsRemainder) = (true, false, false)
    case .remainder32: (is32, isSigned, wantsRemainder) = (true, true, true)
    default: (is32, isSigned, wantsRemainder) = (true, false, true)
    }
    let width: Width = is32 ? .w32 : .w64
    let b = second(i, .rcx)
    if b != .rcx { assembler.mov(width, .rcx, b) }
    load(i.a, into: .rax)
    let zero = assembler.newLabel()
    let minusOne = assembler.newLabel()
    let done = assembler.newLabel()
    assembler.test(width, .rcx, .rcx)
    assembler.jumpShort(.e, to: zero)
    if isSigned {
      assembler.cmp(width, .rcx, -1)
      assembler.jumpShort(.e, to: minusOne)
      if is32 { assembler.cdq() } else { assembler.cqo() }
      assembler.idiv(width, .rcx)
    } else {
      assembler.mov(.w32, .rdx, 0)
      assembler.div(width, .rcx)
    }
    if wantsRemainder { assembler.mov(width, .rax, .rdx) }
    assembler.jumpShort(to: done)
    if isSigned {
      assembler.bind(minusOne)
      if wantsRemainder { assembler.mov(.w32, .rax, 0) } else { assembler.neg(width, .rax) }
      assembler.jumpShort(to: done)
    }
    assembler.bind(zero)
    if !wantsRemainder { assembler.mov(.w64, .rax, -1) }
    assembler.bind(done)
    if is32 { assembler.movsx(.w64, .rax, .rax, from: .w32) }
    finish(i, .rax)
  }

  mutating func invertedLogic(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let b = second(i, .rcx)
    if b != .rcx { assembler.mov(.w64, .rcx, b) }
    load(i.a, into: .rax)
    if i.operation == .xorNot {
      assembler.xor(.w64, .rax, .rcx)
      assembler.not(.w64, .rax)
    } else {
      assembler.not(.w64, .rcx)
      assembler.arithmetic(i.operation == .andNot ? .and : .or, .w64, .rax, .rcx)
    }
    finish(i, .rax)
  }

  mutating func select(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let b = second(i, .rcx)
    load(i.a, into: .rax)
    assembler.cmp(.w64, .rax, b)
    let condition: Condition =
      switch i.operation {
      case .minimum: .g
      case .maximum: .l
      case .minimumUnsigned: .a
      default: .b
      }
    assembler.cmov(condition, .w64, .rax, b)
    finish(i, .rax)
  }

  mutating func countBits(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let a = value(i.a, .rax)
    switch i.operation {
    case .countLeadingZeros: assembler.lzcnt(.w64, .rax, a)
    case .countTrailingZeros: assembler.tzcnt(.w64, .rax, a)
    case .countOnes: assembler.popcnt(.w64, .rax, a)
    case .countLeadingZeros32: assembler.lzcnt(.w32, .rax, a)
    case .countTrailingZeros32: assembler.tzcnt(.w32, .rax, a)
    default: assembler.popcnt(.w32, .rax, a)
    }
    finish(i, .rax)
  }

  mutating func extend(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let a = value(i.a, .rax)
    let work = target(i.destination)
    switch i.operation {
    case .signExtend8: assembler.movsx(.w64, work, a, from: .w8)
    case .signExtend16: assembler.movsx(.w64, work, a, from: .w16)
    case .zeroExtend16: assembler.movzx(work, a, from: .w16)
    default:
      if a != work { assembler.mov(.w64, work, a) }
      assembler.bswap(.w64, work)
    }
    finish(i, work)
  }

  mutating func combineBytes(_ i: Instruction) {
    guard i.destination != 0 else { return }
    // As Operation.combineBytes: the sum carries a byte's low bits into its bit 7.
    load(i.a, into: .rax)
    assembler.mov(.w64, .rcx, 0x7F7F_7F7F_7F7F_7F7F)
    assembler.mov(.w64, .rdx, .rax)
    assembler.and(.w64, .rdx, .rcx)
    assembler.add(.w64, .rdx, .rcx)
    assembler.or(.w64, .rdx, .rax)
    assembler.not(.w64, .rcx)
    assembler.and(.w64, .rdx, .rcx)
    assembler.shr(.w64, .rdx, by: 7)
    assembler.imul(.w64, .rax, .rdx, 255)
    finish(i, .rax)
  }

  mutating func shiftAdd(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let amount = UInt8(truncatingIfNeeded: i.imm) & 63
    let isUnsigned32 = i.operation == .shiftAddUnsigned32
    if isUnsigned32 {
      if i.a == 0 {
        assembler.mov(.w32, .rax, 0)
      } else if let a = host(i.a) {
        assembler.mov(.w32, .rax, a)
      } else {
        assembler.mov(.w32, .rax, home(i.a))
      }
    } else {
      load(i.a, into: .rax)
    }
    if i.b == 0 || amount > 3 {
      if amount != 0 { assembler.shl(.w64, .rax, by: amount) }
      if i.b != 0 { assembler.add(.w64, .rax, value(i.b, .rcx)) }
    } else {
      let b = value(i.b, .rcx)
      let scale: Scale = amount == 0 ? .x1 : amount == 1 ? .x2 : amount == 2 ? .x4 : .x8
      assembler.lea(.w64, .rax, Address(base: b, index: .rax, scale: scale))
    }
    finish(i, .rax)
  }

  mutating func bit(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let amount = i.b == 0 ? Register.rcx : second(i, .rcx)
    load(i.a, into: .rax)
    let number = UInt8(truncatingIfNeeded: i.imm) & 63
    switch i.operation {
    case .bitSet:
      if i.b == 0 { assembler.bts(.w64, .rax, bit: number) } else { assembler.bts(.w64, .rax, amount) }
    case .bitClear:
      if i.b == 0 { assembler.btr(.w64, .rax, bit: number) } else { assembler.btr(.w64, .rax, amount) }
    case .bitInvert:
      if i.b == 0 { assembler.btc(.w64, .rax, bit: number) } else { assembler.btc(.w64, .rax, amount) }
    default:
      if i.b == 0 { assembler.bt(.w64, .rax, bit: number) } else { assembler.bt(.w64, .rax, amount) }
      assembler.setcc(.b, .rax)
      assembler.movzx(.rax, .rax, from: .w8)
    }
    finish(i, .rax)
  }

  mutating func keep(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let b = second(i, .rcx)
    load(i.a, into: .rax)
    assembler.mov(.w32, .rdx, 0)
    assembler.test(.w64, b, b)
    assembler.cmov(i.operation == .keepIfNonzero ? .e : .ne, .w64, .rax, .rdx)
    finish(i, .rax)
  }
}
