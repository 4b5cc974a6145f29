import Testing
import Translator

/// Generated code for every integer operation against ``Operation/evaluate(_:_:)``, in every constellation
/// of registers: pinned to host registers of each encoding, in the context, zero, and named twice.
@Suite struct IntegerOperationTests {
  static let operations: [Operation] =
    Operation.allCases.filter { $0.evaluate(6, 3) != nil } + [.shiftAdd, .shiftAddUnsigned32]

  /// rbx, rsi, r13 (no base without displacement), r12 (a base needs another byte), context, context.
  static let registers: [UInt8] = [0, 15, 14, 9, 8, 3, 4]

  static let immediates: [Int64] = [
    0, 1, -1, 2, 5, 31, 32, 63, 64, 127, 128, -128, -129, 255, 0x7FF, -0x800, 0x7FFF_FFFF, -0x8000_0000,
    0x8000_0000, 0xFFFF_FFFF, .max, .min, 0x1234_5678_9ABC_DEF0,
  ]

  struct HostVariant: Sendable, CustomTestStringConvertible {
    var bitCounts: Bool
    var flaglessShifts: Bool
    var testDescription: String { "bit counts \(bitCounts), flagless shifts \(flaglessShifts)" }
    var features: HostFeatures {
      HostFeatures(
        bitCounts: bitCounts && HostFeatures.host.bitCounts,
        flaglessShifts: flaglessShifts && HostFeatures.host.flaglessShifts,
        fusedMultiplyAdd: HostFeatures.host.fusedMultiplyAdd,
        threeOperands: HostFeatures.host.threeOperands)
    }
    static let all = [true, false].flatMap { counts in
      [true, false].map { HostVariant(bitCounts: counts, flaglessShifts: $0) }
    }
  }

  /// The value by the definition.
  static func expected(_ i: Instruction, _ a: UInt64, _ b: UInt64, pc: UInt64) -> UInt64 {
    let imm = UInt64(bitPattern: i.imm)
    switch i.operation {
    case .constant: return imm
    case .addressOf: return pc &+ imm
    case .shiftAdd: return (a << imm) &+ b
    case .shiftAddUnsigned32: return ((a & 0xFFFF_FFFF) << imm) &+ b
    default: return i.operation.evaluate(a, b &+ imm)!
    }
  }

  /// Which operands are made constants in the same block, so that the generator knows their values.
  struct Known: OptionSet {
    let rawValue: Int
    static let a = Known(rawValue: 1)
    static let b = Known(rawValue: 2)
  }

  /// Runs one instruction on many operands; what went wrong, or nil.
  static func check(
    _ i: Instruction, known: Known, runs: Int, cpu: ScratchCPU, lifter: PreparedLifter, pc: UInt64,
    dice: inout Dice
  ) -> String? {
    var constants: [UInt8: UInt64] = [:]
    var block: [Instruction] = []
    if known.contains(.a) { constants[i.a] = dice.operand() }
    if known.contains(.b) { constants[i.b] = dice.operand() }
    for (register, value) in constants.sorted(by: { $0.key < $1.key }) {
      block.append(Instruction(.constant, destination: register, imm: Int64(bitPattern: value)))
    }
    let place = pc + UInt64(4 * block.count)
    block.append(i)
    block.append(Instruction(.jump, imm: 0x40))
    lifter.blocks = [pc: block]
    let entry = cpu.find(pc, lifter: lifter).code
    for _ in 0..<runs {
      var registers = (0..<64).map { _ in dice.operand() }
      registers[0] = 0
      cpu.registers = registers
      for (register, value) in constants where register != 0 { registers[Int(register)] = value }
      let a = registers[Int(i.a)]
      let b = registers[Int(i.b)]
      if i.destination != 0 { registers[Int(i.destination)] = expected(i, a, b, pc: place) }
      let exit = cpu.code.run(entry, key: 0, context: cpu.context)
      guard case .site = exit else { return "\(i) left with \(exit)" }
      let actual = cpu.registers
      if actual != registers {
        let wrong = (0..<64).filter { actual[$0] != registers[$0] }
        return "\(i) on \(String(a, radix: 16)), \(String(b, radix: 16)), known \(constants): "
          + wrong.map {
            "register \($0) is \(String(actual[$0], radix: 16)), not \(String(registers[$0], radix: 16))"
          }.joined(separator: ", ")
      }
    }
    return nil
  }

