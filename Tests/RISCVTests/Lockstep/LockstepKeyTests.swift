import RISCV
import Testing
import Translator

extension LockstepTests {
  /// Traps and returns from them that translated code goes through without being left: what was translated for one
  /// mode, or for floating point on or off, must not be gone on with in the other.
  ///
  /// A program in user mode and its trap handler, without address translation, so that both modes run the same code.
  /// In each round both come to places that nothing has led to yet: by a branch, whose target is looked up under
  /// what the last trap or return made current, or by a computed jump, after which everything is looked up anew.
  @Suite(.serialized) struct KeyTests {
    private static let base = LockstepGuest.memoryBase
    private static let handler = base
    private static let user = base + 0x2000
    private static let both = base + 0x5000
    private static let start = base + 0x8000
    private static let rounds = 64
    private static let scratch: UInt64 = 0x1234_5678

    // x8: round, x9: the trapped program's address, x18: instructions that were illegal, x19: what was read of
    // sscratch, x20: zero, which no block knows. x5 and x6 are anyone's.

    private static func emitStart() -> LockstepCode {
      var c = LockstepCode(base: start)
      c.li(5, handler)
      c.csrrw(0, CSR.stvec, 5)
      c.li(5, scratch)
      c.csrrw(0, CSR.sscratch, 5)
      c.li(5, Status.floatInitial)
      c.csrrs(0, CSR.sstatus, 5)
      // 1 and half of the last place of it: how their sum is rounded depends on the mode.
      c.li(5, 0x3FF0_0000_0000_0000)
      c.word(LockstepCode.r(0xF200_0053, 10, 5, 0))
      c.li(5, 0x3CA0_0000_0000_0000)
      c.word(LockstepCode.r(0xF200_0053, 11, 5, 0))
      c.li(8, 0)
      c.li(18, 0)
      c.li(19, 0)
      c.li(20, 0)
      c.li(5, user)
      c.csrrw(0, CSR.sepc, 5)
      c.sret()
      return c
    }

    /// A branch to the place of each round.
    private static func emitChoice(_ c: inout LockstepCode) -> [LockstepCode.Label] {
      (0..<rounds).map { round in
        let place = c.newLabel()
        c.li(6, UInt64(round))
        c.branch(.equal, 8, 6, to: place)
        return place
      }
    }

    /// Goes to the next instruction by a jump that the translator knows no target of. Returns the address.
    @discardableResult
    private static func emitComputedJump(_ c: inout LockstepCode) -> UInt64 {
      let next = c.newLabel()
      c.la(6, next)
      c.add(6, 6, 20)
      c.jalr(0, 6)
      c.bind(next)
      return c.address
    }

    /// Steps over what is illegal. A call is answered by the place of the round.
    private static func emitHandler(_ functions: [UInt64]) -> LockstepCode {
      var c = LockstepCode(base: handler)
      let (call, over) = (c.newLabel(), c.newLabel())
      c.csrrs(5, CSR.scause, 0)
      c.li(6, 8)
      c.branch(.equal, 5, 6, to: call)
      c.csrrs(5, CSR.sepc, 0)
      c.addi(5, 5, 4)
      c.csrrw(0, CSR.sepc, 5)
      c.addi(18, 18, 1)
      c.sret()
      c.bind(call)
      c.csrrs(9, CSR.sepc, 0)
      c.addi(9, 9, 4)
      c.li(6, Status.floatState)
      c.csrrc(0, CSR.sstatus, 6)
      let places = emitChoice(&c)
      c.bind(over)
      c.csrrw(0, CSR.sepc, 9)
      c.li(6, Status.floatInitial)
      c.csrrs(0, CSR.sstatus, 6)
      c.sret()
      for (round, place) in places.enumerated() {
        c.bind(place)
        if round & 1 != 0 { emitComputedJump(&c) }
        if round & 4 != 0 {
          c.li(6, Status.floatInitial)
          c.csrrs(0, CSR.sstatus, 6)
        }
        // Which of the modes runs a function first changes from round to round.
        c.jump(1, to: functions[round ^ 1])
        c.jump(to: over)
      }
      return c
    }

    private static func emitUser(_ functions: [UInt64]) -> (code: LockstepCode, end: UInt64) {
      var c = LockstepCode(base: user)
      let next = c.newLabel()
      let again = c.here()
      let places = emitChoice(&c)
      let end = emitComputedJump(&c)
      c.jump(to: end)
      c.bind(next)
      c.ecall()
      c.addi(8, 8, 1)
      c.jump(to: again)
      for (round, place) in places.enumerated() {
        c.bind(place)
        // To nearest, ties away from zero: which the host does not have. And back.
        if round & 8 != 0, round & 7 == 3 { c.csrrwi(0, CSR.frm, 4) }
        if round & 8 != 0, round & 7 == 5 { c.csrrwi(0, CSR.frm, 0) }
        c.jump(1, to: functions[round])
        if round & 2 != 0 { emitComputedJump(&c) }
        c.jump(to: next)
      }
      return (c, end)
    }

    /// Functions that do what is legal in supervisor mode alone, and with floating point on.
    private static func emitFunctions() -> (code: LockstepCode, places: [UInt64]) {
      var c = LockstepCode(base: both)
      let places = (0..<rounds).map { _ in
        let place = c.address
        c.csrrs(19, CSR.sscratch, 0)
        c.word(LockstepCode.r(0x0200_7053, 12, 10, 11))  // fadd.d fa2, fa0, fa1
        c.word(LockstepCode.r(0x0200_7053, 10, 10, 11))
        c.jalr(0, 1)
        return place
      }
      return (c, places)
    }

    /// `patience`: traps after which the hart takes the program for one without floating point.
    @Test(arguments: LockstepPace.allCases, [2, 128])
    func trapsAndReturns(pace: LockstepPace, patience: Int) throws {
      let machines = try LockstepMachines(pace: pace)
      machines.translated.hart.floatPatience = patience
      let functions = Self.emitFunctions()
      let program = Self.emitUser(functions.places)
      var image: [UInt64: [UInt8]] = [:]
      for code in [Self.emitHandler(functions.places), program.code, functions.code, Self.emitStart()] {
        image.merge(code.pages()) { _, _ in preconditionFailure("code lies on code") }
      }
      do throws(LockstepMachines.Difference) {
        let done = try machines.run(
          image, entry: Self.start, limit: 1_000_000, isOver: { $0 == program.end })
        #expect(done < 1_000_000)
      } catch {
        let listing = machines.interpreted.hart.listing(at: error.start, count: max(1, min(error.count, 40)))
        Issue.record("\(error.text)\nfrom\n\(listing.joined(separator: "\n"))")
        return
      }
      let registers = machines.interpreted.hart.context.registers
      #expect(registers[8] == UInt64(Self.rounds))
      // In each round the control register in user mode, and in half of them two additions in supervisor mode.
      #expect(registers[18] == UInt64(Self.rounds * 2))
      #expect(registers[19] == Self.scratch)
    }
  }
}
