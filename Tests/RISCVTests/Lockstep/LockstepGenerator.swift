import RISCV
import Translator

/// Writes random programs for an RV64GC hart with Zba, Zbb, Zbs and Zicond in supervisor and user mode.
///
/// They touch everything that the engines do in their own ways: registers in every role, memory that is
/// there, not there, half there or a device, exceptions anywhere, code that changes or moves under itself,
/// translation that changes. They go forward but for loops with a common counter, so that they end.
struct LockstepGenerator {
  typealias Guest = LockstepGuest
  typealias Piece = LockstepProgram.Piece

  var dice: LockstepDice
  private var program: LockstepProgram
  /// Registers that point to memory, that count loops, that hold return addresses: written by nothing else.
  let bases: [UInt8]
  private let counter: UInt8
  private let link: UInt8
  let reserved: Set<UInt8>
  /// Floating-point registers that this program works with when it is about floating point, else none.
  let floats: [UInt8]
  /// Whether code is run where it is seen again.
  private var hasAliases = false

  static func program(seed: UInt64) -> LockstepProgram {
    var generator = LockstepGenerator(seed: seed)
    return generator.generate()
  }

  /// Bits of chance for code, in user mode at first. It cannot write where it runs, which without a FENCE.I
  /// in the right place each engine may take in its own way.
  static func noise(seed: UInt64) -> LockstepProgram {
    var generator = LockstepGenerator(seed: seed)
    generator.fillState()
    for (address, words) in Guest.pageTables(&generator.dice, writableCode: false) {
      generator.program.data[address] = bytes(words)
    }
    generator.program.startsAsUser = true
    generator.program.status &= ~Status.previousPrivilege
    // Of each instruction's length half, so that neither kind drowns the other.
    var bytes: [UInt8] = []
    while bytes.count < Guest.codePages * 4096 - 4 {
      let bits = UInt32(truncatingIfNeeded: generator.dice.next())
      bytes += generator.dice.chance(50) ? encoded(bits | 3, 4) : encoded(bits & 3 == 3 ? bits & ~1 : bits, 2)
    }
    generator.program.pieces = [Piece(kind: "noise", bytes: bytes), Piece(kind: "end", bytes: [0, 0])]
    generator.program.last = 1
    return generator.program
  }

  private init(seed: UInt64) {
    dice = LockstepDice(seed: seed)
    program = LockstepProgram(seed: seed)
    bases = [2, 8, 9, dice.pick([18, 15, 14]), dice.pick([19, 10, 30])]
    counter = dice.pick([31, 12, 7])
    link = dice.pick([1, 5])
    reserved = Set(bases + [counter, link])
    floats = dice.chance(45) ? Self.floatPool(&dice) : []
  }

  private mutating func generate() -> LockstepProgram {
    fillState()
    hasAliases = dice.chance(50)
    let mainCount = 60 + dice.below(120)
    let leafLength = 4
    program.startOffset = dice.chance(70) ? 4096 - 2 * dice.below(200) : 2 * dice.below(4000)
    while program.pieces.count < mainCount {
      var gap = 0
      if !program.pieces.isEmpty, dice.chance(3) {
        // Over a gap, and perhaps onto another page.
        program.pieces.append(jump(to: program.pieces.count + 1, "hop"))
        gap = 2 * dice.below(700)
      }
      var piece = piece(at: program.pieces.count)
      piece.gap = gap
      program.pieces.append(piece)
    }
    // Most of it again, elsewhere.
    if hasAliases, dice.chance(50) { program.pieces.append(aliasLoop(to: dice.below(20), step: 11, 20, 21)) }
    program.last = program.pieces.count
    for place in program.pieces.indices {
      for reference in program.pieces[place].references.indices {
        // Forward jumps over the end lead to it; calls lead to their leaf.
        let target = program.pieces[place].references[reference].target
        if target < 0 {
          program.pieces[place].references[reference].target = program.last + 1 + (-target - 1) * leafLength
        } else {
          program.pieces[place].references[reference].target = min(target, program.last)
        }
      }
    }
    aimModifications()
    program.pieces.append(Piece(kind: "end", bytes: [0x73, 0, 0x50, 0x10, 0xF5, 0xBF]))
    for _ in 0..<2 {
      for _ in 0..<leafLength - 1 { program.pieces.append(plain()) }
      var c = LockstepCode(base: 0)
      c.jalr(0, UInt32(link))
      program.pieces.append(Piece(kind: "return", bytes: c.bytes))
    }
    return program
  }

