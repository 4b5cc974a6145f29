import Foundation
import GuestMemory
import HostSystem
import RISCV
import Synchronization
import Testing
import Translator

extension LockstepTests {
  /// A guest that has no code for long: it writes functions, maps them, calls them, writes over them, unmaps what
  /// it runs, and so fills the code cache over and over. What it calls must be what it wrote last, and the
  /// translator's memory must not grow with time.
  ///
  /// It goes on until the cache was emptied a number of times; with `VOLARY_SOAK_SECONDS` two harts go on for that long.
  @Suite(.serialized) struct ChurnTests {
    private static let soakSeconds =
      ProcessInfo.processInfo.environment["VOLARY_SOAK_SECONDS"].flatMap { UInt64($0) }

    /// How often the cache is emptied at least.
    private static let emptyings = 20
    /// Seconds that may take, on a host that has much else to do.
    private static let patience: UInt64 = 300

    private static let base = LockstepCluster.base
    private static let stop = base + 0x2_0000
    /// What a hart counts: wrong results, rounds, faults. Lines apart.
    private static func counts(_ hart: Int) -> UInt64 { base + 0x2_1000 + UInt64(hart) << 8 }

    /// Page tables with memory at its physical address, and a window of 512 pages for each hart.
    private static let root = base + 0x10_0000
    private static let satp: UInt64 = 8 << 60 | 5 << 44 | root >> 12
    private static func window(_ hart: Int) -> UInt64 { 0x4000_0000 + UInt64(hart) << 21 }
    private static func table(_ hart: Int) -> UInt64 { root + 0x2000 + UInt64(hart) << 12 }
    /// The pages that functions are written to.
    private static func pool(_ hart: Int) -> UInt64 { base + 0x40_0000 + UInt64(hart) << 21 }

    private static func entry(_ physical: UInt64, _ bits: UInt64) -> UInt64 { (physical >> 12) << 10 | bits }

    private static func prepare(_ cluster: LockstepCluster, harts: Int) throws {
      try cluster.write(entry(root + 0x1000, 1), at: root + 8)
      try cluster.write(entry(base, 0xCF), at: root + 16)
      for hart in 0..<harts {
        try cluster.write(entry(table(hart), 1), at: root + 0x1000 + UInt64(hart) * 8)
      }
    }

    // MARK: - The guest
    //
    // x8: wrong results, x9: rounds, x18: faults; x19: window, x20: its page table, x21: pool, x22: chance, x23:
    // where it is told to stop; x24: this round's entry of the table, x25: the function's address, x26: where
    // it is written, x27: what it returns.

    private static func program(hart: Int, harts: Int) -> [UInt8] {
      var c = LockstepCode(base: base + UInt64(hart) << 12)
      let (handler, known) = (c.newLabel(), c.newLabel())
      let start = c.newLabel()
      c.jump(to: start)
      // A call of what is not mapped returns -1; any other trap -2.
      c.bind(handler)
      c.csrrs(5, 0x142, 0)
      c.li(6, 12)
      c.li(10, UInt64(bitPattern: -1))
      c.branch(.equal, 5, 6, to: known)
      c.li(10, UInt64(bitPattern: -2))
      c.bind(known)
      c.addi(18, 18, 1)
      c.csrrw(0, 0x141, 1)
      c.sret()

      c.bind(start)
      c.la(5, handler)
      c.csrrw(0, 0x105, 5)
      c.li(5, satp)
      c.csrrw(0, 0x180, 5)
      c.sfenceVMA()
      c.li(22, 0)
      c.barrier(harts: harts, meeting: 22)
      for register in [8, 9, 18] as [UInt32] { c.li(register, 0) }
      c.li(19, window(hart))
      c.li(20, table(hart))
      c.li(21, pool(hart))
      c.li(22, 0x9E37_79B9_7F4A_7C15 &* UInt64(hart + 1))
      c.li(23, stop)
      let (again, next, other) = (c.here(), c.newLabel(), c.newLabel())
      chance(&c)
      map(&c)
      write(&c)
      c.fenceI()
      call(&c, expectsFault: false)
      // One in sixteen is unmapped and called again; one in sixteen unmaps itself.
      c.srli(5, 22, 60)
      c.branch(.notEqual, 5, 0, to: other)
      c.sd(0, 24)
      c.sfenceVMA(25)
      call(&c, expectsFault: true)
      c.bind(other)
      c.srli(5, 22, 60)
      c.addi(5, 5, -1)
      c.branch(.notEqual, 5, 0, to: next)
      writeThatUnmapsItself(&c)
      c.fenceI()
      call(&c, expectsFault: true)
      c.bind(next)
      c.addi(9, 9, 1)
      // A hart that the host had no time for makes up for it.
      c.srli(5, 9, 8)
      c.branch(.equal, 5, 0, to: again)
      c.ld(5, 23)
      c.branch(.equal, 5, 0, to: again)
      c.li(5, counts(hart))
      c.sd(8, 5, 0)
      c.sd(9, 5, 8)
      c.sd(18, 5, 16)
      c.finish(hart: hart, harts: harts)
      return c.finished()
    }

    /// The next number of chance (xorshift64).
    private static func chance(_ c: inout LockstepCode) {
      c.slli(5, 22, 13)
      c.word(LockstepCode.r(0x4033, 22, 22, 5))
      c.srli(5, 22, 7)
      c.word(LockstepCode.r(0x4033, 22, 22, 5))
      c.slli(5, 22, 17)
      c.word(LockstepCode.r(0x4033, 22, 22, 5))
    }

