import Testing
import Translator

/// How blocks end: branches and jumps, taken or not, near and far, polled and linked.
@Suite struct ControlFlowTests {
  private func makeCPU(links: Bool = true) throws -> (ScratchCPU, PreparedLifter) {
    var options = CodeStore.Options()
    options.arenaSize = 4 << 20
    options.links = links
    let code = try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options)
    return (try ScratchCPU(code: code), PreparedLifter())
  }

  static func isTaken(_ operation: Operation, _ a: UInt64, _ b: UInt64) -> Bool {
    switch operation {
    case .branchEqual: a == b
    case .branchNotEqual: a != b
    case .branchLess: Int64(bitPattern: a) < Int64(bitPattern: b)
    case .branchGreaterEqual: Int64(bitPattern: a) >= Int64(bitPattern: b)
    case .branchLessUnsigned: a < b
    default: a >= b
    }
  }

  /// Forward on the page, onto the next pages, backward, onto itself, far away.
  static let distances: [Int64] = [8, 0x700, 0x1000, 0x5000, -8, -0x2000, 0, 0x7FFF_0000, -0x7FFF_0000]

  @Test(arguments: [
    Operation.branchEqual, .branchNotEqual, .branchLess, .branchGreaterEqual, .branchLessUnsigned,
    .branchGreaterEqualUnsigned,
  ])
  func branches(operation: Operation) throws {
    let (cpu, lifter) = try makeCPU(links: false)
    var dice = Dice(seed: 8)
    var failures: [String] = []
    var page: UInt64 = 0xFFFF_FFFF_8000_0000
    for a in IntegerOperationTests.registers {
      for b in IntegerOperationTests.registers {
        for distance in Self.distances {
          for asksToLeave in [false, true] {
            page += 0x1000
            let pc = page + 0x400
            lifter.blocks = [
              pc: [
                Instruction(.add, destination: 31, a: 31, imm: 1),
                Instruction(operation, a: a, b: b, imm: distance),
                Instruction(.add, destination: 31, a: 31, imm: 2),
                Instruction(.jump, imm: 0x20),
              ]
            ]
            let entry = cpu.find(pc, lifter: lifter).code
            for _ in 0..<12 {
              var registers = (0..<64).map { _ in dice.operand() }
              registers[0] = 0
              if dice.next() & 3 == 0, a != 0 { registers[Int(a)] = registers[Int(b)] }
              registers[31] = 0
              cpu.registers = registers
              cpu.context.half(ContextLayout.exitRequest).pointee = asksToLeave ? 1 : 0
              let taken = Self.isTaken(operation, registers[Int(a)], registers[Int(b)])
              let from = pc + 4
              let target = taken ? from &+ UInt64(bitPattern: distance) : pc + 12 + 0x20
              registers[31] = taken ? 1 : 3
              let exit = cpu.code.run(entry, key: 0, context: cpu.context)
              let isPolled = asksToLeave && taken && target <= from
              guard case .site(let site) = isPolled ? Self.polled(exit) : exit,
                cpu.code.target(of: site) == target,
                cpu.registers == registers
              else {
                failures.append(
                  "registers \(a), \(b) distance \(distance) asked \(asksToLeave): \(exit) with "
                    + "\(registers[Int(a)]), \(registers[Int(b)])")
                continue
              }
            }
          }
        }
      }
    }
    #expect(failures.count == 0, "\(failures.prefix(3))")
  }

  private static func polled(_ exit: CodeStore.Exit) -> CodeStore.Exit {
    if case .interrupted(let site) = exit { return .site(site) }
    return .dispatch
  }

  @Test(arguments: IntegerOperationTests.registers)
  func jumpsLink(destination: UInt8) throws {
    let (cpu, lifter) = try makeCPU(links: false)
    for (number, distance) in Self.distances.enumerated() {
      let pc: UInt64 = 0xFFFF_FFFF_C000_0400 + UInt64(number) << 12
      lifter.blocks[pc] = [Instruction(.jump, destination: destination, length: 2, imm: distance)]
      var registers = (0..<64).map { UInt64($0) * 1001 }
      cpu.registers = registers
      if destination != 0 { registers[Int(destination)] = pc + 2 }
      guard case .site(let site) = cpu.run(pc, lifter: lifter) else {
        Issue.record("did not leave by a site")
        continue
      }
      #expect(cpu.code.target(of: site) == pc &+ UInt64(bitPattern: distance))
      #expect(cpu.registers == registers)
    }
  }

  /// Computed jumps, through the view's jump cache and past it.
  @Test(arguments: [UInt64(0), 1], [false, true])
  func computedJumps(key: UInt64, isKnown: Bool) throws {
    let (cpu, lifter) = try makeCPU()
    var number: UInt64 = 0
    for destination in IntegerOperationTests.registers {
      for register in IntegerOperationTests.registers where !isKnown || register != 0 {
        for (imm, odd) in [(0, 0), (6, 0), (-2048, 1), (2047, 0)] as [(Int64, UInt64)] {
          number += 1
          let pc: UInt64 = 0x5000_0000 + number << 12
          let target: UInt64 =
            register == 0 ? UInt64(bitPattern: imm) & ~1 : 0xFFFF_FFFF_8123_4560 + number << 13
          let value = register == 0 ? 0 : (target &- UInt64(bitPattern: imm)) | odd
          lifter.blocks = [
            pc:
              (isKnown
              ? [Instruction(.constant, destination: register, length: 0, imm: Int64(bitPattern: value))]
              : [])
              + [Instruction(.jumpIndirect, destination: destination, a: register, imm: imm)],
            // The block that the jump leads to.
            target: [Instruction(.add, destination: 31, a: 31, imm: 1), Instruction(.system)],
          ]
          let isDirect = isKnown || register == 0
          for round in 0..<3 {
            var registers = (0..<64).map { UInt64($0) &* 0x1_0001 }
            registers[Int(register)] = value
            registers[0] = 0
            cpu.registers = registers
            if destination != 0 { registers[Int(destination)] = pc + 4 }
            cpu.context.half(ContextLayout.exitRequest).pointee = round == 2 ? 1 : 0
            if round == 1, !isDirect {
              cpu.view.setCode(cpu.find(target, key: key, lifter: lifter).code, at: target, key: key)
              registers[31] &+= 1
            }
            let exit = cpu.run(pc, key: key, lifter: lifter)
            switch exit {
            case .site(let site): #expect(isDirect && cpu.code.target(of: site) == target)
            case .interrupted(let site):
              #expect(isDirect && round == 2 && target <= pc && cpu.code.target(of: site) == target)
            case .dispatch:
              #expect(!isDirect)
              #expect(cpu.context.programCounter == (round == 1 ? target + 8 : target & ~1))
            }
            #expect(cpu.registers == registers)
            cpu.context.half(ContextLayout.exitRequest).pointee = 0
          }
        }
      }
    }
  }

  /// A block that is cut off in the middle goes on at the next instruction.
  @Test func fallsThrough() throws {
    let (cpu, lifter) = try makeCPU(links: false)
    lifter.blocks[0x1FF8] = [
      Instruction(.add, destination: 3, a: 3, imm: 1), Instruction(.add, destination: 3, a: 3, imm: 2),
    ]
    guard case .site(let site) = cpu.run(0x1FF8, lifter: lifter) else {
      Issue.record("did not leave by a site")
      return
    }
    #expect(cpu.code.target(of: site) == 0x2000)
    #expect(cpu.context.registers[3] == 3)
  }

  /// The count of retired instructions: those of a block up to where it is left.
  @Test func counts() throws {
    var options = CodeStore.Options()
    options.countsInstructions = true
    let code = try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options)
    let cpu = try ScratchCPU(code: code)
    let lifter = PreparedLifter()
    lifter.blocks[0x1000] = [
      Instruction(.add, destination: 3, a: 3, imm: 1), Instruction(.branchEqual, a: 3, b: 4, imm: 0x40),
      Instruction(.load64, destination: 5, a: 6), Instruction(.system),
    ]
    func run(_ three: UInt64, page: Bool) -> UInt64 {
      let count = code.countsInstructions ? cpu.context.word(ContextLayout.instructionsRetired) : nil
      let before = count!.pointee
      cpu.context.registers[3] = three
      cpu.context.registers[6] = page ? 0x8000 : 0x9000
      _ = cpu.run(0x1000, lifter: lifter)
      return count!.pointee - before
    }
    let memory = MemoryOperationTests.Memory(base: 0x8000)
    cpu.pages[0x8000] = ScratchPage(host: memory.page(0))
    #expect(run(~0, page: true) == 2)
    #expect(run(7, page: true) == 4)
    #expect(run(7, page: false) == 3)
  }
}