  /// What is written over is a plain instruction of the same length: of a loop's or a jump's instructions
  /// nothing good would come.
  private mutating func aimModifications() {
    for place in program.pieces.indices where program.pieces[place].kind.hasPrefix("self-modification") {
      let length = program.pieces[place].kind.hasSuffix("4") ? 4 : 2
      let from = program.pieces[place].references[0].target
      let target = program.pieces.indices.first {
        $0 >= from && program.pieces[$0].kind == "plain" && program.pieces[$0].bytes.count == length
      }
      if let target {
        program.pieces[place].references[0].target = target
      } else {
        program.pieces[place] = plain()
      }
    }
  }

  // MARK: - State at the start

  private mutating func fillState() {
    for register in 1..<64 { program.registers[register] = dice.operand() }
    for register in floats { program.registers[32 + Int(register)] = dice.number() }
    for register in 32..<64 where dice.chance(50) {
      program.registers[register] =
        dice.chance(50)
        ? dice.pick(LockstepDice.doubles) : 0xFFFF_FFFF_0000_0000 | UInt64(dice.pick(LockstepDice.singles))
    }
    program.registers[Int(bases[0])] =
      Guest.dataWindow + UInt64(1 + dice.below(7)) << 12 + UInt64(dice.below(64)) * 8
    program.registers[Int(bases[1])] =
      Guest.dataWindow + UInt64(8 + dice.below(5)) << 12 + UInt64(dice.below(4096))
    program.registers[Int(bases[2])] = Guest.largeWindow + UInt64(dice.below(1 << 21)) & ~7
    program.registers[Int(bases[3])] = Guest.contiguousWindow + UInt64(dice.below(1 << 16))
    program.registers[Int(bases[4])] =
      Guest.dataWindow + UInt64(1 + dice.below(14)) << 12 - UInt64(dice.below(16))
    program.registers[Int(counter)] = 40
    program.startsAsUser = dice.chance(40)
    let float: UInt64 = dice.chance(floats.isEmpty ? 85 : 97) ? UInt64(1 + dice.below(3)) << 13 : 0
    program.status =
      float | (program.startsAsUser ? 0 : Status.previousPrivilege)
      | (dice.chance(80) ? Status.permitUserMemory : 0)
      | (dice.chance(20) ? Status.makeExecutableReadable : 0)
      | (dice.chance(60) ? Status.previousInterruptEnable : 0)
    program.interruptEnable = dice.next() & InterruptBit.all
    program.floatControl = UInt64(dice.below(5)) << 5
    for (address, words) in Guest.pageTables(&dice) { program.data[address] = Self.bytes(words) }
    for page in 0..<Guest.dataPages {
      program.data[Guest.data + UInt64(page) << 12] = Self.bytes((0..<512).map { _ in dice.operand() })
    }
    for target in Guest.large + Guest.contiguous {
      program.data[target] = Self.bytes((0..<512).map { _ in dice.next() })
    }
  }

  private static func bytes(_ words: [UInt64]) -> [UInt8] {
    words.withUnsafeBytes { [UInt8]($0) }
  }

  // MARK: - Pieces

