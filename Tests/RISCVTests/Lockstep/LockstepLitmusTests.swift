import Foundation
import RISCV
import Testing

extension LockstepTests {
  /// Small programs on several harts at once whose outcomes the memory model forbids or allows (unprivileged
  /// specification, chapter "RVWMO"), many times over.
  @Suite(.serialized) struct LitmusTests {
    /// Rounds of each test: `VOLARY_LITMUS_ROUNDS`, or what takes a moment; a multiple of how many a group makes.
    static let rounds =
      (ProcessInfo.processInfo.environment["VOLARY_LITMUS_ROUNDS"].flatMap { Int($0) } ?? 20_480) + 63 & ~63
    /// Rounds that memory has room for at a time; a multiple of how many a group makes.
    private static let batch = 102_400

    private static let xs = LockstepCluster.base + 0x100_0000
    private static let ys = LockstepCluster.base + 0x200_0000
    private static func results(_ hart: Int) -> UInt64 {
      LockstepCluster.base + 0x300_0000 + UInt64(hart) << 21
    }
    private static func scratch(_ hart: Int) -> UInt64 {
      LockstepCluster.base + 0x80_0000 + UInt64(hart) << 21
    }
    private static let stride: Int32 = 64

    /// A hart's program: `rounds` rounds. Two harts meet every few rounds, by spinning; more than the host may
    /// have CPUs for meet less often. From round to round they wait for more or less long, each in its own way, so
    /// that they overlap in every way, whichever of them left the meeting first.
    private static func program(
      _ body: (inout LockstepCode) -> Void, base: UInt64, hart: Int, harts: Int, rounds: Int
    ) -> [UInt8] {
      let together = harts == 2 ? 8 : 64
      var c = LockstepCode(base: base)
      c.li(Litmus.x, xs)
      c.li(Litmus.y, ys)
      c.li(18, results(hart))
      c.li(Litmus.one, 1)
      c.li(Litmus.two, 2)
      c.li(22, 0)
      c.li(23, UInt64(rounds / together))
      c.li(25, 0)
      c.li(26, 0x9E37_79B9_7F4A_7C15 &* UInt64(2 * hart + 1))
      c.li(31, 0)
      let outer = c.here()
      c.barrier(harts: harts, meeting: 22)
      c.li(24, UInt64(together))
      c.li(28, scratch(hart))
      c.li(29, (1 << 21) - 1)
      c.li(30, 4160)
      let inner = c.here()
      // Up to 511, 127, 31 or 7 times round.
      c.add(25, 25, 26)
      c.srli(27, 25, 55)
      c.andi(7, 24, 3)
      c.slli(7, 7, 1)
      c.word(LockstepCode.r(0x5033, 27, 27, 7))  // srl
      let (delay, over) = (c.here(), c.newLabel())
      c.branch(.equal, 27, 0, to: over)
      c.addi(27, 27, -1)
      c.jump(to: delay)
      c.bind(over)
      // Stores that miss the caches keep those of the test waiting.
      c.and(7, 31, 29)
      c.add(7, 7, 28)
      for line in 0..<4 as Range<Int32> { c.sd(0, 7, line * 256) }
      c.add(31, 31, 30)
      c.li(Litmus.first, 0)
      c.li(Litmus.second, 0)
      body(&c)
      c.sd(Litmus.first, 18, 0)
      c.sd(Litmus.second, 18, 8)
      c.addi(18, 18, 16)
      c.addi(Litmus.x, Litmus.x, stride)
      c.addi(Litmus.y, Litmus.y, stride)
      c.addi(24, 24, -1)
      c.branch(.notEqual, 24, 0, to: inner)
      c.addi(23, 23, -1)
      c.branch(.notEqual, 23, 0, to: outer)
      c.finish(hart: hart, harts: harts)
      return c.finished()
    }

    /// What was seen in so many rounds.
    private static func run(
      _ litmus: Litmus, _ engine: LockstepEngine, rounds: Int
    ) throws -> (forbidden: Int, outcomes: Set<Litmus.Outcome>) {
      var forbidden = 0
      var outcomes: Set<Litmus.Outcome> = []
      var left = rounds
      while left > 0 {
        let some = min(left, batch)
        left -= some
        for outcome in try runBatch(litmus, engine, rounds: some) {
          outcomes.insert(outcome)
          if litmus.isForbidden(outcome) { forbidden += 1 }
        }
      }
      return (forbidden, outcomes)
    }

    private static func runBatch(
      _ litmus: Litmus, _ engine: LockstepEngine, rounds: Int
    ) throws -> [Litmus.Outcome] {
      let harts = litmus.harts.count
      let cluster = try LockstepCluster(engine, harts: harts)
      var entries: [UInt64] = []
      for (hart, body) in litmus.harts.enumerated() {
        let base = LockstepCluster.base + UInt64(hart) << 12
        try cluster.write(program(body, base: base, hart: hart, harts: harts, rounds: rounds), at: base)
        entries.append(base)
      }
      let isInTime = try cluster.run(entries: entries, apart: true)
      #expect(isInTime)
      return try (0..<UInt64(rounds)).map { round in
        Litmus.Outcome(
          registers: try (0..<harts).map { hart in
            [
              try cluster.read(results(hart) + round * 16), try cluster.read(results(hart) + round * 16 + 8),
            ]
          },
          x: try cluster.read(xs + round * UInt64(stride)), y: try cluster.read(ys + round * UInt64(stride)))
      }
    }

