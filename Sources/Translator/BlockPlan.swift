/// What is generated for each instruction of a block.
///
/// Compilers for machines of few and simple instructions say in two or three of them what the host does in one. A
/// first walk forward finds those and gives the last one their common meaning, as far as what it reads is still
/// there; it also knows which registers hold constants. A second walk, backward, finds instructions whose result
/// nobody reads any more. What a fault in between could observe is made only if there is one.
struct BlockPlan: ~Copyable {
  enum Treatment: UInt8 {
    case generate
    /// Nobody can see the result.
    case omit
    /// The result is overwritten before it is read, but the accesses before that may fault.
    case makeOnFault
  }

  /// The instructions, as many as in the block and each of the same length.
  let instructions: UnsafeMutablePointer<Instruction>
  let treatments: UnsafeMutablePointer<Treatment>
  /// Of each instruction whether its result, a sign-extended word, is only ever read as a word: the upper half of its
  /// register may be anything as long as no fault shows it.
  let isNarrow: UnsafeMutablePointer<Bool>

  /// Accesses whose way to a fault may make what an instruction did not: each gets the code for it.
  private static let patience = 2

  // Of the walk forward, by register.

  /// The place of the last instruction that changed it and of the one before; -1: none in the block.
  private let changes: UnsafeMutablePointer<Int>
  private let formerChanges: UnsafeMutablePointer<Int>
  private let known: UnsafeMutablePointer<UInt64>
  /// Bits of registers whose value is known, has been read since it was made, is its own low half sign-extended,
  /// and is from 0 to 2^31 - 1.
  private var knownMask: UInt32 = 1
  private var readMask: UInt32 = 0
  private var wordMask: UInt32 = 1
  private var smallMask: UInt32 = 1
  /// Registers whose value is known to be a place (``Instruction/isPlace``): a bit each.
  private var placeMask: UInt32 = 0
  /// Whether the plan is the same wherever in the guest the block is, but for places.
  private(set) var isMovable = true
  /// The last instruction that can fault, leave, or be left at.
  private var lastObserver = -1

  init(capacity: Int) {
    instructions = .allocate(capacity: capacity)
    treatments = .allocate(capacity: capacity)
    isNarrow = .allocate(capacity: capacity)
    changes = .allocate(capacity: 32)
    formerChanges = .allocate(capacity: 32)
    known = .allocate(capacity: 32)
    known.initialize(repeating: 0, count: 32)
  }

  deinit {
    instructions.deallocate()
    treatments.deallocate()
    isNarrow.deallocate()
    changes.deallocate()
    formerChanges.deallocate()
    known.deallocate()
  }

  /// Plans a block that begins at a guest address.
  mutating func make(_ block: UnsafeBufferPointer<Instruction>, pc start: UInt64) {
    changes.initialize(repeating: -1, count: 32)
    formerChanges.initialize(repeating: -1, count: 32)
    (knownMask, readMask, wordMask, smallMask, placeMask) = (1, 0, 1, 1, 0)
    isMovable = true
    lastObserver = -1
    var pc = start
    for index in 0..<block.count {
      treatments[index] = .generate
      note(rewritten(block[index], pc: pc), at: index)
      pc &+= UInt64(block[index].length)
    }
    findUnread(block.count)
  }

  @inline(__always) static func bit(_ register: UInt8) -> UInt32 { register < 32 ? 1 << UInt32(register) : 0 }

  /// Whether an operation only makes an integer register's value out of others.
  @inline(__always) static func isPure(_ operation: Operation) -> Bool {
    operation.rawValue <= Operation.keepIfZero.rawValue
  }

  private func knownValue(_ register: UInt8) -> UInt64? {
    knownMask & Self.bit(register) != 0 ? known[Int(register)] : nil
  }

  // MARK: - Forward

