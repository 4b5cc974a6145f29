import RISCV
import Testing
import Translator

extension LockstepTests {
  /// Large pages that a program sees through a window: of them the window holds pages of 4 KiB, and a fence for one
  /// address must reach all of them.
  @Suite(.serialized) struct WindowTests {
    private typealias Entry = LockstepGuest.Entry

    // Physical addresses.
    private static let handler = LockstepGuest.memoryBase
    private static let start = LockstepGuest.memoryBase + 0x1000
    private static let program = LockstepGuest.memoryBase + 0x2000
    private static let root = LockstepGuest.memoryBase + 0x10_0000
    private static let frames = LockstepGuest.large

    private static let space: UInt64 = 5
    private static let satp: UInt64 = 8 << 60 | space << 44 | root >> 12
    private static let user: UInt64 = 0x4000_0000

    private static let rounds = 40
    /// How often a program goes through all places in a round.
    private static let passes = 4
    /// Where in a frame: at its ends, beside each other, and apart.
    private static let offsets: [UInt64] = [0, 0xFF8, 0x1000, 0x1_2340, 0x10_0000, 0x1F_FFF8]

    /// A page, and what takes its place.
    enum Page: CaseIterable, Sendable, CustomTestStringConvertible {
      /// 2 MiB, which show one frame or the other.
      case large
      /// 1 GiB, which show memory as it is; or a table of pages of 2 MiB, with the frames exchanged.
      case huge
      var testDescription: String { "\(self)" }

      /// Where its entry is.
      var slot: UInt64 { self == .large ? root + 0x1000 + 3 * 8 : root + 3 * 8 }

      var entries: [UInt64] {
        let bits = Entry.read | Entry.write | Entry.user | Entry.used
        return self == .large
          ? frames.map { LockstepGuest.leaf($0, bits) }
          : [LockstepGuest.leaf(LockstepGuest.memoryBase, bits), LockstepGuest.leaf(root + 0x3000, 0)]
      }

      /// The address that the fences are for: one that nothing uses.
      var fenced: UInt64 { self == .large ? 0x406A_B000 : 0xF000_0000 }

      /// The addresses that a program uses, and what they lead to by either entry.
      var places: [(address: UInt64, physical: [UInt64])] {
        self == .large
          ? offsets.map { offset in (0x4060_0000 + offset, frames.map { $0 + offset }) }
          : [frames, frames.reversed()].flatMap { frames in
            offsets.map { offset in
              (frames[0] - LockstepGuest.memoryBase + 0xC000_0000 + offset, frames.map { $0 + offset })
            }
          }
      }
    }

    /// How the guest has one address forgotten.
    enum Forgetting: CaseIterable, Sendable, CustomTestStringConvertible {
      case address, addressInSpace, call
      var testDescription: String { "\(self)" }
    }

    private static func tables(_ page: Page) -> [UInt64: [UInt8]] {
      var tables: [UInt64: [UInt64]] = [:]
      func set(_ place: UInt64, _ entry: UInt64) {
        tables[place & ~0xFFF, default: [UInt64](repeating: 0, count: 512)][Int(place & 0xFFF) / 8] = entry
      }
      set(root + 1 * 8, LockstepGuest.leaf(root + 0x1000, 0))
      set(root + 2 * 8, LockstepGuest.leaf(LockstepGuest.memoryBase, Entry.all | Entry.global | Entry.used))
      set(root + 0x1000, LockstepGuest.leaf(root + 0x2000, 0))
      set(
        root + 0x2000, LockstepGuest.leaf(program, Entry.read | Entry.execute | Entry.user | Entry.used))
      for (index, frame) in frames.reversed().enumerated() {
        let bits = Entry.read | Entry.write | Entry.user | Entry.used
        set(root + 0x3000 + UInt64(index + 1) * 8, LockstepGuest.leaf(frame, bits))
      }
      set(page.slot, page.entries[0])
      return tables.mapValues { $0.withUnsafeBytes { [UInt8]($0) } }
    }

    // x8: rounds left, x18: traps that should not be, x19: a sum of all that was loaded, x20: passes left, x21: where
    // the program ends, x24: the page's entry, x25: what to change in it, x26: the second entry.

    private static func emitStart(_ page: Page) -> LockstepCode {
      var c = LockstepCode(base: start)
      c.li(5, handler)
      c.csrrw(0, CSR.stvec, 5)
      c.li(5, satp)
      c.csrrw(0, CSR.satp, 5)
      c.sfenceVMA()
      c.li(8, UInt64(rounds))
      c.li(18, 0)
      c.li(19, 0)
      c.li(24, page.entries[0])
      c.li(25, page.entries[0] ^ page.entries[1])
      c.li(26, page.entries[1])
      c.li(5, user)
      c.csrrw(0, CSR.sepc, 5)
      c.sret()
      return c
    }