  private mutating func piece(at index: Int) -> Piece {
    if !floats.isEmpty, dice.chance(60) { return floatPiece() }
    return switch dice.below(100) {
    case 0..<39: plain()
    case 39..<42: addressArithmetic()
    case 42..<60: access()
    case 60..<66: atomic()
    case 66..<76: branch(at: index)
    case 76..<79: jump(at: index)
    case 79..<81: dice.chance(50) ? hop() : computedJump(at: index)
    case 81..<83: call()
    case 83..<86: loop(at: index)
    case 86..<91: control()
    case 91..<92: illegal()
    case 92..<94: selfModification(at: index)
    case 94..<96: tableEdit()
    case 96..<98: addressSpaceSwitch()
    case 98..<99: modeSwitch(at: index)
    default: system()
    }
  }

  /// A register that may be written.
  mutating func free() -> UInt32 {
    while true {
      let register = UInt8(1 + dice.below(31))
      if !reserved.contains(register) { return UInt32(register) }
    }
  }

  mutating func code(_ kind: String, _ body: (inout LockstepCode, inout LockstepGenerator) -> Void)
    -> Piece
  {
    var c = LockstepCode(base: 0)
    body(&c, &self)
    return Piece(kind: kind, bytes: c.finished())
  }

  static func encoded(_ bits: UInt32, _ length: UInt8) -> [UInt8] {
    (0..<Int(length)).map { UInt8(truncatingIfNeeded: bits >> UInt32(8 * $0)) }
  }

  /// A row with random operands; nil if the encoding is not that row's, is illegal, or writes where it
  /// may not.
  mutating func random(_ row: InstructionRow, base: UInt8? = nil, operands: UInt32? = nil) -> [UInt8]? {
    var bits = row.match | (operands ?? UInt32(truncatingIfNeeded: dice.next())) & ~row.mask
    if row.format.isCompressed { bits &= 0xFFFF }
    if let base {
      switch row.format {
      case .clWord, .clDouble, .clFloatDouble, .csWord, .csDouble, .csFloatDouble:
        guard (8...15).contains(base) else { return nil }
        bits = bits & ~(7 << 7) | UInt32(base - 8) << 7
      case .ciLoadWordSP, .ciLoadDoubleSP, .ciFloatLoadDoubleSP, .cssWord, .cssDouble, .cssFloatDouble: break
      default: bits = bits & ~(31 << 15) | UInt32(base) << 15
      }
      // Most offsets lead to aligned places.
      if !row.format.isCompressed, dice.chance(60) {
        bits &=
          row.operation.rawValue >= Operation.store8.rawValue
            && row.operation.rawValue <= Operation.store64.rawValue
          ? ~(7 << 7) : ~(7 << 20)
      }
    }
    let instruction = Decoder.decode(bits)
    guard instruction.operation == row.operation, InstructionTable.row(of: instruction)?.name == row.name,
      instruction.destination >= 32 || !reserved.contains(instruction.destination)
    else { return nil }
    return Self.encoded(bits, instruction.length)
  }

  static let rows = InstructionTable.words + InstructionTable.compressed
  static func isAccess(_ row: InstructionRow) -> Bool {
    row.operation.rawValue >= Operation.load8.rawValue && row.operation.rawValue <= Operation.store64.rawValue
  }
  private static func isAtomic(_ row: InstructionRow) -> Bool {
    row.operation.rawValue >= Operation.loadReserved32.rawValue
      && row.operation.rawValue <= Operation.atomicMaximumUnsigned64.rawValue
  }
  private static func isJump(_ row: InstructionRow) -> Bool {
    row.operation.rawValue >= Operation.branchEqual.rawValue
      && row.operation.rawValue <= Operation.jumpIndirect.rawValue
  }
  private static let plainRows = rows.filter {
    !isAccess($0) && !isAtomic($0) && !isJump($0) && $0.operation != .system
  }
  private static let integerRows = plainRows.filter { $0.set != .f && $0.set != .d }
  private static let accessRows = rows.filter(isAccess)
  private static let atomicRows = rows.filter(isAtomic)

