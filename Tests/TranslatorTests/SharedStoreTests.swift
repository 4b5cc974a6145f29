import HostSystem
import Synchronization
import Testing
import Translator

/// One code store, several CPUs on threads of their own: they translate, link, run and invalidate at once.
@Suite(.serialized) struct SharedStoreTests {
  /// Guest code: a ring of pages with three blocks each, joined by every kind of jump, that adds up
  /// numbers which depend on the epoch.
  enum Ring {
    static let pages: UInt64 = 24
    static let base: UInt64 = 0x40_0000
    static let end: UInt64 = base + pages << 12

    static func addend(_ page: UInt64, _ epoch: UInt64) -> UInt64 { page &* 7919 &+ epoch &* 104_729 &+ 1 }

    static func next(_ page: UInt64) -> UInt64 { (page &* 7 &+ 5) % pages }

    /// Register 15 counts down, 14 adds up, 3 is a scratch register.
    static func blocks(epoch: UInt64) -> [UInt64: [Instruction]] {
      var blocks: [UInt64: [Instruction]] = [end: [Instruction(.system)]]
      for page in 0..<pages {
        let start = base + page << 12
        blocks[start] = [
          Instruction(.add, destination: 14, a: 14, imm: Int64(addend(page, epoch))),
          Instruction(.add, destination: 15, a: 15, imm: -1),
          Instruction(.branchEqual, a: 15, b: 0, imm: Int64(end) - Int64(start + 8)),
          Instruction(.branchNotEqual, a: 15, b: 0, imm: 0x100),
          Instruction(.illegal),
        ]
        let middle = start + 12 + 0x100
        let target = base + next(page) << 12
        blocks[middle] =
          page % 3 == 0
          ? [
            Instruction(.constant, destination: 3, imm: Int64(target)),
            Instruction(.add, destination: 4, a: 3, b: 5),
            Instruction(.jumpIndirect, a: 4),
          ]
          : page % 3 == 1
            ? [Instruction(.jump, imm: Int64(target) - Int64(middle))]
            : [
              Instruction(.branchEqual, a: 0, b: 0, imm: Int64(target) - Int64(middle)),
              Instruction(.illegal),
            ]
      }
      return blocks
    }

    static func expected(steps: Int, epoch: UInt64) -> UInt64 {
      var page: UInt64 = 0
      var sum: UInt64 = 0
      for _ in 0..<steps {
        sum &+= addend(page, epoch)
        page = next(page)
      }
      return sum
    }
  }

  private final class Shared: Sendable {
    let failures = Mutex<[String]>([])
    let running = Atomic<Int>(0)
    let epoch = Atomic<UInt64>(0)
    let arrived = Atomic<Int>(0)
  }

  private func makeStore() throws -> CodeStore {
    var options = CodeStore.Options()
    options.arenaSize = 16 << 20
    return try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options)
  }

  /// Pages are invalidated at random under the CPUs' feet; their bytes stay, so every sum must be right.
  @Test(arguments: [2, 4])
  func invalidatedWhileRunning(cpus: Int) throws {
    let store = try makeStore()
    let shared = Shared()
    shared.running.store(cpus, ordering: .sequentiallyConsistent)
    let steps = 20_011
    let expected = Ring.expected(steps: steps, epoch: 0)
    let threads = try (0..<cpus).map { number in
      try Thread.start(name: "cpu \(number)") {
        defer { shared.running.subtract(1, ordering: .sequentiallyConsistent) }
        guard let runner = try? LinkingTests.Runner(store) else { return }
        runner.lifter.blocks = Ring.blocks(epoch: 0)
        var round = 0
        while round < 60 || shared.arrived.load(ordering: .relaxed) <= 100 {
          round += 1
          runner.cpu.context.registers[14] = 0
          runner.cpu.context.registers[15] = UInt64(steps)
          runner.go(Ring.base)
          let sum = runner.cpu.context.registers[14]
          if sum != expected {
            shared.failures.withLock { $0.append("cpu \(number) round \(round): \(sum)") }
          }
        }
      }
    }
    var dice = Dice(seed: 9)
    var invalidations = 0
    // Never so often that the store fills up: its pages come back a little slower than they go.
    while shared.running.load(ordering: .sequentiallyConsistent) > 0, invalidations < 20_000 {
      let page = Ring.base >> 12 + dice.next() % Ring.pages
      store.invalidate(page: Int(page)) {}
      invalidations += 1
      shared.arrived.store(invalidations, ordering: .relaxed)
      if invalidations & 7 == 0 { hostYield() }
    }
    for thread in threads { thread.join() }
    #expect(shared.failures.withLock { $0 } == [])
    #expect(invalidations > 100)
    print(
      "shared store, \(cpus) CPUs: \(invalidations) invalidations, \(store.statistics.blocks) blocks translated"
    )
  }

  /// The guest code changes while CPUs wait: none may then go on into what was linked before.
  @Test(arguments: [2, 4])
  func newCodeIsSeen(cpus: Int) throws {
    let store = try makeStore()
    let shared = Shared()
    let epochs: UInt64 = 150
    let steps = 499
    let threads = try (0..<cpus).map { number in
      try Thread.start(name: "cpu \(number)") {
        guard let runner = try? LinkingTests.Runner(store) else { return }
        for epoch in 1...epochs {
          while shared.epoch.load(ordering: .sequentiallyConsistent) < epoch { hostYield() }
          runner.lifter.blocks = Ring.blocks(epoch: epoch)
          runner.cpu.view.clearJumps()
          runner.cpu.context.registers[14] = 0
          runner.cpu.context.registers[15] = UInt64(steps)
          runner.go(Ring.base)
          let sum = runner.cpu.context.registers[14]
          if sum != Ring.expected(steps: steps, epoch: epoch) {
            shared.failures.withLock { $0.append("cpu \(number) epoch \(epoch): \(sum)") }
          }
          shared.arrived.add(1, ordering: .sequentiallyConsistent)
        }
      }
    }
    for epoch in 1...epochs {
      for page in 0..<Ring.pages { store.invalidate(page: Int(Ring.base >> 12 + page)) {} }
      shared.epoch.store(epoch, ordering: .sequentiallyConsistent)
      while shared.arrived.load(ordering: .sequentiallyConsistent) < Int(epoch) * cpus { hostYield() }
    }
    for thread in threads { thread.join() }
    #expect(shared.failures.withLock { $0 } == [])
  }
}
