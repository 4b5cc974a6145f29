import Foundation
import RISCV
import Testing
import Translator

extension LockstepTests {
  /// Code and translations that change while harts use them: what a fence promises must hold at once.
  @Suite(.serialized) struct CoherenceTests {
    private static let base = LockstepCluster.base
    /// What the harts tell each other by; lines apart.
    private static let result = base + 0x2_0000
    private static let sequence = base + 0x2_0040
    private static let errors = base + 0x2_0080
    private static let stop = base + 0x2_00C0
    /// Pages that functions are in.
    private static let functions = base + 0x3_0000

    /// `addi a0, zero, n; ret`.
    private static func function(_ n: Int32) -> [UInt8] {
      var c = LockstepCode(base: 0)
      c.addi(10, 0, n)
      c.jalr(0, 1)
      return c.finished()
    }

    // MARK: - Code that changes

    enum Change: CaseIterable, Sendable, CustomTestStringConvertible {
      /// The function lies on a page of its own, on the caller's, or over a page's end.
      case farPage, samePage, overPageEnd
      /// As the first, and other harts' data lies beside it.
      case beside
      var testDescription: String { "\(self)" }

      var place: UInt64 {
        switch self {
        case .farPage, .beside: functions
        case .samePage: CoherenceTests.base + 0x1F00
        case .overPageEnd: functions + 0xFFE
        }
      }
    }

    /// Hart 0 rewrites a function, orders its stores and makes the others fetch anew (SBI RFENCE FENCE.I); then
    /// each of the others, which call it in a loop all the time, must return the new value.
    @Test(arguments: LockstepEngine.allCases, Change.allCases)
    func rewrittenCode(engine: LockstepEngine, change: Change) throws {
      for harts in [2, 3] {
        let cluster = try LockstepCluster(engine, harts: harts, memorySize: 2 << 20)
        // Code beside data that is written all the time comes and goes with each store.
        let rounds: UInt64 = (harts == 2 ? 300 : 40) / (change == .beside ? 5 : 1)
        try cluster.write(Self.function(0), at: change.place)
        var entries: [UInt64] = []
        for hart in 0..<harts {
          let base = Self.base + UInt64(hart) << 12
          var c = LockstepCode(base: base)
          c.li(22, 0)
          c.barrier(harts: harts, meeting: 22)
          c.li(9, change.place)
          if hart == 0 {
            Self.writer(&c, rounds: rounds, harts: harts)
          } else {
            Self.caller(
              &c, hart: hart, touches: change == .beside ? change.place + 0x800 + UInt64(hart) * 64 : nil)
          }
          c.finish(hart: hart, harts: harts)
          try cluster.write(c.finished(), at: base)
          entries.append(base)
        }
        #expect(try cluster.run(entries: entries))
        #expect(try cluster.read(Self.errors) == 0, "\(harts) harts")
        if change == .beside {
          // No store beside the code was lost.
          for hart in 1..<harts {
            #expect(
              try cluster.read(change.place + 0x800 + UInt64(hart) * 64)
                == cluster.read(Self.sequence + UInt64(hart) << 12))
          }
        }
      }
    }

    /// Calls the function at x9, stores what it returns and then counts, until told to stop.
    private static func caller(_ c: inout LockstepCode, hart: Int, touches: UInt64?) {
      c.li(18, result + UInt64(hart) << 12)
      c.li(19, sequence + UInt64(hart) << 12)
      c.li(20, stop)
      c.li(21, 0)
      if let touches { c.li(23, touches) }
      let again = c.here()
      c.jalr(1, 9)
      c.addi(21, 21, 1)
      if touches != nil { c.sd(21, 23) }
      c.sd(10, 18)
      c.fence(.w, .w)
      c.sd(21, 19)
      c.ld(5, 20)
      c.branch(.equal, 5, 0, to: again)
    }

    /// Waits until hart `hart` has gone through its loop twice since now; overwrites x5 to x7.
    private static func awaitLoops(_ c: inout LockstepCode, hart: Int, loops: Int32 = 2) {
      c.li(5, sequence + UInt64(hart) << 12)
      c.ld(6, 5)
      c.addi(6, 6, loops)
      let (again, over) = (c.here(), c.newLabel())
      c.ld(7, 5)
      c.branch(.notLessUnsigned, 7, 6, to: over)
      c.pause()
      c.jump(to: again)
      c.bind(over)
      c.fence(.r, .r)
    }

