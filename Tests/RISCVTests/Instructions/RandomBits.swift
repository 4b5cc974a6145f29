import RISCV

/// A repeatable source of bits (SplitMix64).
struct RandomBits: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }
  /// A source of its own for each name.
  init(_ name: String) { state = name.utf8.reduce(0) { $0 &* 0x100_0000_01B3 ^ UInt64($1) } }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// An encoding of a row with random operands. Rounding modes are valid ones.
  mutating func encoding(of row: InstructionRow) -> UInt32 {
    let width: UInt32 = row.format.isCompressed ? 0xFFFF : 0xFFFF_FFFF
    while true {
      let bits = (UInt32(truncatingIfNeeded: next()) & ~row.mask | row.match) & width
      let instruction = Decoder.decode(bits)
      // Reserved operands, or those that make another instruction of it.
      if InstructionTable.row(of: instruction)?.name == row.name { return bits }
    }
  }

  // MARK: - Operands

  mutating func integer() -> UInt64 {
    let bit = UInt64(1) << UInt64(below(64))
    return switch below(12) {
    case 0: 0
    case 1: UInt64(bitPattern: -1)
    case 2: 1
    case 3: [1 << 63, 1 << 63 - 1, 0xFFFF_FFFF_8000_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF][below(6)]
    case 4: bit
    case 5: bit &- 1
    case 6: 0 &- bit
    case 7: UInt64(bitPattern: Int64(below(129) - 64))
    case 8: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: next())))
    case 9: next() & next() & next()
    default: next()
    }
  }

  /// A value of the format with `exponent` and `fraction` bits, often a special one.
  private mutating func float(exponent: UInt64, fraction: UInt64) -> UInt64 {
    let sign = (next() & 1) << (exponent + fraction)
    let top: UInt64 = (1 << exponent) - 1
    let bias = top / 2
    let ones: UInt64 = (1 << fraction) - 1
    func value(_ e: UInt64, _ f: UInt64) -> UInt64 { sign | e << fraction | f & ones }
    return switch below(16) {
    case 0: value(0, 0)
    case 1: value(0, 1)
    case 2: value(0, below(2) == 0 ? ones : next())
    case 3: value(1, UInt64(below(2)))
    case 4: value(top - 1, ones)
    case 5: value(top, 0)
    case 6: value(top, next() | 1 << (fraction - 1))
    case 7: value(top, (next() & ones >> 1) | 1)
    case 8: value(bias, [0, 1, ones][below(3)])
    // Around the ends of the integers, and halves of small ones.
    case 9:
      value(bias + UInt64([30, 31, 32, 62, 63, 64][below(6)]), [0, 1, ones, ones - 1, next()][below(5)])
    case 10: value(bias + UInt64(below(5)) - 1, UInt64(below(16)) << (fraction - 4))
    case 11: value(bias + UInt64(below(9)) - 4, next())
    case 12: value(bias + UInt64(below(70)), next())
    case 13: value(UInt64(below(4)), next())
    default: value(next() & top, next())
    }
  }

  mutating func double() -> UInt64 { float(exponent: 11, fraction: 52) }

  /// A single in a register: seldom one whose upper half is not all ones.
  mutating func single() -> UInt64 {
    let bits = float(exponent: 8, fraction: 23)
    return below(24) == 0 ? bits | next() << 32 : bits | 0xFFFF_FFFF_0000_0000
  }
}