    /// Has the page lead elsewhere, and one address of it forgotten.
    private static func emitHandler(_ page: Page, _ forgetting: Forgetting) -> LockstepCode {
      var c = LockstepCode(base: handler)
      let (call, whole, over) = (c.newLabel(), c.newLabel(), c.newLabel())
      c.csrrs(5, CSR.sepc, 0)
      c.addi(5, 5, 4)
      c.csrrw(0, CSR.sepc, 5)
      c.csrrs(5, CSR.scause, 0)
      c.li(6, 8)
      c.branch(.equal, 5, 6, to: call)
      c.addi(18, 18, 1)
      c.sret()
      c.bind(call)
      c.word(LockstepCode.r(0x4033, 24, 24, 25))
      c.li(6, page.slot)
      c.sd(24, 6)
      // That several pages are one now, no fence for one address says.
      if page == .huge { c.branch(.notEqual, 24, 26, to: whole) }
      c.li(6, page.fenced)
      c.li(7, space)
      switch forgetting {
      case .address: c.sfenceVMA(6, 0)
      case .addressInSpace: c.sfenceVMA(6, 7)
      case .call: c.remoteSFence(harts: 1, address: page.fenced, size: 4096)
      }
      c.jump(to: over)
      c.bind(whole)
      c.sfenceVMA()
      c.bind(over)
      // The program gets its next window when its space is chosen again after another: that of physical addresses.
      c.csrrw(0, CSR.satp, 0)
      c.li(6, satp)
      c.csrrw(0, CSR.satp, 6)
      c.sret()
      return c
    }

    /// Adds up what is at all places, and one to each.
    private static func emitProgram(_ page: Page) -> (code: LockstepCode, end: UInt64) {
      var c = LockstepCode(base: user)
      let end = c.newLabel()
      c.la(21, end)
      let again = c.here()
      c.li(20, UInt64(passes))
      let pass = c.here()
      for (address, _) in page.places {
        c.li(9, address)
        c.ld(10, 9)
        c.slli(19, 19, 1)
        c.add(19, 19, 10)
        c.addi(10, 10, 1)
        c.sd(10, 9)
      }
      c.addi(20, 20, -1)
      c.branch(.notEqual, 20, 0, to: pass)
      c.ecall()
      c.addi(8, 8, -1)
      c.branch(.notEqual, 8, 0, to: again)
      // A jump that translated code does not go on after, since it knows no code there.
      c.jalr(0, 21)
      c.bind(end)
      c.jump(to: end)
      return (c, c.address(of: end))
    }

    /// What x19 must be in the end.
    private static func expectedSum(_ page: Page) -> UInt64 {
      var memory: [UInt64: UInt64] = [:]
      var sum: UInt64 = 0
      for round in 0..<rounds {
        for _ in 0..<passes {
          for (_, physical) in page.places {
            sum = sum << 1 &+ memory[physical[round & 1], default: physical[round & 1]]
            memory[physical[round & 1], default: physical[round & 1]] += 1
          }
        }
      }
      return sum
    }

    @Test(arguments: Page.allCases, Forgetting.allCases)
    func largePageLeavesAsAWhole(page: Page, forgetting: Forgetting) throws {
      for pace in LockstepPace.allCases {
        let machines = try LockstepMachines(pace: pace)
        try #require(machines.code.canUseWindows)
        machines.translated.hart.windowPatience = 0
        let program = Self.emitProgram(page)
        var image = Self.tables(page)
        for (address, bytes) in program.code.pages() { image[address - Self.user + Self.program] = bytes }
        image.merge(Self.emitStart(page).pages()) { $1 }
        image.merge(Self.emitHandler(page, forgetting).pages()) { $1 }
        // Each word holds its own address at first.
        for physical in page.places.flatMap(\.physical) {
          let offset = Int(physical & 0xFFF)
          image[physical & ~0xFFF, default: [UInt8](repeating: 0, count: 4096)]
            .replaceSubrange(offset..<offset + 8, with: withUnsafeBytes(of: physical) { [UInt8]($0) })
        }
        do throws(LockstepMachines.Difference) {
          let done = try machines.run(
            image, entry: Self.start, limit: 1_000_000, isOver: { $0 == program.end })
          #expect(done < 1_000_000)
        } catch {
          Issue.record("pace \(pace.rawValue): \(error.text)")
          return
        }
        let registers = machines.translated.hart.context.registers
        #expect(registers[18] == 0)
        #expect(registers[19] == Self.expectedSum(page))
        // Each round needs its pages once: all but the first access to one are the window's.
        let faults = machines.translated.hart.windowFaults
        let accesses = Self.rounds * Self.passes * page.places.count * 2
        #expect(faults > Self.rounds)
        #expect(faults < accesses / 4)
      }
    }
  }
}