    private static func countError(_ c: inout LockstepCode) {
      c.li(5, errors)
      c.ld(6, 5)
      c.addi(6, 6, 1)
      c.sd(6, 5)
    }

    /// Counts an error unless hart `hart`'s last result is in x8.
    private static func check(_ c: inout LockstepCode, hart: Int) {
      let right = c.newLabel()
      c.li(5, result + UInt64(hart) << 12)
      c.ld(6, 5)
      c.branch(.equal, 6, 8, to: right)
      countError(&c)
      c.bind(right)
    }

    private static func writer(_ c: inout LockstepCode, rounds: UInt64, harts: Int) {
      c.li(8, 0)
      c.li(23, rounds)
      let again = c.here()
      c.addi(8, 8, 1)
      // addi a0, zero, x8, in two halves when it lies over a page's end.
      c.slli(5, 8, 20)
      c.li(6, 0x513)
      c.or(5, 5, 6)
      c.sw(5, 9)
      c.fence(.rw, .rw)
      c.remoteFenceI(harts: (1 << UInt64(harts)) - 2)
      for hart in 1..<harts {
        awaitLoops(&c, hart: hart)
        check(&c, hart: hart)
      }
      c.branch(.notEqual, 8, 23, to: again)
      c.li(5, stop)
      c.li(6, 1)
      c.sd(6, 5)
    }

    // MARK: - Translations that change

    /// Page tables with 1 GiB of everything at its physical address, and a window at 0x4000_0000.
    private static let root = base + 0x10_0000
    private static let window: UInt64 = 0x4000_0000
    private static let targets = [base + 0x40_0000, base + 0x60_0000]
    private static let satp: UInt64 = 8 << 60 | 5 << 44 | root >> 12

    private static func entry(_ physical: UInt64, _ bits: UInt64) -> UInt64 { (physical >> 12) << 10 | bits }

    enum Mapping: CaseIterable, Sendable, CustomTestStringConvertible {
      case data, code, largeData, largeCode, contiguousData
      var testDescription: String { "\(self)" }
      var isCode: Bool { self == .code || self == .largeCode }
      /// What is used in the window, and the address that the fence is for.
      var used: UInt64 { self == .code || self == .data ? window : window + 0x5000 }
      var fenced: UInt64 {
        self == .contiguousData
          ? window + 0x3000 : self == .data || self == .code ? window : window + 0x12_3000
      }

      /// Where its entry is, and what leads to a target.
      var slot: UInt64 {
        switch self {
        case .largeData, .largeCode: root + 0x1000
        case .contiguousData: root + 0x2000 + 5 * 8
        default: root + 0x2000
        }
      }

      func entry(_ target: UInt64) -> UInt64 {
        let all: UInt64 = 0xCF
        return self == .contiguousData
          ? 1 << 63 | CoherenceTests.entry(target | 0x8000, all) : CoherenceTests.entry(target, all)
      }
    }

    private func prepare(_ cluster: LockstepCluster, _ mapping: Mapping) throws {
      try cluster.write(Self.entry(Self.root + 0x1000, 1), at: Self.root + 8)
      try cluster.write(Self.entry(Self.base, 0xCF), at: Self.root + 16)
      if mapping.slot != Self.root + 0x1000 {
        try cluster.write(Self.entry(Self.root + 0x2000, 1), at: Self.root + 0x1000)
      }
      try cluster.write(mapping.entry(Self.targets[0]), at: mapping.slot)
      for (index, target) in Self.targets.enumerated() {
        let place = target + mapping.used - Self.window
        if mapping.isCode {
          try cluster.write(Self.function(Int32(index)), at: place)
        } else {
          try cluster.write(UInt64(index), at: place)
        }
      }
    }

    private static func enableTranslation(_ c: inout LockstepCode) {
      c.li(5, satp)
      c.csrrw(0, 0x180, 5)
      c.sfenceVMA()
    }

