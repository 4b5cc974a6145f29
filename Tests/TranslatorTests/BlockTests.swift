import Testing
import Translator

/// Whole blocks of what compilers write (pairs and triples that generated code may take together) against their
/// meaning one by one: all registers at every way out, be it a branch, a fault in the middle or the end.
@Suite struct BlockTests {
  /// Pinned, pinned, pinned, in the context, in the context, in the context.
  static let registers: [UInt8] = [15, 14, 9, 3, 4, 20]
  /// Two registers that point to a page that is there, one that points to none.
  static let bases: [UInt8] = [2, 5, 6]
  static let page: UInt64 = 0x1234_5000
  static let nowhere: UInt64 = 0x7777_7000
  /// A block's place; constants may name it.
  static let start: UInt64 = 0x40_0000

  /// What a block does by the definition.
  struct Model: Equatable {
    var registers: [UInt64]
    var memory: [UInt8]
    var target: UInt64?
    var faultPC: UInt64?

    mutating func run(_ block: [Instruction], pc start: UInt64) {
      var pc = start
      for i in block {
        if step(i, pc) { return }
        pc += UInt64(i.length)
      }
      target = pc
    }

    /// True if the block is left.
    private mutating func step(_ i: Instruction, _ pc: UInt64) -> Bool {
      let (a, b) = (registers[Int(i.a)], registers[Int(i.b)])
      let imm = UInt64(bitPattern: i.imm)
      func set(_ value: UInt64, _ registers: inout [UInt64]) {
        if i.destination != 0 { registers[Int(i.destination)] = value }
      }
      let isTaken: Bool
      switch i.operation {
      case .load8, .load16, .load32, .load64, .load8Unsigned, .load16Unsigned, .load32Unsigned:
        let (width, isSigned): (Int, Bool) =
          switch i.operation {
          case .load8: (1, true)
          case .load16: (2, true)
          case .load32: (4, true)
          case .load8Unsigned: (1, false)
          case .load16Unsigned: (2, false)
          case .load32Unsigned: (4, false)
          default: (8, false)
          }
        guard let offset = place(a &+ imm, width) else {
          faultPC = pc
          return true
        }
        var value = (0..<width).reduce(UInt64(0)) { $0 | UInt64(memory[offset + $1]) << UInt64(8 * $1) }
        if isSigned {
          let spare = UInt64(64 - 8 * width)
          value = UInt64(bitPattern: Int64(bitPattern: value << spare) >> Int64(spare))
        }
        set(value, &registers)
        return false
      case .store8, .store16, .store32, .store64:
        let width = i.operation == .store8 ? 1 : i.operation == .store16 ? 2 : i.operation == .store32 ? 4 : 8
        guard let offset = place(a &+ imm, width) else {
          faultPC = pc
          return true
        }
        for byte in 0..<width { memory[offset + byte] = UInt8(truncatingIfNeeded: b >> UInt64(8 * byte)) }
        return false
      case .branchEqual: isTaken = a == b
      case .branchNotEqual: isTaken = a != b
      case .branchLess: isTaken = Int64(bitPattern: a) < Int64(bitPattern: b)
      case .branchGreaterEqual: isTaken = Int64(bitPattern: a) >= Int64(bitPattern: b)
      case .branchLessUnsigned: isTaken = a < b
      case .branchGreaterEqualUnsigned: isTaken = a >= b
      case .jump:
        set(pc &+ UInt64(i.length), &registers)
        target = pc &+ imm
        return true
      case .jumpIndirect:
        target = (a &+ imm) & ~1
        set(pc &+ UInt64(i.length), &registers)
        return true
      default:
        set(IntegerOperationTests.expected(i, a, b, pc: pc), &registers)
        return false
      }
      if isTaken { target = pc &+ imm }
      return isTaken
    }

    private func place(_ address: UInt64, _ width: Int) -> Int? {
      address >= BlockTests.page && address <= BlockTests.page + 4096 - UInt64(width)
        ? Int(address - BlockTests.page) : nil
    }
  }

  // MARK: - Blocks of chance

  struct Generator {
    var dice: Dice
    var block: [Instruction] = []

    mutating func below(_ count: Int) -> Int { Int(dice.next() % UInt64(count)) }
    mutating func any() -> UInt8 { BlockTests.registers[below(BlockTests.registers.count)] }
    /// Now and then the zero register.
    mutating func source() -> UInt8 { below(12) == 0 ? 0 : any() }

    mutating func add(
      _ operation: Operation, _ destination: UInt8, _ a: UInt8, _ b: UInt8 = 0, _ imm: Int64 = 0
    ) {
      block.append(
        Instruction(
          operation, destination: destination, a: a, b: b, length: dice.next() & 1 == 0 ? 2 : 4, imm: imm))
      // Compilers put what does not depend on each other between.
      if below(4) == 0 { filler() }
    }

    mutating func filler() {
      switch below(10) {
      case 0, 1: load()
      case 2, 3: store()
      case 4: branch()
      default: arithmetic()
      }
    }