  /// Enters what an instruction does to the registers.
  private mutating func note(_ i: Instruction, at index: Int) {
    instructions[index] = i
    if !Self.isPure(i.operation) { lastObserver = index }
    isNarrow[index] = false
    if i.operation == .system {
      changes.initialize(repeating: index, count: 32)
      (knownMask, wordMask, smallMask, placeMask) = (1, 1, 1, 0)
      return
    }
    readMask |= Self.bit(i.a) | Self.bit(i.b)
    guard i.destination != 0, i.destination < 32 else { return }
    let bit = Self.bit(i.destination)
    let (isWord, isSmall) = range(i)
    isNarrow[index] = isWord
    formerChanges[Int(i.destination)] = changes[Int(i.destination)]
    changes[Int(i.destination)] = index
    readMask &= ~bit
    knownMask &= ~bit
    placeMask &= ~bit
    wordMask = isWord || isSmall ? wordMask | bit : wordMask & ~bit
    smallMask = isSmall ? smallMask | bit : smallMask & ~bit
    if i.operation == .constant {
      knownMask |= bit
      known[Int(i.destination)] = UInt64(bitPattern: i.imm)
      if i.isPlace { placeMask |= bit }
    }
  }

  /// Whether an instruction's result is a sign-extended word, and whether it is one that is not negative.
  private func range(_ i: Instruction) -> (isWord: Bool, isSmall: Bool) {
    let (a, b) = (Self.bit(i.a), Self.bit(i.b))
    let hasImmediate = i.b == 0
    switch i.operation {
    case .constant: return (Int32(exactly: i.imm) != nil, i.imm >= 0 && i.imm <= Int64(Int32.max))
    case .add where hasImmediate && i.imm == 0: return (wordMask & a != 0, smallMask & a != 0)
    case .and where hasImmediate:
      let isSmall = i.imm >= 0 && i.imm <= Int64(Int32.max)
      return (wordMask & a != 0 && Int32(exactly: i.imm) != nil, isSmall || smallMask & a != 0 && i.imm < 0)
    case .or where hasImmediate, .xor where hasImmediate:
      return (
        wordMask & a != 0 && Int32(exactly: i.imm) != nil,
        smallMask & a != 0 && i.imm >= 0 && i.imm <= Int64(Int32.max)
      )
    case .and where i.imm == 0: return (wordMask & a != 0 && wordMask & b != 0, smallMask & (a | b) != 0)
    case .or where i.imm == 0, .xor where i.imm == 0:
      return (wordMask & a != 0 && wordMask & b != 0, smallMask & a != 0 && smallMask & b != 0)
    case .shiftRight32 where hasImmediate: return (true, i.imm & 31 != 0)
    case .shiftRight where hasImmediate: return (false, i.imm & 63 > 32)
    case .shiftRightArithmetic where hasImmediate:
      return (i.imm & 63 >= 32 || wordMask & a != 0, smallMask & a != 0)
    case .add32, .subtract32, .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .multiply32, .divide32,
      .divideUnsigned32, .remainder32, .remainderUnsigned32, .rotateLeft32, .rotateRight32, .signExtend8,
      .signExtend16, .load8, .load16, .load32:
      return (true, false)
    case .setLess, .setLessUnsigned, .zeroExtend16, .bitExtract, .load8Unsigned, .load16Unsigned,
      .countLeadingZeros, .countTrailingZeros, .countOnes, .countLeadingZeros32, .countTrailingZeros32,
      .countOnes32:
      return (true, true)
    default: return (false, false)
    }
  }

  /// An instruction with the same effect, of as few steps as there are.
  private mutating func rewritten(_ original: Instruction, pc: UInt64) -> Instruction {
    var i = original
    if Self.isPure(i.operation) {
      if i.operation == .addressOf {
        return place(i, pc &+ UInt64(bitPattern: i.imm), pc: pc)
      }
      guard i.destination != 0, i.operation != .constant else { return i }
      if let a = knownValue(i.a), let b = knownValue(i.b), canEvaluate(i),
        let value = i.operation.evaluate(a, b &+ UInt64(bitPattern: i.imm))
      {
        if isPlace(i.a) || isPlace(i.b) { return place(i, value, pc: pc) }
        return Instruction(
          .constant, destination: i.destination, length: i.length, imm: Int64(bitPattern: value))
      }
      takeCopy(&i)
      takeImmediate(&i)
      join(&i)
      narrow(&i)
      return i
    }
    switch i.operation {
    case .load8, .load16, .load32, .load64, .load8Unsigned, .load16Unsigned, .load32Unsigned:
      // If the register is needed anyway it is the shorter way to the address.
      if i.a != 0, i.a == i.destination, let a = knownValue(i.a) {
        i.isPlace = isPlace(i.a)
        i.a = 0
        i.imm = Int64(bitPattern: a &+ UInt64(bitPattern: i.imm))
        if i.isPlace { checkPlace(i, pc: pc) }
      }
    case .jumpIndirect:
      if let a = knownValue(i.a) {
        let target = (a &+ UInt64(bitPattern: i.imm)) & ~1
        if !isPlace(i.a) { isMovable = false }
        i.operation = .jump
        i.a = 0
        i.imm = Int64(bitPattern: target &- pc)
      }
    default: break
    }
    return i
  }