    /// Hart 0 changes where a page leads and makes hart 1 forget (SBI RFENCE SFENCE.VMA), which uses it all the
    /// time.
    @Test(arguments: LockstepEngine.allCases, Mapping.allCases)
    func remapped(engine: LockstepEngine, mapping: Mapping) throws {
      let cluster = try LockstepCluster(engine, harts: 2, memorySize: 8 << 20)
      try prepare(cluster, mapping)
      let rounds: UInt64 = 3000
      var entries: [UInt64] = []
      for hart in 0..<2 {
        let base = Self.base + UInt64(hart) << 12
        var c = LockstepCode(base: base)
        Self.enableTranslation(&c)
        c.li(22, 0)
        c.barrier(harts: 2, meeting: 22)
        c.li(9, mapping.used)
        if hart == 0 {
          c.li(23, rounds)
          c.li(8, 0)
          c.li(24, mapping.entry(Self.targets[0]))
          c.li(25, mapping.entry(Self.targets[0]) ^ mapping.entry(Self.targets[1]))
          let again = c.here()
          c.li(5, mapping.slot)
          c.word(LockstepCode.r(0x4033, 24, 24, 25))
          c.word(LockstepCode.i(0x4013, 8, 8, 1))
          c.sd(24, 5)
          c.fence(.rw, .rw)
          c.remoteSFence(harts: 2, address: mapping.fenced, size: 4096)
          Self.awaitLoops(&c, hart: 1)
          Self.check(&c, hart: 1)
          c.addi(23, 23, -1)
          c.branch(.notEqual, 23, 0, to: again)
          c.li(5, Self.stop)
          c.li(6, 1)
          c.sd(6, 5)
        } else if mapping.isCode {
          Self.caller(&c, hart: 1, touches: nil)
        } else {
          Self.reader(&c)
        }
        c.finish(hart: hart, harts: 2)
        try cluster.write(c.finished(), at: base)
        entries.append(base)
      }
      #expect(try cluster.run(entries: entries))
      #expect(try cluster.read(Self.errors) == 0)
    }

    /// Hart 0 changes where a page leads in one address space and makes hart 1 forget it in that space (SBI RFENCE
    /// SFENCE.VMA.ASID), which goes to and fro between that and another, where the page leads elsewhere.
    @Test(arguments: LockstepEngine.allCases, [Mapping.data, .code])
    func remappedInSpace(engine: LockstepEngine, mapping: Mapping) throws {
      let cluster = try LockstepCluster(engine, harts: 2, memorySize: 8 << 20)
      try prepare(cluster, mapping)
      // The other space, whose page leads to a third target.
      let (root, target) = (Self.root + 0x8000, Self.base + 0x50_0000)
      try cluster.write(Self.entry(root + 0x1000, 1), at: root + 8)
      try cluster.write(Self.entry(Self.base, 0xCF), at: root + 16)
      try cluster.write(Self.entry(root + 0x2000, 1), at: root + 0x1000)
      try cluster.write(Self.entry(target, 0xCF), at: root + 0x2000)
      if mapping.isCode {
        try cluster.write(Self.function(7), at: target)
      } else {
        try cluster.write(7, at: target)
      }
      var entries: [UInt64] = []
      for hart in 0..<2 {
        let base = Self.base + UInt64(hart) << 12
        var c = LockstepCode(base: base)
        Self.enableTranslation(&c)
        c.li(22, 0)
        c.barrier(harts: 2, meeting: 22)
        c.li(9, mapping.used)
        if hart == 0 {
          c.li(23, 3000)
          c.li(8, 0)
          c.li(24, mapping.entry(Self.targets[0]))
          c.li(25, mapping.entry(Self.targets[0]) ^ mapping.entry(Self.targets[1]))
          let again = c.here()
          c.li(5, mapping.slot)
          c.word(LockstepCode.r(0x4033, 24, 24, 25))
          c.word(LockstepCode.i(0x4013, 8, 8, 1))
          c.sd(24, 5)
          c.fence(.rw, .rw)
          c.remoteSFence(harts: 2, address: mapping.fenced, size: 4096, space: 5)
          Self.awaitLoops(&c, hart: 1)
          Self.check(&c, hart: 1)
          c.addi(23, 23, -1)
          c.branch(.notEqual, 23, 0, to: again)
          c.li(5, Self.stop)
          c.li(6, 1)
          c.sd(6, 5)
        } else {
          Self.alternator(&c, isCode: mapping.isCode, other: 8 << 60 | 6 << 44 | root >> 12)
        }
        c.finish(hart: hart, harts: 2)
        try cluster.write(c.finished(), at: base)
        entries.append(base)
      }
      #expect(try cluster.run(entries: entries))
      #expect(try cluster.read(Self.errors) == 0)
    }