    mutating func arithmetic() {
      let plain: [Operation] = [
        .add, .subtract, .and, .or, .xor, .add32, .subtract32, .shiftLeft, .shiftRight, .shiftRightArithmetic,
        .shiftLeft32, .shiftRight32, .shiftRightArithmetic32, .setLess, .setLessUnsigned, .multiply,
        .multiply32,
        .multiplyHighUnsigned, .divide, .remainderUnsigned32, .rotateRight32, .andNot, .minimum, .bitExtract,
        .countOnes, .signExtend8, .zeroExtend16, .shiftAdd, .shiftAddUnsigned32,
      ]
      let operation = plain[below(below(3) == 0 ? plain.count : 15)]
      let isShiftAdd = operation == .shiftAdd || operation == .shiftAddUnsigned32
      let b = below(2) == 0 ? 0 : any()
      let imm =
        isShiftAdd ? Int64(below(5)) : b == 0 ? [-1, 0, 1, 2, 8, 16, 31, 32, 63, 255, 1023][below(11)] : 0
      block.append(Instruction(operation, destination: any(), a: source(), b: b, imm: imm))
    }

    mutating func address() -> (UInt8, Int64) {
      (BlockTests.bases[below(12) == 0 ? 2 : below(2)], Int64(below(4080)))
    }

    mutating func load() {
      let kinds: [Operation] = [
        .load8, .load16, .load32, .load64, .load8Unsigned, .load16Unsigned, .load32Unsigned,
      ]
      let (base, imm) = address()
      block.append(
        Instruction(kinds[below(kinds.count)], destination: below(20) == 0 ? 0 : any(), a: base, imm: imm))
    }

    mutating func store() {
      let kinds: [Operation] = [.store8, .store16, .store32, .store64]
      let (base, imm) = address()
      block.append(Instruction(kinds[below(4)], a: base, b: source(), imm: imm))
    }

    mutating func branch() {
      let kinds: [Operation] = [
        .branchEqual, .branchNotEqual, .branchLess, .branchGreaterEqual, .branchLessUnsigned,
        .branchGreaterEqualUnsigned,
      ]
      let b = below(2) == 0 ? 0 : any()
      let (first, second) = below(4) == 0 ? (b, source()) : (source(), b)
      // Forward, backward, to another page.
      let imm: Int64 = [0x400, -0x100, 0x3000][below(3)]
      block.append(Instruction(kinds[below(6)], a: first, b: second, imm: imm))
    }

    mutating func idiom() {
      let (s, t, u) = (any(), any(), any())
      let n = Int64(1 + below(31))
      switch below(16) {
      case 0, 1:  // A rotation, of either width; nearly one now and then.
        let isNarrow = below(3) != 0
        let width: Int64 = isNarrow ? 32 : 64
        let m = below(8) == 0 ? n : width - n
        let (left, right): (Operation, Operation) =
          isNarrow ? (.shiftLeft32, .shiftRight32) : (.shiftLeft, .shiftRight)
        if below(2) == 0 {
          add(left, t, s, 0, n)
          add(right, u, s, 0, m)
        } else {
          add(right, u, s, 0, m)
          add(left, t, s, 0, n)
        }
        let joined: [Operation] = [.or, .or, .or, .xor, .add]
        let destination = [t, u, any()][below(3)]
        if below(2) == 0 {
          add(joined[below(5)], destination, t, u)
        } else {
          add(joined[below(5)], destination, u, t)
        }
      case 2, 3:  // Extensions.
        let left: Int64 = [32, 48, 56, 33, 40][below(5)]
        let right = [left, left, left - 1, left - 2, left - 3, 63, left + 4][below(7)]
        add(.shiftLeft, t, s, 0, left)
        add(below(2) == 0 ? .shiftRight : .shiftRightArithmetic, [t, t, u, s][below(4)], t, 0, right)
        if below(3) == 0 { add(.add, any(), t, any()) }
      case 4:
        add(.shiftLeft32, t, s, 0, [16, 24][below(2)])
        add(.shiftRightArithmetic32, t, t, 0, [16, 24][below(2)])
      case 5, 6:
        add(.constant, t, 0, 0, Int64(Int32(truncatingIfNeeded: dice.next())) & ~0xFFF)
        add(below(2) == 0 ? .add : .add32, below(2) == 0 ? t : u, t, 0, Int64(below(4096)) - 2048)
        if below(3) == 0 { add(.or, any(), any(), t) }
      case 7:  // Load and store at a known address.
        add(.constant, t, 0, 0, Int64(BlockTests.page))
        if below(2) == 0 {
          add(.load64, t, t, 0, Int64(below(4000)))
        } else {
          add(.store32, 0, t, u, Int64(below(4000)))
        }
      case 8:
        add(.addressOf, t, 0, 0, Int64(below(64)) * 4096)
        add(.add, t, t, 0, Int64(below(4096)) - 2048)
      case 9, 10:
        add(.shiftLeft, t, s, 0, Int64(1 + below(4)))
        add(.add, [t, t, u, s][below(4)], below(2) == 0 ? t : u, below(2) == 0 ? u : t)
      case 11:
        add(
          below(2) == 0 ? .setLess : .setLessUnsigned, t, below(4) == 0 ? 0 : s, below(2) == 0 ? u : 0,
          Int64(below(2)))
        block.append(
          Instruction(below(2) == 0 ? .branchEqual : .branchNotEqual, a: t, b: 0, imm: 0x400))
      case 12:
        add(.xor, t, s, 0, -1)
        add(.and, below(2) == 0 ? t : any(), u, t)
      case 13:
        for _ in 0..<3 {
          add([.add32, .subtract32, .shiftLeft32, .multiply32][below(4)], t, t, u)
          add([.xor, .and, .or][below(3)], u, u, s)
        }
        if below(2) == 0 { add(.add32, t, t, 0, 0) }
      case 14:
        add([.add, .add32, .and, .subtract, .shiftLeft, .shiftRight32][below(6)], t, s, 0, n)
        branch()
      default:
        add(.shiftRight, t, s, 0, n)
        add(.and, t, t, 0, [1, 7, 255, 1023][below(4)])
      }
    }

