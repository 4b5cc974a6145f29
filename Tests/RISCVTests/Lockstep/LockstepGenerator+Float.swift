import RISCV
import Translator

/// What programs about floating point are made of: every instruction on a few registers, so that results become
/// operands, with numbers that leave something to round, other rounding modes, and looks at the flags.
extension LockstepGenerator {
  private static let floatRows = rows.filter { ($0.set == .f || $0.set == .d) && !isAccess($0) }
  private static let floatAccessRows = rows.filter {
    isAccess($0) && ($0.name.hasPrefix("f") || $0.name.hasPrefix("c.f"))
  }

  /// Six registers, of those that have a place in the host and those that have none.
  static func floatPool(_ dice: inout LockstepDice) -> [UInt8] {
    (0..<6).map { _ in UInt8(dice.chance(60) ? dice.below(16) : dice.below(32)) }
  }

  mutating func floatPiece() -> Piece {
    switch dice.below(100) {
    case 0..<66: floatOperation()
    case 66..<78: floatAccess()
    case 78..<88: floatNumber()
    case 88..<93: rounding()
    case 93..<98: flags()
    default: comparisonWithoutFlags()
    }
  }

  /// An instruction with its floating-point registers out of the pool, rounding mostly as the mode says.
  private mutating func floatOperation() -> Piece {
    while true {
      let row = dice.pick(Self.floatRows)
      var operands = UInt32(truncatingIfNeeded: dice.next())
      for (shift, percent) in [(7, 80), (15, 80), (20, 95), (27, 95)] as [(UInt32, Int)]
      where dice.chance(percent) {
        operands = operands & ~(31 << shift) | UInt32(dice.pick(floats)) << shift
      }
      if dice.chance(55) { operands |= 7 << 12 }
      if let bytes = random(row, operands: operands) { return Piece(kind: "plain", bytes: bytes) }
    }
  }

  private mutating func floatAccess() -> Piece {
    while true {
      let row = dice.pick(Self.floatAccessRows)
      let shift: UInt32 = row.operation == .store32 || row.operation == .store64 ? 20 : 7
      var operands = UInt32(truncatingIfNeeded: dice.next())
      if dice.chance(80) { operands = operands & ~(31 << shift) | UInt32(dice.pick(floats)) << shift }
      if let bytes = random(row, base: dice.pick(bases), operands: operands) {
        return Piece(kind: "access", bytes: bytes)
      }
    }
  }

  /// A number into a register: of either format, now and then in the other's place.
  private mutating func floatNumber() -> Piece {
    let (register, value) = (free(), dice.number())
    let float = UInt32(dice.pick(floats))
    // fmv.w.x or fmv.d.x
    let match: UInt32 = dice.chance(50) ? 0xF000_0053 : 0xF200_0053
    return code("number") { c, _ in
      c.li(register, value)
      c.word(match | float << 7 | register << 15)
    }
  }

  /// Another rounding mode, of which one is not the host's and three are none.
  private mutating func rounding() -> Piece {
    let mode = UInt32(dice.chance(75) ? dice.below(4) : dice.below(8))
    let destination = dice.chance(30) ? free() : 0
    return code("rounding") { c, _ in c.word(0x5073 | destination << 7 | mode << 15 | 0x002 << 20) }
  }

  /// The flags or the mode, read, or exchanged for others.
  private mutating func flags() -> Piece {
    let (destination, source) = (free(), free())
    let number = dice.pick([0x001, 0x001, 0x002, 0x003] as [UInt32])
    switch dice.below(4) {
    case 0, 1: return code("flags") { c, _ in c.csrrs(destination, UInt16(number), 0) }
    case 2: return code("flags") { c, _ in c.csrrw(destination, 0x001, source) }
    default: return code("flags") { c, _ in c.csrrw(0, 0x001, destination) }
    }
  }

  /// As compilers write a comparison that must not raise exceptions.
  private mutating func comparisonWithoutFlags() -> Piece {
    let (saved, result) = (free(), free())
    guard saved != result else { return flags() }
    let (a, b) = (UInt32(dice.pick(floats)), UInt32(dice.pick(floats)))
    return code("comparison without flags") { c, _ in
      c.csrrs(saved, 0x001, 0)
      c.word(0xA200_1053 | result << 7 | a << 15 | b << 20)
      c.csrrw(0, 0x001, saved)
    }
  }
}

extension LockstepDice {
  /// A number of either format: mostly of a size at which sums round and conversions to integers may fit.
  mutating func number() -> UInt64 {
    switch below(8) {
    case 0: return operand()
    case 1: return pick(Self.doubles)
    case 2: return 0xFFFF_FFFF_0000_0000 | UInt64(pick(Self.singles))
    case 3: return pick(Self.betweenIntegers).bitPattern
    case 4: return 0xFFFF_FFFF_0000_0000 | UInt64(Float(pick(Self.betweenIntegers)).bitPattern)
    case 5:
      return 0xFFFF_FFFF_0000_0000 | next() & 0x807F_FFFF | UInt64(127 - 30 + below(100)) << 23
    default:
      // Few digits now and then, so that results are exact.
      let fraction = next() & (chance(30) ? 0xF_0000_0000_0000 : 0xF_FFFF_FFFF_FFFF)
      return next() & 1 << 63 | UInt64(1023 - 30 + below(100)) << 52 | fraction
    }
  }

  static let betweenIntegers: [Double] = [
    0.5, -0.5, 0.25, -0.75, 1.5, -1.5, 2.5, -2.5, 0.49999999999999994, 2_147_483_647.5, 2_147_483_646.5,
    -2_147_483_648.5, -2_147_483_649, 2_147_483_648, 4_294_967_295.5, 4_294_967_294.5, 4_294_967_295,
    4_294_967_296, 9_007_199_254_740_991, 9_007_199_254_740_992, 4_503_599_627_370_495.5,
    9_223_372_036_854_774_784, 9_223_372_036_854_775_808, -9_223_372_036_854_775_808,
    18_446_744_073_709_549_568, 18_446_744_073_709_551_616, 16_777_215, 16_777_217, 8_388_607.5, -1e-300,
  ]
}