    /// Makes a page of the window show a page of the pool, and chooses a place on it.
    private static func map(_ c: inout LockstepCode) {
      c.andi(5, 22, 511)
      c.slli(6, 5, 3)
      c.add(24, 20, 6)
      c.slli(5, 5, 12)
      c.add(25, 19, 5)
      c.srli(6, 22, 9)
      c.andi(6, 6, 511)
      c.slli(6, 6, 12)
      c.add(26, 21, 6)
      c.srli(7, 26, 12)
      c.slli(7, 7, 10)
      c.addi(7, 7, 0xCF)
      c.sd(7, 24)
      c.sfenceVMA(25)
      c.srli(5, 22, 18)
      c.andi(5, 5, 0x7C0)
      c.add(25, 25, 5)
      c.add(26, 26, 5)
    }

    /// Writes a function of eleven instructions that returns a number of chance.
    private static func write(_ c: inout LockstepCode) {
      c.srli(6, 22, 20)
      c.slli(5, 6, 12)
      c.slli(6, 6, 44)
      c.word(LockstepCode.i(0x5013, 27, 6, 0x400 | 32))  // srai
      c.li(7, 0x537)  // lui a0
      c.or(5, 5, 7)
      c.sw(5, 26, 0)
      c.srli(6, 22, 52)
      c.andi(6, 6, 0x7FF)
      c.add(27, 27, 6)
      c.addi(27, 27, 8)
      c.slli(6, 6, 20)
      c.li(7, 0x50513)  // addi a0, a0
      c.or(6, 6, 7)
      c.sw(6, 26, 4)
      c.li(7, 0x150513)  // addi a0, a0, 1
      for place in 2..<10 as Range<Int32> { c.sw(7, 26, place * 4) }
      c.li(7, 0x8067)  // ret
      c.sw(7, 26, 40)
    }

    /// Writes a function that takes its own page out of the table and makes the hart forget it.
    private static func writeThatUnmapsItself(_ c: inout LockstepCode) {
      let words = [
        LockstepCode.s(0x3023, 0, 24, 0), LockstepCode.r(0x1200_0073, 0, 25, 0), 0x50_0513, 0x8067,
      ]
      for (place, word) in words.enumerated() {
        c.li(7, UInt64(word))
        c.sw(7, 26, Int32(place) * 4)
      }
    }

    /// Calls the function and looks at what it returns.
    private static func call(_ c: inout LockstepCode, expectsFault: Bool) {
      let right = c.newLabel()
      c.li(10, 0)
      c.jalr(1, 25)
      c.li(5, UInt64(bitPattern: -1))
      c.branch(.equal, 10, expectsFault ? 5 : 27, to: right)
      c.addi(8, 8, 1)
      c.bind(right)
    }

    // MARK: - The test

    @Test(arguments: [LockstepEngine.translator, .tiered], [1, 2])
    func codeThatComesAndGoes(engine: LockstepEngine, harts: Int) throws {
      // The hour is for the engine as it is used, with two harts.
      let seconds = engine == .tiered && harts == 2 ? Self.soakSeconds ?? 0 : 0
      let cluster = try LockstepCluster(engine, harts: harts, memorySize: 16 << 20, arenaSize: 128 << 10)
      try Self.prepare(cluster, harts: harts)
      var entries: [UInt64] = []
      for hart in 0..<harts {
        let base = Self.base + UInt64(hart) << 12
        try cluster.write(Self.program(hart: hart, harts: harts), at: base)
        entries.append(base)
      }
      let resident = try ResidentMemory()
      let code = try #require(cluster.code)
      let samples = Mutex<[UInt64]>([])
      let word = try cluster.memory.slice(at: Self.stop, count: 8)
      let watch = try HostSystem.Thread.start(name: "watch") {
        let start = monotonicNanoseconds()
        let (least, most) = (seconds * 1_000_000_000, (seconds + Self.patience) * 1_000_000_000)
        while true {
          usleep(50_000)
          samples.withLock { $0.append(resident.bytes) }
          let time = monotonicNanoseconds() - start
          if (time >= least && code.statistics.emptied >= Self.emptyings) || time >= most { break }
        }
        word.store(UInt64(1), at: 0)
      }
      let isInTime = try cluster.run(entries: entries, seconds: seconds + 2 * Self.patience)
      watch.join()
      #expect(isInTime)
      var rounds: UInt64 = 0
      for hart in 0..<harts {
        #expect(try cluster.read(Self.counts(hart)) == 0, "wrong results of hart \(hart)")
        rounds += try cluster.read(Self.counts(hart) + 8)
        #expect(try cluster.read(Self.counts(hart) + 16) > 0)
      }
      let emptied = code.statistics.emptied
      #expect(emptied >= Self.emptyings)
      let all = samples.withLock { $0 }
      let (early, last) = (all[all.count / 4], all[all.count - 1])
      print(
        "churn, \(engine.rawValue), \(harts) harts, \(all.count) samples: \(rounds) functions, cache emptied \(emptied) times, "
          + "memory \(early >> 10) KiB after a quarter, \(last >> 10) KiB at the end")
      // Other tests of this process come and go in a short run.
      if seconds >= 60 { #expect(last < early + 8 << 20) }
    }
  }
}