    /// Uses x9 in another space, where it must find 7, then in the first; stores what it finds there and then counts,
    /// until told to stop.
    private static func alternator(_ c: inout LockstepCode, isCode: Bool, other: UInt64) {
      c.li(18, result + 1 << 12)
      c.li(19, sequence + 1 << 12)
      c.li(20, stop)
      c.li(21, 0)
      c.li(24, other)
      c.li(25, satp)
      c.li(26, 7)
      let again = c.here()
      let right = c.newLabel()
      c.csrrw(0, 0x180, 24)
      if isCode { c.jalr(1, 9) } else { c.ld(10, 9) }
      c.branch(.equal, 10, 26, to: right)
      c.li(5, errors)
      c.sd(5, 5)
      c.bind(right)
      c.csrrw(0, 0x180, 25)
      if isCode { c.jalr(1, 9) } else { c.ld(10, 9) }
      c.addi(21, 21, 1)
      c.sd(10, 18)
      c.fence(.w, .w)
      c.sd(21, 19)
      c.ld(5, 20)
      c.branch(.equal, 5, 0, to: again)
    }

    /// Loads from x9, stores what it finds and then counts, until told to stop.
    private static func reader(_ c: inout LockstepCode) {
      c.li(18, result + 1 << 12)
      c.li(19, sequence + 1 << 12)
      c.li(20, stop)
      c.li(21, 0)
      let again = c.here()
      c.ld(10, 9)
      c.addi(21, 21, 1)
      c.sd(10, 18)
      c.fence(.w, .w)
      c.sd(21, 19)
      c.ld(5, 20)
      c.branch(.equal, 5, 0, to: again)
    }

    /// Ways for a hart to make itself forget one address.
    enum Forgetting: CaseIterable, Sendable, CustomTestStringConvertible {
      case everything, space, address, addressInSpace, invalidation
      var testDescription: String { "\(self)" }
    }

    /// One hart changes where a page leads and forgets; the page may be part of a larger one, of which the fence
    /// names another address.
    @Test(arguments: LockstepEngine.allCases, Mapping.allCases)
    func remappedByItself(engine: LockstepEngine, mapping: Mapping) throws {
      for forgetting in Forgetting.allCases {
        let cluster = try LockstepCluster(engine, harts: 1, memorySize: 8 << 20)
        try prepare(cluster, mapping)
        var c = LockstepCode(base: Self.base)
        Self.enableTranslation(&c)
        c.li(9, mapping.used)
        c.li(23, 50)
        c.li(8, 0)
        c.li(24, mapping.entry(Self.targets[0]))
        c.li(25, mapping.entry(Self.targets[0]) ^ mapping.entry(Self.targets[1]))
        c.li(26, mapping.fenced)
        c.li(27, 5)
        let again = c.here()
        if mapping.isCode { c.jalr(1, 9) } else { c.ld(10, 9) }
        let right = c.newLabel()
        c.branch(.equal, 10, 8, to: right)
        Self.countError(&c)
        c.bind(right)
        c.li(5, mapping.slot)
        c.word(LockstepCode.r(0x4033, 24, 24, 25))
        c.word(LockstepCode.i(0x4013, 8, 8, 1))
        c.sd(24, 5)
        switch forgetting {
        case .everything: c.sfenceVMA()
        case .space: c.sfenceVMA(0, 27)
        case .address: c.sfenceVMA(26, 0)
        case .addressInSpace: c.sfenceVMA(26, 27)
        case .invalidation:
          c.word(0x1800_0073)
          c.word(LockstepCode.r(0x1600_0073, 0, 26, 0))
          c.word(0x1810_0073)
        }
        c.addi(23, 23, -1)
        c.branch(.notEqual, 23, 0, to: again)
        c.finish(hart: 0, harts: 1)
        try cluster.write(c.finished(), at: Self.base)
        #expect(try cluster.run(entries: [Self.base]))
        #expect(try cluster.read(Self.errors) == 0, "\(forgetting)")
      }
    }

