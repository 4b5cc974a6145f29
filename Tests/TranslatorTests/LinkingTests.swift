import HostSystem
import Synchronization
import Testing
import Translator

/// Blocks joined by direct jumps, and taken apart again.
@Suite struct LinkingTests {
  /// A CPU with the dispatcher's loop, and a count of how often it was needed.
  final class Runner {
    let cpu: ScratchCPU
    let lifter = PreparedLifter()
    /// The page of the memory file behind a guest page where it is not the usual one.
    var numbers: [UInt64: Int] = [:]
    private(set) var exits = 0

    init(_ code: CodeStore) throws { cpu = try ScratchCPU(code: code) }

    private func resolve(_ pc: UInt64, key: UInt64) -> (code: UnsafeRawPointer, identity: UInt32) {
      let found = cpu.find(pc, key: key, number: numbers[pc & ~0xFFF], lifter: lifter)
      cpu.view.setCode(found.code, at: pc, key: key)
      cpu.view.setPageIdentity(found.identity, pc)
      return found
    }

    /// Runs from `pc` until a `.system` instruction or a poll. Returns how often code was left before.
    @discardableResult
    func go(_ pc: UInt64, key: UInt64 = 0) -> Int {
      exits = 0
      cpu.context.programCounter = pc
      cpu.forgetCalls()
      var entry = resolve(pc, key: key).code
      while true {
        switch cpu.code.run(entry, key: key, context: cpu.context) {
        case .dispatch:
          if !cpu.interpreted.isEmpty || cpu.context.half(ContextLayout.exitRequest).pointee != 0 {
            return exits
          }
          exits += 1
          entry = resolve(cpu.context.programCounter, key: key).code
        case .interrupted: return exits
        case .site(let site):
          exits += 1
          let target = cpu.code.target(of: site)
          let generation = cpu.code.generation
          let found = resolve(target, key: key)
          cpu.code.link(site, to: found.code, identity: found.identity, generation: generation)
          entry = found.code
        }
      }
    }
  }

