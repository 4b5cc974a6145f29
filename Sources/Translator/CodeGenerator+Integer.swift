internal import Assembler

/// Integer arithmetic. Each function leaves the flags in no particular state and uses only the
/// scratch registers beside the operands' own.
extension CodeGenerator {
  static func is32(_ operation: Operation) -> Bool {
    switch operation {
    case .add32, .subtract32, .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .multiply32,
      .rotateLeft32, .rotateRight32:
      true
    default: false
    }
  }

  /// How much of its operands an operation must take.
  private func width(_ i: Instruction) -> Width {
    switch i.operation {
    case .and, .or, .xor, .andNot: makesNarrow ? .w32 : .w64
    default: Self.is32(i.operation) ? .w32 : .w64
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

  /// Sign-extends a 32-bit result where the operation asks for it, and gives it to the destination.
  private mutating func finish(_ i: Instruction, _ work: Register) {
    if Self.is32(i.operation), !makesNarrow { assembler.movsx(.w64, work, work, from: .w32) }
    define(i.destination, in: work)
  }

  /// As ``finish(_:_:)``, where the host's flags are those of the result: a sign extension keeps them.
  private mutating func finishWithFlags(_ i: Instruction, _ work: Register) {
    finish(i, work)
    flags = .value(i.destination)
  }

  /// Makes a constant of an operation whose operands are known.
  private mutating func fold(_ i: Instruction) -> Bool {
    guard let a = knownValue(i.a), let b = i.b == 0 ? 0 : knownValue(i.b),
      let result = i.operation.evaluate(a, b &+ UInt64(bitPattern: i.imm))
    else { return false }
    constant(i, result)
    return true
  }

  mutating func constant(_ i: Instruction, _ value: UInt64) {
    guard i.destination != 0 else { return }
    let signed = Int64(bitPattern: value)
    let isPlace = i.operation == .constant && i.isPlace
    if let host = host(i.destination) {
      if value == 0 {
        assembler.zero(host)
      } else if isPlace {
        movePlace(host, value)
      } else {
        assembler.mov(.w64, host, signed)
      }
    } else if let short = Int32(exactly: signed) {
      dropHeld(i.destination)
      assembler.mov(.w64, home(i.destination), short)
    } else {
      let work = fresh()
      if isPlace { movePlace(work, value) } else { assembler.mov(.w64, work, signed) }
      define(i.destination, in: work)
    }
    if isPlace { forget(i.destination) } else { know(i.destination, value) }
  }

  mutating func arithmetic(_ i: Instruction) {
    guard i.destination != 0, !fold(i) else { return }
    if let imm = immediate(i) { return arithmeticImmediate(i, imm) }
    guard i.b != 0, i.imm == 0 else { return arithmeticGeneral(i) }
    let is32 = Self.is32(i.operation)
    let width = width(i)
    let isSubtraction = i.operation == .subtract || i.operation == .subtract32
    var (a, b) = (i.a, i.b)
    if a == 0 {
      if isSubtraction {
        let work = copy(b, for: i.destination, width)
        assembler.neg(width, work)
        return finishWithFlags(i, work)
      }
      if i.operation == .and { return constant(i, 0) }
      return is32 ? extendWord(i.destination, b) : move(i.destination, b)
    }
    let own = location(i.destination)
    if let own, location(b) == own, location(a) != own {
      // The second operand is where the result goes.
      if isSubtraction {
        let minuend = location(a)
        occupy(own)
        assembler.neg(width, own)
        if let minuend { assembler.add(width, own, minuend) } else { assembler.add(width, own, home(a)) }
        return finishWithFlags(i, own)
      }
      swap(&a, &b)
    }
    occupy(location(b))
    if i.operation == .add || i.operation == .add32, let first = location(a), let second = location(b),
      place(for: i.destination, outOf: a, is: first) == false
    {
      occupy(first)
      let work = host(i.destination) ?? fresh()
      assembler.lea(width, work, Address(base: first, index: second))
      return finish(i, work)
    }
    let work = copy(a, for: i.destination, width)
    if let second = location(b) {
      assembler.arithmetic(Self.mnemonic(i.operation), width, work, second)
    } else {
      assembler.arithmetic(Self.mnemonic(i.operation), width, work, home(b))
    }
    finishWithFlags(i, work)
  }

  /// Whether ``place(for:outOf:)`` would be `register`.
  private func place(for guest: UInt8, outOf source: UInt8, is register: Register) -> Bool {
    if let host = host(guest) { return host == register }
    return scratch.holder(source) == register && (source == guest || !scratch.isDirty(register))
  }

  /// With a second operand that must be made first.
  private mutating func arithmeticGeneral(_ i: Instruction) {
    release()
    let b = second(i, .rcx)
    let work: Register = .rax
    load(i.a, into: work)
    assembler.arithmetic(Self.mnemonic(i.operation), Self.is32(i.operation) ? .w32 : .w64, work, b)
    finish(i, work)
  }

  /// Copies a register.
  private mutating func move(_ destination: UInt8, _ source: UInt8) {
    if destination == source { return }
    if source != 0, host(destination) == nil, let place = location(source) {
      dropHeld(destination)
      assembler.mov(.w64, home(destination), place)
      forget(destination)
      return
    }
    if let own = host(destination) {
      load(source, toOwn: own)
      forget(destination)
      return
    }
    define(destination, in: copy(source, for: destination))
  }

  /// Copies a guest register from wherever it is.
  private mutating func load(_ source: UInt8, toOwn own: Register) {
    if let place = location(source) {
      if place != own { assembler.mov(.w64, own, place) }
    } else if source == 0 {
      assembler.zero(own)
    } else {
      assembler.mov(.w64, own, home(source))
    }
  }

  /// Sign-extends the low half of a register.
  private mutating func extendWord(_ destination: UInt8, _ source: UInt8) {
    if makesNarrow { return move(destination, source) }
    let from = location(source)
    let work = place(for: destination, outOf: source)
    if let from {
      assembler.movsx(.w64, work, from, from: .w32)
    } else {
      assembler.movsx(.w64, work, home(source), from: .w32)
    }
    define(destination, in: work)
  }

  private mutating func arithmeticImmediate(_ i: Instruction, _ imm: Int32) {
    let is32 = Self.is32(i.operation)
    let isSubtraction = i.operation == .subtract || i.operation == .subtract32
    let isSum = isSubtraction || i.operation == .add || i.operation == .add32
    if i.a == 0 {
      let value = UInt64(bitPattern: Int64(imm))
      return constant(i, i.operation.evaluate(0, value) ?? 0)
    }
    if imm == 0, isSum { return is32 ? extendWord(i.destination, i.a) : move(i.destination, i.a) }
    let sum = isSubtraction ? 0 &- imm : imm
    if isSum, imm != .min || !isSubtraction {
      return add(i, sum, is32 ? .w32 : .w64)
    }
    switch i.operation {
    case .xor where imm == -1:
      let work = copy(i.a, for: i.destination)
      assembler.not(.w64, work)
      finish(i, work)
    case .and where imm == 0xFF || imm == 0xFFFF:
      narrow(i, from: imm == 0xFF ? .w8 : .w16)
    case .and where imm >= 0:
      // The upper half becomes zero in any case.
      let work = copy(i.a, for: i.destination, .w32)
      assembler.and(.w32, work, imm)
      finishWithFlags(i, work)
    default:
      let width = width(i)
      let work = copy(i.a, for: i.destination, width)
      assembler.arithmetic(Self.mnemonic(i.operation), width, work, imm)
      finishWithFlags(i, work)
    }
  }

  private mutating func add(_ i: Instruction, _ imm: Int32, _ width: Width) {
    let from = location(i.a)
    if from == nil, i.destination == i.a, width == .w64, !isReadNext(i.destination) {
      assembler.add(.w64, home(i.a), imm)
      forget(i.destination)
      flags = .value(i.destination)
      return
    }
    let work = place(for: i.destination, outOf: i.a)
    if let from, from != work {
      assembler.lea(width, work, Address(base: from, displacement: imm))
      return finish(i, work)
    }
    if from == nil { assembler.mov(width, work, home(i.a)) }
    switch imm {
    case 1: assembler.inc(width, work)
    case -1: assembler.dec(width, work)
    default: assembler.add(width, work, imm)
    }
    finishWithFlags(i, work)
  }

  /// Zero-extends the low part of the first operand.
  private mutating func narrow(_ i: Instruction, from width: Width) {
    let from = location(i.a)
    let work = place(for: i.destination, outOf: i.a)
    if let from {
      assembler.movzx(work, from, from: width)
    } else {
      assembler.movzx(work, home(i.a), from: width)
    }
    define(i.destination, in: work)
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

  private static func mnemonic(ofShift operation: Operation) -> Shift {
    switch operation {
    case .shiftLeft, .shiftLeft32: .shl
    case .shiftRight, .shiftRight32: .shr
    case .shiftRightArithmetic, .shiftRightArithmetic32: .sar
    case .rotateLeft, .rotateLeft32: .rol
    default: .ror
    }
  }

  mutating func shift(_ i: Instruction) {
    guard i.destination != 0, !fold(i) else { return }
    if i.a == 0 { return constant(i, 0) }
    let is32 = Self.is32(i.operation)
    let width: Width = is32 ? .w32 : .w64
    let mnemonic = Self.mnemonic(ofShift: i.operation)
    if i.b == 0 {
      let amount = UInt8(truncatingIfNeeded: i.imm) & (is32 ? 31 : 63)
      if amount == 0 { return is32 ? extendWord(i.destination, i.a) : move(i.destination, i.a) }
      return shift(i, mnemonic, width, by: amount)
    }
    let isShift = mnemonic == .shl || mnemonic == .shr || mnemonic == .sar
    if features.flaglessShifts, isShift, i.imm == 0 {
      occupy(location(i.a))
      let count = fetch(i.b)
      occupy(count)
      let from = location(i.a)
      let work = host(i.destination) ?? fresh()
      if let from {
        switch mnemonic {
        case .shl: assembler.shlx(width, work, from, count: count)
        case .shr: assembler.shrx(width, work, from, count: count)
        default: assembler.sarx(width, work, from, count: count)
        }
      } else {
        switch mnemonic {
        case .shl: assembler.shlx(width, work, home(i.a), count: count)
        case .shr: assembler.shrx(width, work, home(i.a), count: count)
        default: assembler.sarx(width, work, home(i.a), count: count)
        }
      }
      finish(i, work)
      return
    }
    release()
    let count = second(i, .rcx)
    if count != .rcx { assembler.mov(.w64, .rcx, count) }
    load(i.a, into: .rax)
    assembler.shift(mnemonic, width, .rax)
    finish(i, .rax)
  }

  /// A shift by a number of places that is not zero.
  private mutating func shift(_ i: Instruction, _ mnemonic: Shift, _ width: Width, by amount: UInt8) {
    let from = location(i.a)
    if mnemonic == .rol || mnemonic == .ror {
      let work = place(for: i.destination, outOf: i.a)
      let right = mnemonic == .ror ? amount : (width == .w32 ? 32 : 64) - amount
      if from == work {
        assembler.ror(width, work, by: right)
      } else if features.flaglessShifts {
        if let from {
          assembler.rorx(width, work, from, by: right)
        } else {
          assembler.rorx(width, work, home(i.a), by: right)
        }
      } else {
        if let from { assembler.mov(width, work, from) } else { assembler.mov(width, work, home(i.a)) }
        assembler.ror(width, work, by: right)
      }
      return finish(i, work)
    }
    if width == .w32, mnemonic == .sar, !makesNarrow {
      // Extended first, what is left has 64 bits.
      let work = place(for: i.destination, outOf: i.a)
      if let from {
        assembler.movsx(.w64, work, from, from: .w32)
      } else {
        assembler.movsx(.w64, work, home(i.a), from: .w32)
      }
      assembler.sar(.w64, work, by: amount)
      define(i.destination, in: work)
      flags = .value(i.destination)
      return
    }
    let work = copy(i.a, for: i.destination, width)
    assembler.shift(mnemonic, width, work, by: amount)
    // Zeroes from the left are the sign.
    if mnemonic == .shr { define(i.destination, in: work) } else { finish(i, work) }
    flags = .value(i.destination)
  }

  // MARK: - Comparisons

  /// Compares two registers, or one with an immediate (`b` is 0 then). The condition that the host's flags meet
  /// exactly when `condition` holds of the two.
  mutating func compare(_ a: UInt8, _ b: UInt8, _ imm: Int32, _ condition: Condition) -> Condition {
    defer { scratch.busy = 0 }
    if b == 0, imm == 0 { return compareZero(a, condition) }
    if a == 0, b != 0 {
      let swapped: Condition? =
        switch condition {
        case .e: .e
        case .ne: .ne
        case .l: .g
        case .ge: .le
        case .b: .ne
        case .ae: .e
        default: nil
        }
      if let swapped {
        testZero(b)
        return swapped
      }
    }
    if b == 0 {
      if let first = location(a) {
        assembler.cmp(.w64, first, imm)
      } else if a != 0 {
        assembler.cmp(.w64, home(a), imm)
      } else {
        assembler.cmp(.w64, fetch(0), imm)
      }
      return condition
    }
    if location(b) == nil, let value = knownValue(b), let short = Int32(exactly: Int64(bitPattern: value)) {
      return compare(a, 0, short, condition)
    }
    switch (location(a), location(b)) {
    case (let first?, let second?): assembler.cmp(.w64, first, second)
    case (let first?, nil): assembler.cmp(.w64, first, home(b))
    case (nil, let second?):
      occupy(second)
      if a == 0 { assembler.cmp(.w64, fetch(0), second) } else { assembler.cmp(.w64, home(a), second) }
    case (nil, nil): assembler.cmp(.w64, fetch(a), home(b))
    }
    return condition
  }

  /// Compares with zero, by what the flags say already if they do.
  private mutating func compareZero(_ a: UInt8, _ condition: Condition) -> Condition {
    switch (entryFlags, condition) {
    case (.value(a), .e), (.value(a), .ne): return condition
    case (.value(a), .l): return .s
    case (.value(a), .ge): return .ns
    case (.condition(a, let holds), .ne): return holds
    case (.condition(a, let holds), .e): return holds.inverted
    default: break
    }
    testZero(a)
    return condition
  }

  private mutating func testZero(_ a: UInt8) {
    if let place = location(a) {
      assembler.test(.w64, place, place)
    } else if a == 0 {
      assembler.cmp(.w64, HostRegisters.context, HostRegisters.context)
    } else {
      assembler.cmp(.w64, home(a), 0)
    }
  }

  mutating func setLess(_ i: Instruction) {
    guard i.destination != 0, !fold(i) else { return }
    var condition: Condition = i.operation == .setLess ? .l : .b
    let imm = immediate(i)
    guard imm != nil || i.imm == 0 else {
      release()
      let b = second(i, .rcx)
      load(i.a, into: .rax)
      assembler.cmp(.w64, .rax, b)
      assembler.setcc(condition, .rax)
      assembler.movzx(.rax, .rax, from: .w8)
      return finish(i, .rax)
    }
    entryFlags = .nothing
    let (first, second) = (location(i.a), location(i.b))
    // Zeroed before the comparison where it may be: nothing to extend then.
    let own = host(i.destination)
    let isOperand = own != nil && (own == first || own == second)
    if let own, !isOperand { assembler.zero(own) }
    if i.operation == .setLessUnsigned, imm == 1 {
      testZero(i.a)
      condition = .e
    } else {
      condition = compare(i.a, i.b, imm ?? 0, condition)
    }
    let work = own ?? fresh()
    assembler.setcc(condition, work)
    if own == nil || isOperand { assembler.movzx(work, work, from: .w8) }
    define(i.destination, in: work)
    flags = .condition(i.destination, condition)
  }

  mutating func multiply(_ i: Instruction) {
    guard i.destination != 0, !fold(i) else { return }
    let width: Width = Self.is32(i.operation) ? .w32 : .w64
    guard i.imm == 0, i.a != 0, i.b != 0 else {
      release()
      let b = second(i, .rcx)
      load(i.a, into: .rax)
      assembler.imul(width, .rax, b)
      return finish(i, .rax)
    }
    var (a, b) = (i.a, i.b)
    if let own = location(i.destination), location(b) == own, location(a) != own { swap(&a, &b) }
    occupy(location(b))
    let work = copy(a, for: i.destination, width)
    if let second = location(b) {
      assembler.imul(width, work, second)
    } else {
      assembler.imul(width, work, home(b))
    }
    finish(i, work)
  }

  mutating func multiplyHigh(_ i: Instruction) {
    guard i.destination != 0 else { return }
    release()
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
    release()
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
    if features.bitCounts, i.operation == .andNot, i.imm == 0, i.a != 0, i.b != 0 {
      // BMI1 comes with the counts.
      occupy(location(i.a))
      let inverted = fetch(i.b)
      occupy(inverted)
      let from = location(i.a)
      let work = host(i.destination) ?? fresh()
      if let from {
        assembler.andn(width(i), work, inverted, from)
      } else {
        assembler.andn(width(i), work, inverted, home(i.a))
      }
      return finishWithFlags(i, work)
    }
    release()
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
    release()
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
    release()
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
    guard i.a != 0 else { return constant(i, 0) }
    if i.operation == .reverseBytes {
      let work = copy(i.a, for: i.destination)
      assembler.bswap(.w64, work)
      return finish(i, work)
    }
    if i.operation == .zeroExtend16 { return narrow(i, from: .w16) }
    let width: Width = i.operation == .signExtend8 ? .w8 : .w16
    let from = location(i.a)
    let work = place(for: i.destination, outOf: i.a)
    if let from {
      assembler.movsx(.w64, work, from, from: width)
    } else {
      assembler.movsx(.w64, work, home(i.a), from: width)
    }
    define(i.destination, in: work)
  }

  mutating func combineBytes(_ i: Instruction) {
    guard i.destination != 0 else { return }
    release()
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
    let width: Width = i.operation == .shiftAddUnsigned32 ? .w32 : .w64
    if i.b == 0 || amount > 3 || i.a == 0 { return shiftAddGeneral(i, amount, width) }
    occupy(location(i.b))
    let index: Register
    if width == .w32 {
      let from = location(i.a)
      index = fresh()
      if let from { assembler.mov(.w32, index, from) } else { assembler.mov(.w32, index, home(i.a)) }
    } else {
      index = fetch(i.a)
    }
    occupy(index)
    let base = fetch(i.b)
    occupy(base)
    let work = host(i.destination) ?? fresh()
    let scale: Scale = amount == 0 ? .x1 : amount == 1 ? .x2 : amount == 2 ? .x4 : .x8
    assembler.lea(.w64, work, Address(base: base, index: index, scale: scale))
    finish(i, work)
  }

  private mutating func shiftAddGeneral(_ i: Instruction, _ amount: UInt8, _ width: Width) {
    let second = location(i.b)
    occupy(second)
    let isOwn = host(i.destination) != nil && second == host(i.destination)
    let work: Register
    if let from = location(i.a) {
      occupy(from)
      work = isOwn ? fresh() : host(i.destination) ?? fresh()
      if width == .w32 || from != work { assembler.mov(width, work, from) }
    } else {
      work = isOwn ? fresh() : host(i.destination) ?? fresh()
      if i.a == 0 { assembler.mov(.w32, work, 0) } else { assembler.mov(width, work, home(i.a)) }
    }
    if amount != 0 { assembler.shl(.w64, work, by: amount) }
    if let second {
      assembler.add(.w64, work, second)
    } else if i.b != 0 {
      assembler.add(.w64, work, home(i.b))
    }
    finish(i, work)
  }

  mutating func bit(_ i: Instruction) {
    guard i.destination != 0 else { return }
    release()
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
    release()
    let b = second(i, .rcx)
    load(i.a, into: .rax)
    assembler.mov(.w32, .rdx, 0)
    assembler.test(.w64, b, b)
    assembler.cmov(i.operation == .keepIfNonzero ? .e : .ne, .w64, .rax, .rdx)
    finish(i, .rax)
  }
}