    /// More address spaces than a hart keeps views of, each with its own code at the same address: none may
    /// run another's.
    @Test(arguments: LockstepEngine.allCases)
    func manySpaces(engine: LockstepEngine) throws {
      let spaces: UInt64 = 40
      let cluster = try LockstepCluster(engine, harts: 1, memorySize: 8 << 20)
      for space in 0..<spaces {
        let root = Self.root + space << 14
        try cluster.write(Self.entry(root + 0x1000, 1), at: root + 8)
        try cluster.write(Self.entry(Self.base, 0xCF), at: root + 16)
        try cluster.write(Self.entry(root + 0x2000, 1), at: root + 0x1000)
        try cluster.write(Self.entry(Self.targets[0] + space << 12, 0xCF), at: root + 0x2000 + 5 * 8)
        try cluster.write(Self.function(Int32(space)), at: Self.targets[0] + space << 12)
      }
      var c = LockstepCode(base: Self.base)
      c.li(23, 10)
      // Not at the place where the interpreter remembers the caller's own page.
      c.li(9, Self.window + 0x5000)
      c.li(26, 1 << 44 | 4)
      let outer = c.here()
      c.li(24, 0)
      c.li(25, 8 << 60 | Self.root >> 12)
      let inner = c.here()
      c.csrrw(0, 0x180, 25)
      let right = c.newLabel()
      // Of every sixteen spaces one runs its code: the others only take views away.
      c.andi(5, 24, 15)
      c.branch(.notEqual, 5, 0, to: right)
      c.jalr(1, 9)
      c.branch(.equal, 10, 24, to: right)
      Self.countError(&c)
      c.bind(right)
      c.add(25, 25, 26)
      c.addi(24, 24, 1)
      c.li(5, spaces)
      c.branch(.notEqual, 24, 5, to: inner)
      c.addi(23, 23, -1)
      c.branch(.notEqual, 23, 0, to: outer)
      c.finish(hart: 0, harts: 1)
      try cluster.write(c.finished(), at: Self.base)
      #expect(try cluster.run(entries: [Self.base]))
      #expect(try cluster.read(Self.errors) == 0)
    }

    // MARK: - A cache that is too small

    /// A page of code of one address space, used before and after the cache was emptied, then mapped elsewhere: the
    /// space's fence must reach what became known of it in between.
    @Test(arguments: [Forgetting.space, .addressInSpace])
    func remappedAfterEmptying(forgetting: Forgetting) throws {
      let cluster = try LockstepCluster(.translator, harts: 1, memorySize: 8 << 20, arenaSize: 64 << 10)
      try prepare(cluster, .code)
      // All other code is in all spaces.
      try cluster.write(Self.entry(Self.base, 0xEF), at: Self.root + 16)
      let functions: UInt64 = 700
      for index in 0..<functions {
        var c = LockstepCode(base: 0)
        for _ in 0..<30 { c.addi(11, 11, 1) }
        c.jalr(0, 1)
        try cluster.write(c.finished(), at: Self.functions + index * 0x200)
      }
      func check(_ c: inout LockstepCode) {
        let right = c.newLabel()
        c.li(9, Self.window)
        c.jalr(1, 9)
        c.branch(.equal, 10, 8, to: right)
        Self.countError(&c)
        c.bind(right)
      }
      // Not at the place where the hart remembers the window's page.
      let start = Self.base + 0x4000
      var c = LockstepCode(base: start)
      Self.enableTranslation(&c)
      c.li(23, 20)
      c.li(8, 0)
      c.li(18, Mapping.code.entry(Self.targets[0]))
      c.li(19, Mapping.code.entry(Self.targets[0]) ^ Mapping.code.entry(Self.targets[1]))
      c.li(26, Self.window)
      c.li(27, 5)
      let again = c.here()
      check(&c)
      c.li(24, functions)
      c.li(9, Self.functions)
      let next = c.here()
      c.jalr(1, 9)
      c.addi(9, 9, 0x200)
      c.addi(24, 24, -1)
      c.branch(.notEqual, 24, 0, to: next)
      check(&c)
      c.li(5, Mapping.code.slot)
      c.word(LockstepCode.r(0x4033, 18, 18, 19))
      c.word(LockstepCode.i(0x4013, 8, 8, 1))
      c.sd(18, 5)
      if forgetting == .space { c.sfenceVMA(0, 27) } else { c.sfenceVMA(26, 27) }
      check(&c)
      c.addi(23, 23, -1)
      c.branch(.notEqual, 23, 0, to: again)
      c.finish(hart: 0, harts: 1)
      try cluster.write(c.finished(), at: start)
      #expect(try cluster.run(entries: [start]))
      #expect(try cluster.read(Self.errors) == 0)
      #expect((cluster.code?.statistics.emptied ?? 0) > 5)
    }