  @Test(arguments: HostVariant.all)
  func everyOperation(variant: HostVariant) throws {
    var options = CodeStore.Options()
    options.features = variant.features
    options.arenaSize = 4 << 20
    let cpu = try ScratchCPU(
      code: CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options))
    let lifter = PreparedLifter()
    var dice = Dice(seed: 1)
    var failures: [String] = []
    var pc: UInt64 = 0x10_0000
    var blocks = 0
    for operation in Self.operations {
      var wrong: [String] = []
      func check(_ i: Instruction, _ known: Known, runs: Int) {
        // 256 bytes a block: its constants, itself and where it jumps to are on one page.
        pc += 0x100
        blocks += 1
        if let failure = Self.check(
          i, known: known, runs: runs, cpu: cpu, lifter: lifter, pc: pc, dice: &dice)
        {
          wrong.append(failure)
        }
      }
      let isShiftAdd = operation == .shiftAdd || operation == .shiftAddUnsigned32
      for destination in Self.registers {
        for a in Self.registers {
          for b in Self.registers {
            let immediates =
              isShiftAdd
              ? [0, 1, 2, 3, 4, 17, 32, 63]
              : b == 0 ? Self.immediates : [0, 0, 1, -1, 0x7FFF_FFFF, 0x1_2345_6789]
            for imm in immediates {
              let i = Instruction(operation, destination: destination, a: a, b: b, imm: imm)
              check(i, [], runs: 6)
            }
            let i = Instruction(operation, destination: destination, a: a, b: b, imm: isShiftAdd ? 3 : 0)
            check(i, .a, runs: 1)
            check(i, .b, runs: 1)
            check(i, [.a, .b], runs: 1)
          }
        }
      }
      if let first = wrong.first { failures.append("\(operation): \(wrong.count) wrong, first \(first)") }
    }
    #expect(failures == [])
    #expect(blocks > 100_000)
  }

  @Test func constantsAndAddresses() throws {
    let cpu = try ScratchCPU(code: CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins)))
    let lifter = PreparedLifter()
    var dice = Dice(seed: 2)
    var pc: UInt64 = 0xFFFF_FFFF_8000_0000
    for operation in [Operation.constant, .addressOf] {
      for destination in Self.registers {
        for imm in Self.immediates {
          pc &+= 0x100
          let i = Instruction(operation, destination: destination, imm: imm)
          #expect(
            Self.check(i, known: [], runs: 2, cpu: cpu, lifter: lifter, pc: pc, dice: &dice) == nil)
        }
      }
    }
  }

  /// What the generator has learnt of a register must not outlive the register's next change, whatever
  /// makes it: chains of operations on few registers, with constants among them.
  @Test(arguments: HostVariant.all)
  func chains(variant: HostVariant) throws {
    var options = CodeStore.Options()
    options.features = variant.features
    options.arenaSize = 4 << 20
    let cpu = try ScratchCPU(
      code: CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options))
    let lifter = PreparedLifter()
    var dice = Dice(seed: 3)
    for round in 0..<3000 {
      let pc = 0x40_0000 + UInt64(round) * 0x1000
      var block: [Instruction] = []
      var registers = (0..<64).map { _ in dice.operand() }
      registers[0] = 0
      cpu.registers = registers
      for index in 0..<60 {
        let operation =
          dice.next() & 3 == 0
          ? [Operation.constant, .addressOf].randomElement(using: &dice)!
          : Self.operations.randomElement(using: &dice)!
        var i = Instruction(
          operation, destination: Self.registers.randomElement(using: &dice)!,
          a: Self.registers.randomElement(using: &dice)!, b: Self.registers.randomElement(using: &dice)!)
        if operation == .shiftAdd || operation == .shiftAddUnsigned32 {
          i.imm = Int64.random(in: 0...63, using: &dice)
        } else if i.b == 0 || operation == .constant || operation == .addressOf {
          i.imm = Self.immediates.randomElement(using: &dice)!
        }
        block.append(i)
        let value = Self.expected(
          i, registers[Int(i.a)], registers[Int(i.b)], pc: pc + UInt64(4 * index))
        if i.destination != 0 { registers[Int(i.destination)] = value }
      }
      block.append(Instruction(.jump, imm: 0x40))
      lifter.blocks = [pc: block]
      _ = cpu.run(pc, lifter: lifter)
      let isRight = cpu.registers == registers
      #expect(isRight, "round \(round): \(block)")
      if !isRight { break }
    }
  }
}