  private func isPlace(_ register: UInt8) -> Bool { placeMask & Self.bit(register) != 0 }

  /// Whether an operation on known values gives a value that is known: what is made of a place is one itself, or
  /// nothing to be relied on.
  private func canEvaluate(_ i: Instruction) -> Bool {
    switch (isPlace(i.a), isPlace(i.b)) {
    case (false, false): true
    case (true, false): i.operation == .add || i.operation == .subtract
    case (false, true): i.operation == .add
    case (true, true): false
    }
  }

  /// A place as a constant.
  private mutating func place(_ original: Instruction, _ address: UInt64, pc: UInt64) -> Instruction {
    var i = Instruction(
      .constant, destination: original.destination, length: original.length, imm: Int64(bitPattern: address))
    i.isPlace = true
    checkPlace(i, pc: pc)
    return i
  }

  /// Gives copying up if a place is so far off that it may be said in another way elsewhere.
  private mutating func checkPlace(_ i: Instruction, pc: UInt64) {
    let distance = i.imm &- Int64(bitPattern: pc)
    if distance.magnitude > CodeGenerator.farthestPlace.magnitude { isMovable = false }
  }

  /// Says in one way what copies or extends a register by the zero register.
  private func takeCopy(_ i: inout Instruction) {
    guard i.a == 0, i.b != 0, i.imm == 0 else { return }
    switch i.operation {
    case .add, .or, .xor: i.operation = .add
    case .add32: break
    default: return
    }
    swap(&i.a, &i.b)
  }

  /// Has a known operand in the instruction itself.
  private func takeImmediate(_ i: inout Instruction) {
    guard i.b != 0, i.imm == 0 else { return }
    switch i.operation {
    case .add, .and, .or, .xor, .add32:
      if knownValue(i.b) == nil, i.a != 0, knownValue(i.a) != nil { swap(&i.a, &i.b) }
    case .subtract, .subtract32, .setLess, .setLessUnsigned, .shiftLeft, .shiftRight, .shiftRightArithmetic,
      .shiftLeft32, .shiftRight32, .shiftRightArithmetic32:
      break
    default: return
    }
    guard let value = knownValue(i.b), let short = Int32(exactly: Int64(bitPattern: value)) else { return }
    i.b = 0
    i.imm = Int64(short)
  }

  /// What made a register's value, if it is an operation on a register and an immediate.
  private func maker(_ register: UInt8) -> (place: Int, instruction: Instruction)? {
    guard register != 0, register < 32 else { return nil }
    let place = changes[Int(register)]
    guard place >= 0 else { return nil }
    let made = instructions[place]
    return Self.isPure(made.operation) && made.a != 0 && made.b == 0 ? (place, made) : nil
  }

  /// Whether `user`, about to be entered, may read what the instruction at `place` read in place of what that made.
  /// If the result took its operand's place, the instruction is not carried out at all then.
  private func canReadThrough(_ place: Int, _ user: Instruction) -> Bool {
    let made = instructions[place]
    if made.destination != made.a { return changes[Int(made.a)] < place }
    guard canOmit(place, for: user) else { return false }
    treatments[place] = .omit
    return true
  }

  /// Whether nobody sees what the instruction at `place` made, the last change of its register, but `user`, which
  /// overwrites it.
  private func canOmit(_ place: Int, for user: Instruction) -> Bool {
    let register = instructions[place].destination
    return user.destination == register && readMask & Self.bit(register) == 0 && lastObserver < place
  }

  /// Gives an instruction the meaning of itself and of what made its operands.
  private func join(_ i: inout Instruction) {
    switch i.operation {
    case .shiftRight, .shiftRightArithmetic, .shiftRight32, .shiftRightArithmetic32:
      if i.b == 0 { extend(&i) }
    case .or, .xor, .add:
      guard i.b != 0, i.imm == 0, i.a != i.b else { return }
      if rotate(&i) || i.operation != .add { return }
      if !scale(&i, i.a, i.b) { _ = scale(&i, i.b, i.a) }
    case .and:
      guard i.b != 0, i.imm == 0, i.a != i.b else { return }
      if !clear(&i, i.a, i.b) { _ = clear(&i, i.b, i.a) }
    default: break
    }
  }