  private func makeRunner(arena: Int = 4 << 20) throws -> Runner {
    var options = CodeStore.Options()
    options.arenaSize = arena
    return try Runner(CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options))
  }

  /// The kinds of jump that can be linked, from 0x1100 to `target`.
  enum Jump: CaseIterable {
    case forward, forwardBranch, farJump, farBranch, backward, backwardBranch, backwardFar

    static let from: UInt64 = 0x1_1400
    var target: UInt64 {
      switch self {
      case .forward, .forwardBranch: 0x1_1800
      case .farJump, .farBranch: 0x1_5800
      case .backward, .backwardBranch: 0x1_1100
      case .backwardFar: 0x1_0800
      }
    }
    var instruction: Instruction {
      let imm = Int64(target) - Int64(Self.from)
      switch self {
      case .forwardBranch, .farBranch, .backwardBranch: return Instruction(.branchEqual, a: 0, b: 0, imm: imm)
      default: return Instruction(.jump, imm: imm)
      }
    }
  }

  @Test(arguments: Jump.allCases)
  func linksAndUnlinks(jump: Jump) throws {
    let runner = try makeRunner()
    let (cpu, lifter) = (runner.cpu, runner.lifter)
    let tail = [Instruction(.illegal)]
    lifter.blocks[Jump.from] = [jump.instruction] + (jump.instruction.operation == .jump ? [] : tail)
    lifter.blocks[jump.target] = [Instruction(.add, destination: 3, a: 3, imm: 1), Instruction(.system)]
    #expect(runner.go(Jump.from) == 1)
    for _ in 0..<3 { #expect(runner.go(Jump.from) == 0) }
    #expect(cpu.context.registers[3] == 4)

    // The target's guest code changes.
    lifter.blocks[jump.target] = [Instruction(.add, destination: 3, a: 3, imm: 100), Instruction(.system)]
    cpu.code.invalidate(page: Int(jump.target >> 12)) {}
    cpu.view.clearJumps()
    #expect(runner.go(Jump.from) == 1)
    #expect(runner.go(Jump.from) == 0)
    #expect(cpu.context.registers[3] == 204)

    // The guest page shows another page of memory from now on.
    guard jump.target >> 12 != Jump.from >> 12 else { return }
    lifter.blocks[jump.target] = [Instruction(.add, destination: 3, a: 3, imm: 10_000), Instruction(.system)]
    runner.numbers[jump.target & ~0xFFF] = 77
    cpu.view.drop(jump.target)
    #expect(runner.go(Jump.from) == 1)
    // The site stays true to the first page: it is left each time, as long as the other is mapped.
    #expect(runner.go(Jump.from) == 1)
    #expect(cpu.context.registers[3] == 20_204)
    runner.numbers = [:]
    cpu.view.drop(jump.target)
    #expect(runner.go(Jump.from) == 1)
    #expect(runner.go(Jump.from) == 0)
    #expect(cpu.context.registers[3] == 20_404)
  }

  /// The page that a guard looks for has left the view: the jump is not taken, although it is linked.
  @Test func guardsLookEachTime() throws {
    let runner = try makeRunner()
    let (cpu, lifter) = (runner.cpu, runner.lifter)
    lifter.blocks[0x1000] = [Instruction(.jump, imm: 0x1000)]
    lifter.blocks[0x2000] = [Instruction(.system)]
    runner.go(0x1000)
    #expect(runner.go(0x1000) == 0)
    for _ in 0..<3 {
      cpu.view.setPageIdentity(0, 0x2000)
      #expect(runner.go(0x1000) == 1)
      #expect(runner.go(0x1000) == 0)
      // Another guest page takes the place in the table.
      cpu.view.setPageIdentity(12345, 0x2000 + UInt64(AddressView.identityCount) << 12)
      #expect(runner.go(0x1000) == 1)
    }
  }

  /// The same guest page mapped at two addresses: two blocks, each with its own surroundings.
  @Test func onePageAtTwoAddresses() throws {
    let runner = try makeRunner()
    let lifter = runner.lifter
    for (page, register) in [(0x7000, 3), (0x9000, 4)] as [(UInt64, UInt8)] {
      runner.numbers[page] = 5
      lifter.blocks[page] = [
        Instruction(.addressOf, destination: register, imm: 0), Instruction(.jump, imm: 0x80),
      ]
      lifter.blocks[page + 0x84] = [Instruction(.system)]
    }
    for _ in 0..<3 {
      runner.go(0x7000)
      runner.go(0x9000)
    }
    #expect(runner.cpu.context.registers[3] == 0x7000)
    #expect(runner.cpu.context.registers[4] == 0x9000)
    // Both go when the page's bytes change.
    for page: UInt64 in [0x7000, 0x9000] { lifter.blocks[page]?[0].imm = 1 }
    runner.cpu.code.invalidate(page: 5) {}
    runner.cpu.view.clearJumps()
    runner.go(0x7000)
    runner.go(0x9000)
    #expect(runner.cpu.context.registers[3] == 0x7001)
    #expect(runner.cpu.context.registers[4] == 0x9001)
  }

  /// Blocks of two keys at one address keep to themselves.
  @Test func keys() throws {
    let runner = try makeRunner()
    let lifter = runner.lifter
    for key in [0, 1] as [UInt64] {
      lifter.blocks[0x1000] = [Instruction(.jump, imm: 0x1000)]
      lifter.blocks[0x2000] = [
        Instruction(.constant, destination: 4, imm: 0x3010), Instruction(.add, destination: 4, a: 4, b: 5),
        Instruction(.jumpIndirect, a: 4),
      ]
      lifter.blocks[0x3010] = [
        Instruction(.add, destination: 3, a: 3, imm: key == 0 ? 1 : 100), Instruction(.system),
      ]
      runner.cpu.context.registers[5] = 0
      runner.go(0x1000, key: key)
    }
    #expect(runner.cpu.context.registers[3] == 101)
    // The two share a place in the jump cache, and each finds its way nevertheless.
    for key in [0, 1, 0, 1] as [UInt64] {
      #expect(runner.go(0x1000, key: key) == 0)
      #expect(runner.go(0x1000, key: key) == 0)
    }
    #expect(runner.cpu.context.registers[3] == 505)
  }

  /// Computed jumps, calls and returns that the jump cache has forgotten find the code that there is, without the
  /// dispatcher, as long as the view knows the page.
  @Test(arguments: [0, 1] as [UInt64])
  func jumpsAreFoundFurther(key: UInt64) throws {
    var options = CodeStore.Options()
    options.arenaSize = 4 << 20
    let architecture = GuestArchitecture(
      pins: ScratchCPU.pins, floatPins: (32..<45).map { UInt8($0) }, linkRegisters: [1])
    let runner = try Runner(CodeStore(architecture: architecture, options: options))
    let (cpu, lifter) = (runner.cpu, runner.lifter)
    let data = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { data.deallocate() }
    data.initializeMemory(as: UInt64.self, repeating: 1, count: 512)
    cpu.pages[0x8_0000] = ScratchPage(host: data)
    func target(_ address: Int64) -> [Instruction] {
      [Instruction(.constant, destination: 4, imm: address), Instruction(.add, destination: 4, a: 4, b: 5)]
    }
    // Calls a function that loads, and calls another; each returns. Then a jump.
    lifter.blocks[0x1000] = target(0x3000) + [Instruction(.jumpIndirect, destination: 1, a: 4)]
    lifter.blocks[0x100C] = target(0x5000) + [Instruction(.jumpIndirect, a: 4)]
    lifter.blocks[0x3000] =
      [
        Instruction(.constant, destination: 6, imm: 0x8_0000),
        Instruction(.load64, destination: 7, a: 6),
        Instruction(.add, destination: 3, a: 3, b: 7),
        Instruction(.add, destination: 9, a: 1),
      ] + target(0x4000) + [Instruction(.jumpIndirect, destination: 1, a: 4)]
    lifter.blocks[0x301C] = [
      Instruction(.add, destination: 3, a: 3, imm: 10), Instruction(.add, destination: 1, a: 9),
      Instruction(.jumpIndirect, a: 1),
    ]
    lifter.blocks[0x4000] = [
      Instruction(.add, destination: 3, a: 3, imm: 100), Instruction(.load64, destination: 7, a: 6),
      Instruction(.jumpIndirect, a: 1),
    ]
    lifter.blocks[0x5000] = [Instruction(.add, destination: 3, a: 3, imm: 1000), Instruction(.system)]
    runner.go(0x1000, key: key)
    for round in 2...5 {
      let floats = (32..<64).map { UInt64(round * 1000 + $0) }
      for (number, value) in floats.enumerated() { cpu.context.registers[32 + number] = value }
      cpu.context.registers[10] = 0xAAAA
      cpu.view.clearJumps()
      cpu.view.drop(0x8_0000)
      #expect(runner.go(0x1000, key: key) == 0)
      #expect(cpu.context.registers[3] == UInt64(round * 1111))
      #expect((32..<64).map { cpu.context.registers[$0] } == floats)
      #expect(cpu.context.registers[10] == 0xAAAA)
    }
    // The page is forgotten too, or shows another one: only the dispatcher can tell.
    cpu.view.drop(0x3000)
    #expect(runner.go(0x1000, key: key) > 0)
    runner.numbers[0x4000] = 99
    lifter.blocks[0x4000] = [Instruction(.system)]
    cpu.view.drop(0x4000)
    #expect(runner.go(0x1000, key: key) > 0)
    #expect(cpu.context.registers[3] == 6 * 1111 + 1)
  }

  /// A loop through linked blocks on two pages runs without the dispatcher, and a request ends it.
  @Test func loopsAreLeftOnRequest() throws {
    let runner = try makeRunner()
    let (cpu, lifter) = (runner.cpu, runner.lifter)
    lifter.blocks[0x1000] = [
      Instruction(.add, destination: 3, a: 3, imm: 1), Instruction(.jump, imm: 0x1000 - 4),
    ]
    lifter.blocks[0x2000] = [Instruction(.branchNotEqual, a: 3, b: 4, imm: -0x1000), Instruction(.system)]
    cpu.context.registers[4] = 100_000
    #expect(runner.go(0x1000) == 2)
    #expect(cpu.context.registers[3] == 100_000)
    // For ever, until another thread asks.
    cpu.context.registers[3] = 0
    cpu.context.registers[4] = .max
    let request = UInt(bitPattern: cpu.context.half(ContextLayout.exitRequest))
    let asker = try Thread.start(name: "asker") {
      for _ in 0..<50 { hostYield() }
      UnsafeMutableRawPointer(bitPattern: request)!.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
        .store(1, ordering: .sequentiallyConsistent)
    }
    runner.go(0x1000)
    asker.join()
    #expect(cpu.interpreted.isEmpty)
    cpu.context.half(ContextLayout.exitRequest).pointee = 0
    // Loops of one block poll too: over a branch, a jump, a computed jump.
    for loop in [
      [Instruction(.branchEqual, imm: 0), Instruction(.system)], [Instruction(.jump, imm: 0)],
      [Instruction(.jumpIndirect, a: 9)],
    ] {
      lifter.blocks[0x5000] = loop
      cpu.code.invalidate(page: 5) {}
      cpu.view.clearJumps()
      cpu.context.registers[9] = 0x5000
      let asker = try Thread.start(name: "asker") {
        for _ in 0..<50 { hostYield() }
        UnsafeMutableRawPointer(bitPattern: request)!.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
          .store(1, ordering: .sequentiallyConsistent)
      }
      runner.go(0x5000)
      asker.join()
      cpu.context.half(ContextLayout.exitRequest).pointee = 0
    }
  }

  /// A full arena is emptied and filled again; what was linked before then is not linked after.
  @Test func fullCache() throws {
    let runner = try makeRunner(arena: 64 << 10)
    let (cpu, lifter) = (runner.cpu, runner.lifter)
    for page in 0..<600 as Range<UInt64> {
      lifter.blocks[page << 12] =
        (0..<20).map { Instruction(.add, destination: 3, a: 3, imm: Int64($0)) }
        + [Instruction(.jump, imm: page == 599 ? 0x40 : 0x1000 - 80)]
    }
    lifter.blocks[599 << 12 | 0x90] = [Instruction(.system)]
    for round in 0..<4 as Range<UInt64> {
      cpu.context.registers[3] = round
      runner.go(0)
      #expect(cpu.context.registers[3] == round + 600 * 190)
    }
    #expect(cpu.code.statistics.emptied > 2)
    #expect(cpu.code.statistics.codeBytes <= 64 << 10)
    let site: Int
    guard case .site(let first) = cpu.run(0, lifter: lifter) else {
      Issue.record("block 0 is linked in a fresh cache")
      return
    }
    site = first
    // A link from before the cache was emptied does nothing.
    let old = cpu.code.generation
    let target = cpu.find(0x1000, lifter: lifter)
    cpu.code.link(site, to: target.code, identity: target.identity, generation: old &- 1)
    guard case .site = cpu.run(0, lifter: lifter) else {
      Issue.record("linked although of another generation")
      return
    }
  }
}