    @Test(arguments: LockstepEngine.distinct, Litmus.all)
    func forbiddenOutcomes(engine: LockstepEngine, litmus: Litmus) throws {
      // The interpreter's accesses are Swift's; what millions of rounds are about is generated code.
      let rounds = engine == .translator ? Self.rounds : min(Self.rounds, 20_480)
      let (forbidden, outcomes) = try Self.run(litmus, engine, rounds: rounds)
      #expect(forbidden == 0, "\(forbidden) of \(rounds) rounds")
      print(
        "litmus, \(engine.rawValue), \(litmus.name): \(rounds) rounds, \(outcomes.count) different outcomes")
    }

    /// Without fences the host does reorder: what they forbid is seen, and would be if the translator left one out.
    @Test(
      .enabled(if: LockstepCluster.hostCPUs.count > 1, "one CPU sees its own stores"),
      arguments: Litmus.unfenced)
    func withoutFences(litmus: Litmus) throws {
      var (reordered, rounds) = (0, 0)
      // The first some are enough on a host that has time for both harts at once.
      while reordered == 0, rounds < 1 << 22 {
        reordered += try Self.run(litmus, .translator, rounds: Self.rounds).forbidden
        rounds += Self.rounds
      }
      #expect(reordered > 0, "\(rounds) rounds")
      print("litmus, translator, \(litmus.name): \(reordered) of \(rounds) rounds reordered")
    }

    // MARK: - Counters and locks

    /// Ways to add one to a shared counter.
    enum Counting: String, CaseIterable, Sendable, CustomTestStringConvertible {
      case reservedWord, reservedDouble, atomicWord, atomicDouble, spinLock, reservedLock, ticketLock
      var testDescription: String { rawValue }

      /// x8: the counter, x9: the lock; x20 holds 1. Overwrites x5, x6, x7.
      func emit(_ c: inout LockstepCode) {
        switch self {
        case .reservedWord, .reservedDouble:
          let width: UInt32 = self == .reservedWord ? 0x202F : 0x302F
          let again = c.here()
          c.amo(0x1000_0000 | width, 5, 0, 8, aq: true)
          c.addi(5, 5, 1)
          c.amo(0x1800_0000 | width, 6, 5, 8, rl: true)
          c.branch(.notEqual, 6, 0, to: again)
        case .atomicWord: c.amo(0x202F, 0, 20, 8)
        case .atomicDouble: c.amo(0x302F, 0, 20, 8)
        case .spinLock:
          let (again, got) = (c.here(), c.newLabel())
          c.amo(0x0800_202F, 5, 20, 9, aq: true)
          c.branch(.equal, 5, 0, to: got)
          c.pause()
          c.jump(to: again)
          c.bind(got)
          c.ld(6, 8)
          c.addi(6, 6, 1)
          c.sd(6, 8)
          c.amo(0x0800_202F, 0, 0, 9, rl: true)
        case .reservedLock:
          let (again, got) = (c.here(), c.newLabel())
          let wait = c.newLabel()
          c.amo(0x1000_202F, 5, 0, 9, aq: true)
          c.branch(.notEqual, 5, 0, to: wait)
          c.amo(0x1800_202F, 5, 20, 9)
          c.branch(.equal, 5, 0, to: got)
          c.bind(wait)
          c.pause()
          c.jump(to: again)
          c.bind(got)
          c.fence(.r, .rw)
          c.ld(6, 8)
          c.addi(6, 6, 1)
          c.sd(6, 8)
          c.fence(.rw, .w)
          c.sw(0, 9)
        case .ticketLock:
          c.amo(0x202F, 5, 20, 9)
          let (wait, got) = (c.here(), c.newLabel())
          c.lw(6, 9, 4)
          c.branch(.equal, 5, 6, to: got)
          c.pause()
          c.jump(to: wait)
          c.bind(got)
          c.fence(.r, .rw)
          c.ld(6, 8)
          c.addi(6, 6, 1)
          c.sd(6, 8)
          c.fence(.rw, .w)
          c.addi(5, 5, 1)
          c.sw(5, 9, 4)
        }
      }
    }

    @Test(arguments: LockstepEngine.distinct, Counting.allCases)
    func counters(engine: LockstepEngine, counting: Counting) throws {
      for harts in [2, 4] {
        // A ticket lock hands over in order: with more harts than host CPUs each turn waits for the host.
        let times: UInt64 = counting == .ticketLock ? 2_000 : 20_000
        let cluster = try LockstepCluster(engine, harts: harts, memorySize: 2 << 20)
        var entries: [UInt64] = []
        for hart in 0..<harts {
          let base = LockstepCluster.base + UInt64(hart) << 12
          var c = LockstepCode(base: base)
          c.li(8, LockstepCluster.base + 0x2_0000)
          c.li(9, LockstepCluster.base + 0x2_0040)
          c.li(20, 1)
          c.li(22, 0)
          c.barrier(harts: harts, meeting: 22)
          c.li(23, times)
          let again = c.here()
          counting.emit(&c)
          c.addi(23, 23, -1)
          c.branch(.notEqual, 23, 0, to: again)
          c.finish(hart: hart, harts: harts)
          try cluster.write(c.finished(), at: base)
          entries.append(base)
        }
        let isInTime = try cluster.run(entries: entries)
        #expect(isInTime)
        #expect(try cluster.read(LockstepCluster.base + 0x2_0000) == times * UInt64(harts))
      }
    }
  }
}