  /// A right shift of a left shift that takes a word or less to an end of the register: an extension.
  private func extend(_ i: inout Instruction) {
    guard let (place, made) = maker(i.a) else { return }
    var joined = i
    joined.a = made.a
    let isArithmetic = i.operation == .shiftRightArithmetic || i.operation == .shiftRightArithmetic32
    let isDouble = i.operation == .shiftRight || i.operation == .shiftRightArithmetic
    guard made.operation == (isDouble ? .shiftLeft : .shiftLeft32) else { return }
    let (left, right) = isDouble ? (made.imm & 63, i.imm & 63) : (made.imm & 31, i.imm & 31)
    joined.imm = 0
    switch (isDouble ? left : left + 32, isDouble ? right : right + 32, isArithmetic) {
    case (32, 32, true): joined.operation = .add32
    case (48, 48, true): joined.operation = .signExtend16
    case (56, 56, true): joined.operation = .signExtend8
    case (32, 33...63, true) where isDouble:
      joined.operation = .shiftRightArithmetic32
      joined.imm = right - 32
    case (32, 1...32, false) where isDouble:
      joined.operation = .shiftAddUnsigned32
      joined.imm = 32 - right
    case (32, 33...63, false) where isDouble:
      joined.operation = .shiftRight32
      joined.imm = right - 32
    case (33...63, let end, false) where end == (isDouble ? left : left + 32):
      joined.operation = .and
      joined.imm = 1 << (64 - end) - 1
    default: return
    }
    if canReadThrough(place, i) { i = joined }
  }

  /// Two shifts of a register to both sides whose results do not overlap, brought together: a rotation.
  private func rotate(_ i: inout Instruction) -> Bool {
    guard let first = maker(i.a), let second = maker(i.b), first.instruction.a == second.instruction.a else {
      return false
    }
    let isDouble: Bool
    let left: Int64
    let right: Int64
    switch (first.instruction.operation, second.instruction.operation) {
    case (.shiftLeft, .shiftRight), (.shiftLeft32, .shiftRight32):
      isDouble = first.instruction.operation == .shiftLeft
      (left, right) = (first.instruction.imm, second.instruction.imm)
    case (.shiftRight, .shiftLeft), (.shiftRight32, .shiftLeft32):
      isDouble = first.instruction.operation == .shiftRight
      (left, right) = (second.instruction.imm, first.instruction.imm)
    default: return false
    }
    let bits: Int64 = isDouble ? 64 : 32
    guard left & (bits - 1) != 0, left & (bits - 1) + right & (bits - 1) == bits else { return false }
    let source = first.instruction.a
    let (earlier, later) = first.place < second.place ? (first, second) : (second, first)
    if later.instruction.destination == source {
      guard formerChanges[Int(source)] < earlier.place, earlier.instruction.destination != source,
        canOmit(later.place, for: i)
      else { return false }
      treatments[later.place] = .omit
    } else {
      guard changes[Int(source)] < earlier.place else { return false }
    }
    i.operation = isDouble ? .rotateLeft : .rotateLeft32
    i.a = source
    i.b = 0
    i.imm = left & (bits - 1)
    return true
  }

  /// The sum of a register and of another shifted left a little, as in an address.
  private func scale(_ i: inout Instruction, _ shifted: UInt8, _ other: UInt8) -> Bool {
    guard let (place, made) = maker(shifted) else { return false }
    let amount = made.imm & 63
    guard made.operation == .shiftLeft || made.operation == .shiftAddUnsigned32, amount <= 3,
      amount != 0 || made.operation == .shiftAddUnsigned32, canReadThrough(place, i)
    else { return false }
    i.operation = made.operation == .shiftLeft ? .shiftAdd : .shiftAddUnsigned32
    i.a = made.a
    i.b = other
    i.imm = amount
    return true
  }