  private mutating func plainBytes(length: Int? = nil) -> [UInt8] {
    while true {
      let row = dice.chance(55) ? dice.pick(Self.integerRows) : dice.pick(Self.plainRows)
      if let bytes = random(row), length == nil || bytes.count == length { return bytes }
    }
  }

  /// An instruction that works on registers.
  private mutating func plain() -> Piece {
    let bytes = plainBytes()
    var piece = Piece(kind: "plain", bytes: bytes)
    if dice.chance(30) { piece.twin = plainBytes(length: bytes.count) }
    return piece
  }

  /// Arithmetic on an address of code and a constant, as far as a block can know what comes out.
  private mutating func addressArithmetic() -> Piece {
    let (register, other, result) = (free(), free(), free())
    guard register != other else { return plain() }
    let upper = UInt32(truncatingIfNeeded: dice.next()) & 0xFFFF_F000
    let value = dice.chance(50) ? UInt64(dice.below(4096)) : dice.next()
    // add, sub, and, or, xor, sltu, addw, add.uw, andn, mul
    let operation = dice.pick(
      [
        0x33, 0x4000_0033, 0x7033, 0x6033, 0x4033, 0x3033, 0x3B, 0x0800_003B, 0x4000_7033, 0x0200_0033,
      ] as [UInt32])
    let isReversed = dice.chance(30)
    return code("address arithmetic") { c, g in
      c.word(0x17 | register << 7 | upper)
      if g.dice.chance(70) { c.li(other, value) } else { c.word(0x17 | other << 7 | upper) }
      c.word(
        isReversed
          ? LockstepCode.r(operation, result, other, register)
          : LockstepCode.r(operation, result, register, other))
      if g.dice.chance(30) { c.add(result, result, other) }
    }
  }

  /// A load or store, sometimes of an address that is anything.
  private mutating func access() -> Piece {
    while true {
      let row = dice.pick(Self.accessRows)
      let isStore = row.operation.rawValue >= Operation.store8.rawValue
      let base = dice.chance(94) || isStore ? dice.pick(bases) : UInt8(dice.below(32))
      if let bytes = random(row, base: base) { return Piece(kind: "access", bytes: bytes) }
    }
  }

  /// An atomic operation, or a pair of load-reserved and store-conditional.
  private mutating func atomic() -> Piece {
    let address = free()
    let base = UInt32(dice.pick(bases))
    let offset = Int32(dice.below(4096) - 2048)
    let aligned = dice.chance(85)
    let mask: Int32 = dice.chance(50) ? -8 : -4
    var picked: [[UInt8]] = []
    if dice.chance(30) {
      let suffix = dice.chance(50) ? "w" : "d"
      for name in ["lr.\(suffix)", "sc.\(suffix)"] {
        guard let row = Self.atomicRows.first(where: { $0.name == name }) else { continue }
        while true {
          guard let bytes = random(row, base: UInt8(address)),
            Decoder.decode(Self.word(bytes)).destination != UInt8(address)
          else { continue }
          picked.append(bytes)
          break
        }
        if dice.chance(20) { picked.append(plainBytes()) }
      }
    } else {
      while picked.isEmpty {
        if let bytes = random(dice.pick(Self.atomicRows), base: UInt8(address)) { picked = [bytes] }
      }
    }
    var piece = code("atomic") { c, _ in
      c.addi(address, base, offset)
      if aligned { c.andi(address, address, mask) }
    }
    for bytes in picked { piece.bytes += bytes }
    return piece
  }

  private static func word(_ bytes: [UInt8]) -> UInt32 {
    bytes.enumerated().reduce(0) { $0 | UInt32($1.element) << UInt32(8 * $1.offset) }
  }

  private mutating func forward(_ index: Int) -> Int { index + 1 + dice.below(9) }

