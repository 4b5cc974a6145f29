import Foundation
import GuestMemory
import HostSystem
import RISCV
import Synchronization
import Testing

extension LockstepTests {
  /// The dirty log while harts write by rights that they keep.
  @Suite(.serialized) struct DirtyLogTests {
    private static let base = LockstepCluster.base
    private static let data = base + 0x10_0000
    private static let stop = base + 0x2_0000
    private static let pages: UInt64 = 64

    /// Where programs see all of memory, with the translator through a window of the host's memory management; and the
    /// table that has it so.
    private static let userView: UInt64 = 0x4000_0000
    private static let table = base + 0x3_0000
    private static let program = base + 0x4_0000

    enum Mode: CaseIterable, Sendable { case supervisor, user }

    /// Adds to the word at an offset of its own in each of the pages, again and again, until it is told to stop.
    private static func count(_ c: inout LockstepCode, hart: Int, seeingBaseAt view: UInt64) {
      c.li(20, stop - base + view)
      let again = c.here()
      c.li(8, data - base + view + UInt64(hart) * 64)
      c.li(9, pages)
      c.li(21, 0x1000)
      let next = c.here()
      c.ld(5, 8)
      c.addi(5, 5, 1)
      c.sd(5, 8)
      c.add(8, 8, 21)
      c.addi(9, 9, -1)
      c.branch(.notEqual, 9, 0, to: next)
      c.ld(5, 20)
      c.branch(.equal, 5, 0, to: again)
    }

    /// Puts a hart's code in memory: it counts, itself or in a program, and is done then.
    private static func load(_ machine: LockstepCluster, hart: Int, harts: Int, mode: Mode) throws {
      var c = LockstepCode(base: base + UInt64(hart) << 12)
      if mode == .supervisor {
        count(&c, hart: hart, seeingBaseAt: base)
      } else {
        let start = program + UInt64(hart) << 12
        var user = LockstepCode(base: start - base + userView)
        count(&user, hart: hart, seeingBaseAt: userView)
        user.ecall()
        try machine.write(user.finished(), at: start)
        // 1 GiB each: as it is for the supervisor, and as programs see it.
        let frame = (base >> 12) << 10
        try machine.write(frame | 0xCF, at: table + 8 * (base >> 30))
        try machine.write(frame | 0xDF, at: table + 8 * (userView >> 30))
        let over = c.newLabel()
        c.la(5, over)
        c.csrrw(0, 0x105, 5)
        c.li(5, user.base)
        c.csrrw(0, 0x141, 5)
        c.li(5, 0x100)
        c.csrrc(0, 0x100, 5)
        c.li(5, 8 << 60 | table >> 12)
        c.csrrw(0, 0x180, 5)
        c.sfenceVMA()
        c.sret()
        while c.address % 4 != 0 { c.half(1) }
        c.bind(over)
      }
      c.finish(hart: hart, harts: harts)
      try machine.write(c.finished(), at: c.base)
    }

    /// What each set names is copied while harts count, so that in the end the copy is the memory.
    @Test(arguments: LockstepEngine.allCases, Mode.allCases)
    func nothingIsLost(engine: LockstepEngine, mode: Mode) throws {
      let harts = 2
      let machine = try LockstepCluster(engine, harts: harts, memorySize: 2 << 20)
      let entries = (0..<harts).map { Self.base + UInt64($0) << 12 }
      for hart in 0..<harts { try Self.load(machine, hart: hart, harts: harts, mode: mode) }
      for hart in machine.cluster.harts { hart.windowPatience = 0 }
      let (memory, log) = (machine.memory, DirtyLog(machine.memory, sources: [machine.cluster]))
      try log.start()
      let mirror = try Mirror(memory)
      let taker = try HostSystem.Thread.start(name: "log") {
        for _ in 0..<400 {
          mirror.copy(log)
          usleep(200)
        }
        try? memory.slice(at: Self.stop, count: 8).store(1 as UInt64, at: 0)
      }
      #expect(try machine.run(entries: entries))
      taker.join()
      mirror.copy(log)
      #expect(mirror.differences.isEmpty)
      let sets = mirror.sets
      #expect(!sets.contains(-1) && sets.contains { $0 >= Int(Self.pages) }, "\(sets)")
      mirror.copy(log)
      #expect(mirror.sets.last == 0, "nobody runs")
    }

    /// A copy of memory that is kept by what the log says.
    private final class Mirror: Sendable {
      private let memory: GuestMemory
      private let pages: Mutex<[[UInt8]]>
      private let counts = Mutex<[Int]>([])

      init(_ memory: GuestMemory) throws {
        self.memory = memory
        pages = Mutex((0..<memory.size >> GuestMemory.pageShift).map { Self.read(memory, $0) })
      }

      private static func read(_ memory: GuestMemory, _ page: Int) -> [UInt8] {
        (try? memory.slice(at: memory.address(ofPage: page), count: 4096).copyBytes()) ?? []
      }

      /// Pages in each set so far; -1 for one that could not be taken.
      var sets: [Int] { counts.withLock { $0 } }

      func copy(_ log: DirtyLog) {
        let taken = try? log.take()
        counts.withLock { $0.append(taken?.count ?? -1) }
        for page in (taken?.ranges ?? []).joined() {
          let bytes = Self.read(memory, page)
          pages.withLock { $0[page] = bytes }
        }
      }

      /// Pages that are not what they are in memory.
      var differences: [Int] {
        pages.withLock { pages in pages.indices.filter { Self.read(memory, $0) != pages[$0] } }
      }
    }
  }
}