  /// The bits of a register that another's do not have.
  private func clear(_ i: inout Instruction, _ inverted: UInt8, _ other: UInt8) -> Bool {
    guard let (place, made) = maker(inverted), made.operation == .xor, made.imm == -1,
      canReadThrough(place, i)
    else { return false }
    i.operation = .andNot
    i.a = other
    i.b = made.a
    return true
  }

  /// Leaves out an extension of what is extended.
  private func narrow(_ i: inout Instruction) {
    let bit = Self.bit(i.a)
    switch i.operation {
    case .add32 where i.b == 0 && i.imm == 0 && wordMask & bit != 0: i.operation = .add
    case .shiftRightArithmetic32 where i.b == 0 && wordMask & bit != 0:
      i.operation = .shiftRightArithmetic
      i.imm &= 31
    case .shiftAddUnsigned32 where smallMask & bit != 0:
      i.operation = i.b != 0 ? .shiftAdd : i.imm & 63 == 0 ? .add : .shiftLeft
    default: break
    }
  }

  // MARK: - Backward

  /// Finds the instructions whose results are overwritten before anyone reads them.
  private func findUnread(_ count: Int) {
    // Registers that are read, of which the upper half is read, and that a fault could show, before they are
    // overwritten; and how many accesses there are behind where they are.
    var needed = UInt32.max
    var wide = UInt32.max
    var observed = UInt32.max
    var accesses = 0
    let overwrittenAt = changes
    for index in stride(from: count - 1, through: 0, by: -1) where treatments[index] != .omit {
      let i = instructions[index]
      let bit = i.destination == 0 ? 0 : Self.bit(i.destination)
      let isAccess = CodeGenerator.isAccess(i.operation)
      if Self.isPure(i.operation) {
        if needed & bit == 0 {
          if observed & bit == 0 {
            treatments[index] = .omit
            continue
          }
          if Self.canWait(i), accesses - overwrittenAt[Int(i.destination)] <= Self.patience {
            treatments[index] = .makeOnFault
          }
        }
      } else if isAccess {
        accesses += 1
      } else {
        needed = .max
        wide = .max
        observed = .max
        isNarrow[index] = false
        // A jump overwrites its link register before the block is left.
        guard i.operation == .jump || i.operation == .jumpIndirect else { continue }
      }
      let isClose = bit != 0 && accesses - overwrittenAt[Int(i.destination)] <= Self.patience
      if wide & bit != 0 || !isClose || isAccess || treatments[index] != .generate { isNarrow[index] = false }
      needed = needed & ~bit | Self.bit(i.a) | Self.bit(i.b)
      wide = wide & ~bit | Self.wideOperands(i, isNarrow: isNarrow[index])
      observed = isAccess ? .max : observed & ~bit
      if bit != 0 { overwrittenAt[Int(i.destination)] = accesses }
    }
  }

  /// Registers of which an instruction reads the upper half, if it makes a whole register or what is narrow.
  private static func wideOperands(_ i: Instruction, isNarrow: Bool) -> UInt32 {
    let all = bit(i.a) | bit(i.b)
    switch i.operation {
    case .add32, .subtract32, .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .rotateLeft32,
      .rotateRight32,
      .multiply32, .signExtend8, .signExtend16, .zeroExtend16:
      return 0
    case .and where i.b == 0 && i.imm >= 0 && i.imm <= Int64(Int32.max): return 0
    case .and, .or, .xor, .andNot:
      return isNarrow && i.imm == Int64(Int32(truncatingIfNeeded: i.imm)) ? 0 : all
    case .add where i.b == 0 && i.imm == 0: return isNarrow ? 0 : all
    case .shiftAddUnsigned32: return bit(i.b)
    case .shiftLeft, .shiftRight, .shiftRightArithmetic, .store8, .store16, .store32: return bit(i.a)
    default: return all
    }
  }

  /// Whether an instruction's result can be made later, and more than once, by the same means.
  private static func canWait(_ i: Instruction) -> Bool {
    guard i.b == 0, i.destination != i.a, i.destination != 0 else { return false }
    switch i.operation {
    case .constant: return true
    case .add, .and, .or, .xor, .add32, .rotateLeft, .rotateLeft32, .shiftLeft, .shiftRight,
      .shiftRightArithmetic,
      .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .signExtend8, .signExtend16, .zeroExtend16,
      .shiftAddUnsigned32:
      return Int32(exactly: i.imm) != nil
    default: return false
    }
  }
}
