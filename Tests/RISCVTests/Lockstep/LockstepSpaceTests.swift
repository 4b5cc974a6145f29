import RISCV
import Testing

extension LockstepTests {
  /// Address spaces that come and go and change, with pages that are in all of them: each access must find what the
  /// page tables said when a fence last named it.
  @Suite(.serialized) struct SpaceTests {
    /// How a page is mapped and used. Global pages have the same entry in all spaces.
    enum Kind: CaseIterable {
      case data, userData, code, largeData, globalData, globalCode, globalLargeData

      var isGlobal: Bool { self == .globalData || self == .globalCode || self == .globalLargeData }
      var isCode: Bool { self == .code || self == .globalCode }
      var isLarge: Bool { self == .largeData || self == .globalLargeData }
    }

    private static let base = LockstepCluster.base
    private static let result = base + 0x2_0000
    /// Two pages of each kind.
    private static let pages = Kind.allCases.flatMap { [($0, 0), ($0, 1)] }
    /// Each with an address space number of its own, of those that satp can hold.
    private static let spaces: [UInt64] = [0, 1, 7, 0xFFFF, 12, 13, 14, 15, 16, 17, 18, 19]

    // Physical addresses.
    private static let program = base + 0x10_0000
    private static let tables = base + 0x60_0000
    private static let frames = base + 0x80_0000
    private static let largeFrames = base + 0xA0_0000
    private static let frameCount = 8

    private static func satp(_ space: Int) -> UInt64 { 8 << 60 | spaces[space] << 44 | table(space, 0) >> 12 }

    /// Root, middle and lowest table of a space; those behind the last are of the global pages.
    private static func table(_ space: Int, _ level: Int) -> UInt64 {
      tables + UInt64(space * 3 + level) << 12
    }

    private static func address(_ page: Int) -> UInt64 {
      let (kind, number) = pages[page]
      // Those of both windows meet at the same places of a view's tables.
      let window: UInt64 = kind.isGlobal ? 0xC000_0000 : 0x4000_0000
      let index = UInt64(Kind.allCases.firstIndex(of: kind)! % 4 * 2 + number)
      return kind.isLarge ? window + (index + 1) << 21 + 0x5000 : window + index << 12
    }

    private static func entryPlace(_ page: Int, space: Int) -> UInt64 {
      let kind = pages[page].0
      let owner = kind.isGlobal ? spaces.count : space
      let address = address(page)
      return kind.isLarge
        ? table(owner, 1) + (address >> 21 & 511) * 8 : table(owner, 2) + (address >> 12 & 511) * 8
    }

    private static func frame(_ page: Int, _ number: Int) -> UInt64 {
      pages[page].0.isLarge ? largeFrames + UInt64(number) << 21 : frames + UInt64(number) << 12
    }

    private static func entry(_ page: Int, frame number: Int) -> UInt64 {
      let kind = pages[page].0
      return frame(page, number) >> 2 | 0xCF | (kind.isGlobal ? 32 : 0) | (kind == .userData ? 16 : 0)
    }

    /// Where in its frame a page is used.
    private static func use(_ page: Int) -> UInt64 { pages[page].0.isLarge ? 0x5000 : 0 }

    /// What the guest is asked to do, and what it should find.
    private struct Model {
      var local = [[Int]](repeating: [Int](repeating: 0, count: pages.count), count: spaces.count)
      var space = 0
      var permitsUser = false
      var dice: LockstepDice

      func frame(_ page: Int) -> Int { local[pages[page].0.isGlobal ? 0 : space][page] }
    }

    private static func prepare(_ cluster: LockstepCluster) throws {
      let shared = spaces.count
      for space in 0...shared {
        if space < shared {
          try cluster.write(table(space, 1) >> 2 | 1, at: table(space, 0) + 8)
          try cluster.write(base >> 2 | 0xEF, at: table(space, 0) + 16)
          try cluster.write(table(shared, 1) >> 2 | 1, at: table(space, 0) + 24)
        }
        try cluster.write(table(space, 2) >> 2 | 1, at: table(space, 1))
      }
      for page in pages.indices {
        for space in spaces.indices {
          try cluster.write(entry(page, frame: 0), at: entryPlace(page, space: space))
        }
        for number in 0..<frameCount {
          var function = LockstepCode(base: 0)
          function.addi(10, 0, Int32(number))
          function.jalr(0, 1)
          try cluster.write(function.finished(), at: frame(page, number) + use(page))
          try cluster.write(UInt64(number), at: frame(page, number) + use(page) + 16)
        }
      }
    }