    /// Calls deeper than the translator remembers, returned from one by one or all at once (as longjmp does).
    @Test(arguments: LockstepEngine.allCases, [5, 3000])
    func deepCalls(engine: LockstepEngine, depth: UInt64) throws {
      let cluster = try LockstepCluster(engine, harts: 1, memorySize: 8 << 20)
      let rounds: UInt64 = 40
      // f(a0): a0 times deeper, then back if s4 is 0, else straight to s4. Counts its own returns in a1.
      var f = LockstepCode(base: Self.functions)
      let (deeper, back) = (f.newLabel(), f.newLabel())
      f.branch(.notEqual, 10, 0, to: deeper)
      f.branch(.equal, 20, 0, to: back)
      f.jalr(0, 20)
      f.bind(deeper)
      f.addi(2, 2, -16)
      f.sd(1, 2)
      f.addi(10, 10, -1)
      f.jalr(1, 9)
      f.ld(1, 2)
      f.addi(2, 2, 16)
      f.bind(back)
      f.addi(11, 11, 1)
      f.jalr(0, 1)
      try cluster.write(f.finished(), at: Self.functions)
      var c = LockstepCode(base: Self.base)
      c.li(22, 0)
      c.li(9, Self.functions)
      c.li(11, 0)
      c.li(21, 0)
      c.li(23, rounds)
      let again = c.here()
      for jumpsOut in [false, true] {
        let landing = c.newLabel()
        c.li(2, Self.base + 0x70_0000)
        c.li(10, depth)
        if jumpsOut { c.la(20, landing) } else { c.li(20, 0) }
        c.jalr(1, 9)
        if jumpsOut {
          // Where nothing returns to.
          c.li(11, 0)
          c.bind(landing)
          c.addi(21, 21, 1)
        }
      }
      c.addi(23, 23, -1)
      c.branch(.notEqual, 23, 0, to: again)
      c.li(5, Self.result)
      c.sd(11, 5)
      c.sd(21, 5, 8)
      c.finish(hart: 0, harts: 1)
      try cluster.write(c.finished(), at: Self.base)
      #expect(try cluster.run(entries: [Self.base]))
      #expect(try cluster.read(Self.result) == rounds * (depth + 1))
      #expect(try cluster.read(Self.result + 8) == rounds)
    }

    /// Harts that run more code than the cache holds, so that it is emptied under them all the time.
    @Test(arguments: [1, 2, 4])
    func fullCache(harts: Int) throws {
      let cluster = try LockstepCluster(.translator, harts: harts, memorySize: 2 << 20, arenaSize: 64 << 10)
      let functions: UInt64 = 700
      for index in 0..<functions {
        // Some arithmetic, then a return: a0 += index.
        var c = LockstepCode(base: 0)
        for _ in 0..<30 { c.addi(11, 11, 1) }
        c.addi(10, 10, Int32(index))
        c.jalr(0, 1)
        try cluster.write(c.finished(), at: Self.functions + index * 0x200)
      }
      let rounds: UInt64 = 12
      var entries: [UInt64] = []
      for hart in 0..<harts {
        let base = Self.base + UInt64(hart) << 12
        var c = LockstepCode(base: base)
        c.li(22, 0)
        c.barrier(harts: harts, meeting: 22)
        c.li(23, rounds)
        c.li(10, 0)
        let outer = c.here()
        c.li(24, functions)
        c.li(9, Self.functions)
        let inner = c.here()
        c.jalr(1, 9)
        c.addi(9, 9, 0x200)
        c.addi(24, 24, -1)
        c.branch(.notEqual, 24, 0, to: inner)
        c.addi(23, 23, -1)
        c.branch(.notEqual, 23, 0, to: outer)
        c.li(5, Self.result + UInt64(hart) << 6)
        c.sd(10, 5)
        c.finish(hart: hart, harts: harts)
        try cluster.write(c.finished(), at: base)
        entries.append(base)
      }
      #expect(try cluster.run(entries: entries))
      for hart in 0..<UInt64(harts) {
        #expect(try cluster.read(Self.result + hart << 6) == rounds * functions * (functions - 1) / 2)
      }
      #expect((cluster.code?.statistics.emptied ?? 0) > 5)
    }
  }
}