  private mutating func branch(at index: Int) -> Piece {
    if dice.chance(35) {
      let bits: UInt16 = (dice.chance(50) ? 0xC001 : 0xE001) | UInt16(dice.below(8)) << 7
      return Piece(
        kind: "branch", bytes: [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)],
        references: [.init(offset: 0, target: index + 1 + dice.below(4), reach: .compressedBranch)])
    }
    let comparison = dice.pick([
      LockstepCode.Comparison.equal, .notEqual, .less, .notLess, .lessUnsigned, .notLessUnsigned,
    ])
    let (a, b) = (UInt32(dice.below(32)), UInt32(dice.below(32)))
    let target = forward(index)
    return Piece(
      kind: "branch", bytes: Self.encoded(LockstepCode.r(comparison.rawValue, 0, a, b), 4),
      references: [.init(offset: 0, target: target, reach: .branch)])
  }

  private func jump(to target: Int, _ kind: String) -> Piece {
    Piece(
      kind: kind, bytes: Self.encoded(0x6F, 4), references: [.init(offset: 0, target: target, reach: .jump)])
  }

  private mutating func jump(at index: Int) -> Piece {
    if dice.chance(40) {
      return Piece(
        kind: "jump", bytes: [0x01, 0xA0],
        references: [.init(offset: 0, target: index + 1 + dice.below(4), reach: .compressedJump)])
    }
    var piece = jump(to: forward(index), "jump")
    let destination = dice.chance(50) ? free() : 0
    piece.bytes = Self.encoded(0x6F | destination << 7, 4)
    return piece
  }

  /// Forward by JALR, with a return address or without, through a register known to the block or not.
  /// Goes on where the same code is seen at another address.
  private mutating func hop() -> Piece {
    let (register, other) = (free(), free())
    guard register != other, hasAliases else { return plain() }
    let alias = dice.pick([1] + Array(Guest.aliases)) << 30
    return code("hop to an alias") { c, _ in
      c.word(0x17 | register << 7)
      c.slli(register, register, 34)
      c.srli(register, register, 34)
      c.li(other, alias)
      c.add(register, register, other)
      c.jalr(0, register, Int32(c.bytes.count) + 4)
    }
  }

  private mutating func computedJump(at index: Int) -> Piece {
    let register = free()
    let destination = dice.pick([0, UInt32(link), free(), register])
    let hides = dice.chance(50)
    let kind = dice.below(3)
    let (address, other) = (UInt32(bases[0]), free())
    var piece = code("computed jump") { c, g in
      c.word(0x17 | register << 7)
      c.word(0x13 | register << 7 | register << 15)
      if hides {
        // Through a register whose value the block cannot know.
        if other != register {
          c.and(other, other, 0)
          c.word(LockstepCode.i(0x3003, other, address, 0))
          c.and(other, other, 0)
          c.or(register, register, other)
        }
      }
      switch kind {
      case 0: c.jalr(destination, register)
      case 1: c.half(UInt16(0x8002 | register << 7))
      default:
        c.addi(register, register, -64)
        c.jalr(destination, register, 64)
      }
    }
    piece.references = [.init(offset: 0, target: forward(index), reach: .upper)]
    return piece
  }

  /// A leaf called and returned from, directly or by address.
  private mutating func call() -> Piece {
    let leaf = -(1 + dice.below(2))
    if dice.chance(60) {
      var piece = jump(to: leaf, "call")
      piece.bytes = Self.encoded(0x6F | UInt32(link) << 7, 4)
      return piece
    }
    let register = free()
    let link = UInt32(link)
    var piece = code("call") { c, _ in
      c.word(0x17 | register << 7)
      c.word(0x13 | register << 7 | register << 15)
      c.jalr(link, register)
    }
    piece.references = [.init(offset: 0, target: leaf, reach: .upper)]
    return piece
  }

  /// Back, while the common counter lasts.
  /// Back to a piece, where the same code is seen at another address, until the counter is used up.
  private mutating func aliasLoop(to index: Int, step: Int32, _ register: UInt32, _ other: UInt32) -> Piece {
    let counter = UInt32(counter)
    var piece = code("loop over aliases") { c, _ in
      let over = c.newLabel()
      c.addi(counter, counter, -step)
      c.branch(.less, counter, 0, to: over)
      c.word(0x17 | register << 7)
      c.word(0x13 | register << 7 | register << 15)
      c.slli(register, register, 34)
      c.srli(register, register, 34)
      c.andi(other, counter, 7)
      c.addi(other, other, Int32(Guest.aliases.lowerBound))
      c.slli(other, other, 30)
      c.add(register, register, other)
      c.jalr(0, register)
      c.bind(over)
    }
    piece.references = [.init(offset: 8, target: index, reach: .upper)]
    return piece
  }

  private mutating func loop(at index: Int) -> Piece {
    let counter = UInt32(counter)
    let (register, other) = (free(), free())
    if register != other, hasAliases, dice.chance(40) {
      return aliasLoop(to: max(0, index - dice.below(8)), step: 1, register, other)
    }
    var piece = code("loop") { c, g in
      c.addi(counter, counter, -1)
      // blt zero, counter
      c.word(LockstepCode.r(LockstepCode.Comparison.less.rawValue, 0, 0, counter))
    }
    piece.references = [.init(offset: 4, target: max(0, index - dice.below(8)), reach: .branch)]
    return piece
  }

  /// Control and status registers, those that exist and others.
  private mutating func control() -> Piece {
    let register = free()
    let destination = dice.chance(60) ? free() : 0
    let match = dice.pick([0x1073, 0x2073, 0x3073, 0x5073, 0x6073, 0x7073] as [UInt32])
    if dice.chance(35) {
      // Status: interrupts, floating point, memory permissions.
      var bits = (dice.next() & Status.writable) | (dice.chance(10) ? dice.next() : 0)
      if dice.chance(20) {
        bits = dice.pick([
          Status.permitUserMemory, Status.interruptEnable, Status.floatState, Status.floatInitial,
        ])
      }
      if dice.chance(20) {
        return code("exchanged status") { c, _ in
          c.li(register, bits | Status.floatInitial | Status.previousPrivilege)
          c.csrrw(destination, 0x100, register)
        }
      }
      let sets = dice.chance(60)
      return code("status") { c, _ in
        c.li(register, sets && bits != Status.permitUserMemory ? bits | Status.floatInitial : bits)
        if sets { c.csrrs(destination, 0x100, register) } else { c.csrrc(destination, 0x100, register) }
      }
    }
    let number = dice.pick(
      [
        0x001, 0x002, 0x003, 0x001, 0x002, 0x003, 0x002, 0x141, 0x142, 0x143, 0x104, 0x144, 0x106, 0x10A,
        0x14D, 0xC00,
        0xC01, 0xC02, 0xC03, 0xF14, 0x300, 0x7FF, 0x5A8, 0x180,
      ] as [UInt32])
    if number == 0x180 {
      return code("read satp") { c, _ in c.csrrs(destination, 0x180, 0) }
    }
    return Piece(
      kind: "control", bytes: Self.encoded(match | destination << 7 | register << 15 | number << 20, 4))
  }

  /// Encodings that are none.
  private mutating func illegal() -> Piece {
    let bits = dice.pick(
      [
        0xFFFF_FFFF, 0x0000_007F, 0x0000_705B, 0x3020_0073, 0x0000_4073, 0xFE00_0033, 0x0400_0053,
        0xD200_5053,
        0x0010_0073, 0x0000_0000,
      ] as [UInt32])
    if bits == 0 { return Piece(kind: "illegal", bytes: [0, 0]) }
    if dice.chance(20) { return Piece(kind: "illegal", bytes: [0x02, 0x90]) }
    return Piece(kind: "illegal", bytes: Self.encoded(bits, 4))
  }

  /// Another instruction written over one that comes soon, then FENCE.I.
  private mutating func selfModification(at index: Int) -> Piece {
    let (address, value) = (free(), free())
    let length = dice.chance(60) ? 4 : 2
    let bits = Self.word(plainBytes(length: length))
    // By another address of the same page, which is for supervisor mode.
    let viaIdentity = dice.chance(40)
    guard address != value else { return plain() }
    var piece = code("self-modification of \(length)") { c, _ in
      c.word(0x17 | address << 7)
      c.word(0x13 | address << 7 | address << 15)
      if viaIdentity {
        c.slli(address, address, 48)
        c.srli(address, address, 48)
        c.li(value, Guest.code)
        c.add(address, address, value)
      }
      c.li(value, UInt64(bitPattern: Int64(Int32(bitPattern: bits))))
    }
    piece.bytes += Self.encoded(LockstepCode.s(length == 4 ? 0x2023 : 0x1023, value, address, 0), 4)
    piece.bytes += Self.encoded(0x100F, 4)
    piece.references = [.init(offset: 0, target: index + 2 + dice.below(6), reach: .upper)]
    return piece
  }

  /// Forgets the translation of an address in a space, in one of the ways that there are.
  private mutating func forget(_ c: inout LockstepCode, address: UInt64, space: Int, wholeOnly: Bool = false)
  {
    let (a, b) = (free(), free())
    let variant = dice.below(wholeOnly ? 2 : 7)
    guard a != b else { return c.sfenceVMA() }
    switch variant {
    case 0: c.sfenceVMA()
    case 1:
      c.li(b, Guest.asid(space))
      c.sfenceVMA(0, b)
    case 2, 3:
      c.li(a, address)
      c.sfenceVMA(a, 0)
    case 4:
      c.li(a, address)
      c.li(b, Guest.asid(space))
      c.sfenceVMA(a, b)
    case 5:
      c.li(a, address)
      c.word(0x1800_0073)
      c.word(LockstepCode.r(0x1600_0073, 0, a, 0))
      c.word(0x1810_0073)
    default:
      // By the supervisor's call, for this hart. The arguments' registers are lost.
      guard !(10...17).contains(where: { reserved.contains($0) }) else { return c.sfenceVMA() }
      c.li(10, 1)
      c.li(11, 0)
      c.li(12, address & ~0xFFF)
      c.li(13, UInt64(1 + dice.below(3)) << 12)
      c.li(14, Guest.asid(space))
      c.li(16, UInt64(1 + dice.below(2)))
      c.li(17, 0x5246_4E43)
      c.ecall()
    }
  }

  /// An entry of a page table changed, and what it leads to forgotten.
  private mutating func tableEdit() -> Piece {
    let space = dice.below(Guest.spaces)
    let (register, value) = (free(), free())
    guard register != value else { return plain() }
    var slot: UInt64
    var entry: UInt64
    var address: UInt64
    var wholeOnly = false
    switch dice.below(10) {
    case 0...3:
      let page = dice.below(Guest.dataPages)
      slot = Guest.table(.data, space: space) + UInt64(page) * 8
      entry = Guest.dataEntry(dice.below(Guest.dataPages), space: space, &dice)
      address = Guest.dataWindow + UInt64(page) << 12
    case 4, 5:
      slot = Guest.table(.middle, space: space) + 3 * 8
      entry = Guest.leaf(dice.pick(Guest.large), Guest.Entry.read | Guest.Entry.write | Guest.Entry.user)
      address = Guest.largeWindow + UInt64(dice.below(1 << 21))
    case 6:
      // All sixteen entries would have to change; of one, the fence covers all that came from it.
      let page = dice.below(16)
      slot = Guest.table(.contiguous, space: space) + UInt64(page) * 8
      entry = Guest.contiguousEntry(dice.pick(Guest.contiguous))
      address = Guest.contiguousWindow + UInt64(page) << 12 + UInt64(dice.below(4096))
    case 7, 8:
      // Code that moves to its twin, or back.
      let page = dice.below(Guest.codePages)
      let isUser = dice.chance(50)
      slot = Guest.table(isUser ? .userCode : .supervisorCode, space: space) + UInt64(page) * 8
      entry = Guest.leaf(
        (dice.chance(60) ? Guest.twin : Guest.code) + UInt64(page) << 12,
        isUser ? Guest.Entry.all | Guest.Entry.user : Guest.Entry.all)
      address = (isUser ? Guest.userCode : Guest.supervisorCode) + UInt64(page) << 12
      // Each of them is an address of its own to forget.
      wholeOnly = hasAliases
    default:
      // A whole table in the place of another: needs the fence for all addresses.
      slot = Guest.table(.middle, space: space) + 2 * 8
      entry = Guest.pointer(.data, space: dice.below(Guest.spaces))
      address = 0
      wholeOnly = true
    }
    return code("table edit") { c, g in
      c.li(register, slot)
      c.li(value, entry)
      c.sd(value, register)
      g.forget(&c, address: address, space: space, wholeOnly: wholeOnly)
    }
  }

  private mutating func addressSpaceSwitch() -> Piece {
    let register = free()
    let value = dice.chance(93) ? Guest.satp(dice.below(Guest.spaces)) : dice.chance(50) ? 0 : dice.next()
    let fences = dice.chance(40)
    return code("satp") { c, g in
      c.li(register, value)
      c.csrrw(g.dice.chance(50) ? register : 0, 0x180, register)
      if fences {
        g.forget(
          &c, address: Guest.dataWindow + UInt64(g.dice.below(16)) << 12, space: g.dice.below(Guest.spaces))
      }
    }
  }

  /// To user mode by SRET, or to supervisor mode by ECALL.
  private mutating func modeSwitch(at index: Int) -> Piece {
    if dice.chance(50) {
      return code("to supervisor") { c, _ in c.ecall() }
    }
    let (register, other) = (free(), free())
    guard register != other else { return plain() }
    var piece = code("to user") { c, _ in
      c.word(0x17 | register << 7)
      c.word(0x13 | register << 7 | register << 15)
      c.li(other, Guest.userCode &- Guest.supervisorCode)
      c.add(register, register, other)
      c.csrrw(0, 0x141, register)
      c.li(other, Status.previousPrivilege)
      c.csrrc(0, 0x100, other)
      c.sret()
    }
    piece.references = [.init(offset: 0, target: index + 1, reach: .upper)]
    return piece
  }

  private mutating func system() -> Piece {
    let register = free()
    switch dice.below(8) {
    case 0: return code("fence") { c, g in c.word(0x0F | UInt32(g.dice.below(256)) << 20) }
    case 1: return code("fence.i") { c, _ in c.fenceI() }
    case 2: return code("pause") { c, _ in c.pause() }
    case 3:
      let delay = Int32(dice.below(200))
      return code("timer") { c, _ in
        c.csrrs(register, 0xC01, 0)
        c.addi(register, register, delay)
        c.csrrw(0, 0x14D, register)
      }
    case 4: return code("software interrupt") { c, _ in c.word(0x6073 | 2 << 15 | 0x144 << 20) }
    case 5:
      let base = UInt32(dice.pick(bases))
      return code("cache block") { c, g in
        c.word(g.dice.pick([0x200F, 0x10_200F, 0x20_200F, 0x40_200F] as [UInt32]) | base << 15)
      }
    case 6: return code("sfence") { c, g in g.forget(&c, address: Guest.dataWindow, space: 0) }
    default:
      guard !(10...17).contains(where: { reserved.contains($0) }) else { return plain() }
      return code("call of the machine") { c, g in
        c.li(17, 0x10)
        c.li(16, UInt64(g.dice.below(8)))
        c.ecall()
      }
    }
  }
}