    /// Forgets enough after the entry of a page has changed in a space, and perhaps more.
    private static func forget(_ c: inout LockstepCode, page: Int, space: Int, _ dice: inout LockstepDice) {
      // Of a large page any address will do.
      c.li(5, pages[page].0.isLarge ? address(page) ^ UInt64(dice.below(512)) << 12 : address(page))
      c.li(6, spaces[space])
      switch dice.below(pages[page].0.isGlobal ? 2 : 4) {
      case 0: c.sfenceVMA(5, 0)
      case 1: c.sfenceVMA()
      case 2: c.sfenceVMA(0, 6)
      default: c.sfenceVMA(5, 6)
      }
    }

    /// Counts an error unless x10 is `value`.
    private static func expect(_ c: inout LockstepCode, _ value: UInt64, step: Int) {
      let right = c.newLabel()
      c.li(5, value)
      c.branch(.equal, 10, 5, to: right)
      c.li(5, result)
      c.ld(6, 5)
      c.addi(6, 6, 1)
      c.sd(6, 5)
      c.li(6, UInt64(step))
      c.sd(6, 5, 8)
      c.bind(right)
    }

    /// Uses a page, if it can be used now.
    private static func access(_ c: inout LockstepCode, _ model: inout Model, page: Int, step: Int) {
      if pages[page].0 == .userData, !model.permitsUser { return }
      let number = model.frame(page)
      c.li(9, address(page))
      if pages[page].0.isCode {
        c.jalr(1, 9)
        return expect(&c, UInt64(number), step: step)
      }
      c.ld(10, 9, 16)
      expect(&c, UInt64(number), step: step)
      guard model.dice.chance(50) else { return }
      // A store must come out at the frame.
      c.li(6, UInt64(step))
      c.sd(6, 9, 24)
      c.li(9, frame(page, number) + use(page))
      c.ld(10, 9, 24)
      expect(&c, UInt64(step), step: step)
    }

    private static func step(_ c: inout LockstepCode, _ model: inout Model, _ step: Int) {
      switch model.dice.below(10) {
      case 0:
        // A few spaces are used all the time, and sometimes any.
        model.space = model.dice.chance(80) ? model.dice.below(3) : model.dice.below(spaces.count)
        c.li(5, satp(model.space))
        c.csrrw(0, 0x180, 5)
      case 1:
        model.permitsUser.toggle()
        c.li(5, Status.permitUserMemory)
        if model.permitsUser { c.csrrs(0, 0x100, 5) } else { c.csrrc(0, 0x100, 5) }
      case 2, 3:
        let page = model.dice.below(pages.count)
        let space = model.dice.chance(50) ? model.space : model.dice.below(3)
        let number = model.dice.below(frameCount)
        if model.dice.chance(70) { access(&c, &model, page: page, step: step) }
        model.local[pages[page].0.isGlobal ? 0 : space][page] = number
        c.li(5, entryPlace(page, space: space))
        c.li(6, entry(page, frame: number))
        c.sd(6, 5)
        forget(&c, page: page, space: space, &model.dice)
        if model.dice.chance(70) { access(&c, &model, page: page, step: step) }
      case 4:
        forget(&c, page: model.dice.below(pages.count), space: model.dice.below(spaces.count), &model.dice)
      default: access(&c, &model, page: model.dice.below(pages.count), step: step)
      }
    }

    @Test(arguments: LockstepEngine.allCases, [1, 2, 3, 4] as [UInt64])
    func changingSpaces(engine: LockstepEngine, seed: UInt64) throws {
      // The cache is emptied now and then: what is known of a space's code comes back then.
      let cluster = try LockstepCluster(engine, harts: 1, memorySize: 48 << 20, arenaSize: 128 << 10)
      try Self.prepare(cluster)
      var model = Model(dice: LockstepDice(seed: seed))
      var c = LockstepCode(base: Self.program)
      c.li(5, Self.satp(0))
      c.csrrw(0, 0x180, 5)
      c.sfenceVMA()
      for step in 1...6000 { Self.step(&c, &model, step) }
      c.finish(hart: 0, harts: 1)
      try cluster.write(c.finished(), at: Self.program)
      #expect(try cluster.run(entries: [Self.program]))
      let last = try cluster.read(Self.result + 8)
      #expect(try cluster.read(Self.result) == 0, "the last at step \(last)")
    }
  }
}