    mutating func end() {
      switch below(4) {
      case 0: block.append(Instruction(.jump, destination: any(), imm: 0x40))
      case 1:
        let t = any()
        block.append(Instruction(.addressOf, destination: t, imm: 0x2000))
        block.append(Instruction(.jumpIndirect, destination: t, a: t, imm: Int64(below(512))))
      case 2: block.append(Instruction(.jump, imm: -0x40))
      default: break
      }
    }

    mutating func make() -> [Instruction] {
      block = []
      let size = 4 + below(40)
      while block.count < size { if below(3) == 0 { filler() } else { idiom() } }
      end()
      return block
    }
  }

  static func state(_ dice: inout Dice) -> [UInt64] {
    var registers = (0..<64).map { _ in dice.operand() }
    registers[0] = 0
    registers[Int(bases[0])] = page
    registers[Int(bases[1])] = page
    registers[Int(bases[2])] = nowhere
    return registers
  }

  /// Runs blocks of chance. `prepare` is told each round's number.
  static func check(
    rounds: Int, seed: UInt64, cpu: ScratchCPU, host: UnsafeMutableRawPointer, mode: UInt64 = 0,
    prepare: (Int) -> Void
  ) {
    let lifter = PreparedLifter()
    var generator = Generator(dice: Dice(seed: seed))
    var (exits, faults) = (0, 0)
    for round in 0..<rounds {
      let block = generator.make()
      let pc = Self.start + UInt64(round) * 0x2000
      lifter.blocks = [pc: block]
      prepare(round)
      for _ in 0..<6 {
        var model = Model(
          registers: Self.state(&generator.dice),
          memory: (0..<4096).map { _ in UInt8(truncatingIfNeeded: generator.dice.next()) })
        cpu.registers = model.registers
        for (offset, byte) in model.memory.enumerated() {
          host.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
        }
        cpu.forgetCalls()
        model.run(block, pc: pc)
        let exit = cpu.run(pc, mode: mode, lifter: lifter)
        var actual = Model(
          registers: cpu.registers,
          memory: (0..<4096).map { host.load(fromByteOffset: $0, as: UInt8.self) })
        switch exit {
        case .site(let site): actual.target = cpu.code.target(of: site)
        case .dispatch where cpu.fault == nil: actual.target = cpu.context.programCounter
        default:
          actual.faultPC = cpu.fault?.pc
          actual.registers = cpu.fault?.registers ?? []
        }
        if actual.faultPC == nil { exits += 1 } else { faults += 1 }
        if actual != model {
          let wrong = (0..<64).filter { actual.registers[$0] != model.registers[$0] }
          Issue.record(
            """
            round \(round): \(exit), target \(actual.target ?? 0), not \(model.target ?? 0), fault \
            \(actual.faultPC ?? 0), not \(model.faultPC ?? 0), memory \(actual.memory == model.memory), \
            \(wrong.map { "\($0): \(String(actual.registers[$0], radix: 16)), not \(String(model.registers[$0], radix: 16))" })
            \(block.enumerated().map { "\($0.offset) \($0.element.operation) \($0.element.destination), \($0.element.a), \($0.element.b), \($0.element.imm)" }.joined(separator: "\n"))
            """)
          return
        }
      }
    }
    #expect(exits > rounds * 3)
    #expect(faults > rounds / 2)
  }

  @Test(arguments: IntegerOperationTests.HostVariant.all)
  func blocks(variant: IntegerOperationTests.HostVariant) throws {
    var options = CodeStore.Options()
    options.features = variant.features
    options.arenaSize = 4 << 20
    let cpu = try ScratchCPU(
      code: CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options))
    let host = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { host.deallocate() }
    cpu.pages[Self.page] = ScratchPage(host: host)
    // An empty view, so that every access calls out at first.
    Self.check(rounds: 12_000, seed: 17, cpu: cpu, host: host) { _ in cpu.view.clear() }
  }
}
