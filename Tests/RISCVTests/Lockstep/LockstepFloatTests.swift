import RISCV
import Testing
import Translator

extension LockstepTests {
  /// Every floating-point instruction on numbers at which conversions and roundings turn, in every rounding
  /// mode, on both engines: results and flags are the same.
  @Suite(.serialized) struct FloatTests {
    private static let table = LockstepGuest.memoryBase + 0x10_0000
    private static let doubles =
      LockstepDice.doubles + LockstepDice.betweenIntegers.map(\.bitPattern) + [0xC00A_BCDE_F012_3456]
    private static let singles: [UInt64] =
      (LockstepDice.singles + LockstepDice.betweenIntegers.map { Float($0).bitPattern }).map {
        0xFFFF_FFFF_0000_0000 | UInt64($0)
      } + [0x3F80_0000, 0xFFFF_FFFE_3F80_0000, 0x7FFF_FFFF_7F80_0001, 0]

    /// Where the operands and the result are: the host's registers or not, the result on its own or not.
    private static let places: [(a: UInt32, b: UInt32, c: UInt32, d: UInt32)] = [
      (10, 11, 12, 13), (10, 11, 12, 10), (28, 29, 30, 31), (10, 29, 12, 12), (28, 11, 30, 15),
    ]

    /// Static modes with the dynamic one at nearest but once, then the dynamic ones.
    private static let modes: [(fixed: UInt32, dynamic: UInt32)] = [
      (0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (2, 2), (7, 0), (7, 1), (7, 2), (7, 3), (7, 4),
    ]

    /// Operands of an instruction, as registers' contents.
    private static func operands(_ row: InstructionRow, _ dice: inout LockstepDice) -> [[UInt64]] {
      let isSingle = row.name.hasSuffix(".s")
      let numbers = isSingle ? singles : doubles
      switch row.format {
      case .r4:
        return (0..<800).map { _ in
          (0..<3).map { _ in dice.chance(50) ? dice.pick(numbers) : dice.number() }
        }
      case .float, .floatRounded, .floatCompare:
        return numbers.flatMap { a in numbers.map { [a, $0, 0] } }
      case .floatFromInteger, .floatFromIntegerExact, .floatMoveFromInteger:
        let between = LockstepDice.betweenIntegers.filter { abs($0) < 9e18 }
          .map { UInt64(bitPattern: Int64($0)) }
        return (LockstepDice.integers + between + between.map { $0 &+ 1 } + (0..<50).map { _ in dice.next() })
          .map { [$0, 0, 0] }
      default: return (singles + doubles + (0..<100).map { _ in dice.number() }).map { [$0, 0, 0] }
      }
    }

    /// A loop over the operands in the table.
    private static func code(
      _ instruction: UInt32, place: (a: UInt32, b: UInt32, c: UInt32, d: UInt32), mode: UInt32, count: Int
    ) -> [UInt8] {
      var c = LockstepCode(base: LockstepGuest.memoryBase)
      c.li(5, Status.floatInitial)
      c.csrrs(0, 0x100, 5)
      c.word(0x5073 | mode << 15 | 0x002 << 20)
      c.li(8, table)
      c.li(9, UInt64(count))
      let loop = c.here()
      c.fld(place.a, 8)
      c.fld(place.b, 8, 8)
      c.fld(place.c, 8, 16)
      c.ld(11, 8)
      c.word(instruction)
      c.csrrs(12, 0x001, 0)
      c.csrrw(0, 0x001, 0)
      c.addi(8, 8, 24)
      c.addi(9, 9, -1)
      c.branch(.notEqual, 9, 0, to: loop)
      let end = c.here()
      c.jump(to: end)
      return c.finished()
    }

    @Test(arguments: [false, true]) func everyInstruction(isNarrow: Bool) throws {
      let machines = try LockstepMachines(
        pace: .block,
        features: isNarrow
          ? HostFeatures(
            bitCounts: false, flaglessShifts: false, fusedMultiplyAdd: false, threeOperands: false) : .host)
      var dice = LockstepDice(seed: 7)
      let rows = InstructionTable.words.filter {
        ($0.set == .f || $0.set == .d) && !LockstepGenerator.isAccess($0)
      }
      #expect(rows.count > 50)
      for row in rows {
        let operands = Self.operands(row, &dice)
        var image: [UInt64: [UInt8]] = [:]
        let bytes = operands.flatMap { $0 }.withUnsafeBytes { [UInt8]($0) }
        for start in stride(from: 0, to: bytes.count, by: 4096) {
          let page = bytes[start..<min(start + 4096, bytes.count)]
          image[Self.table + UInt64(start)] = page + [UInt8](repeating: 0, count: 4096 - page.count)
        }
        let rounds = row.mask & 7 << 12 == 0
        for mode in rounds ? Self.modes : [(0, 0)] {
          for place in Self.places {
            var instruction = row.match | (rounds ? mode.fixed << 12 : 0)
            let isFromInteger = Decoder.decode(instruction | 11 << 15).a == 11
            instruction |= (isFromInteger ? 11 : place.a) << 15 | place.d << 7
            if row.mask & 31 << 20 == 0 { instruction |= place.b << 20 }
            if row.format == .r4 { instruction |= place.c << 27 }
            let code = Self.code(instruction, place: place, mode: mode.dynamic, count: operands.count)
            image[LockstepGuest.memoryBase] = code + [UInt8](repeating: 0, count: 4096 - code.count)
            let end = LockstepGuest.memoryBase + UInt64(code.count) - 4
            do throws(LockstepMachines.Difference) {
              let done = try machines.run(
                image, entry: LockstepGuest.memoryBase, limit: 1_000_000, isOver: { $0 == end })
              #expect(done > operands.count * 10)
              #expect(LockstepDevice.hostRoundsToNearest)
            } catch {
              let before = machines.interpreted.hart.context.registers
              let index = Int((before[8] - Self.table) / 24) - 1
              let hexes = operands[max(0, index)].map { "0x" + String($0, radix: 16) }
              Issue.record(
                """
                \(Disassembler.text(instruction, at: 0)) in mode \(mode.dynamic) of \(hexes), narrow \(isNarrow):
                \(error.text)
                """)
              return
            }
          }
        }
      }
      print("lockstep, floating point: \(machines.instructions) instructions")
    }
  }
}
