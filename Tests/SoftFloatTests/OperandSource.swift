import SoftFloat

/// SplitMix64: a seeded generator, so that a failure repeats.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}

/// Operands that favour what goes wrong: zeros, subnormals, range ends, ties, NaNs, cancellation.
struct OperandSource<Format: HostFormat> {
  var random: SplitMix64

  private let fractionMask: UInt64 = 1 << Format.fractionBits - 1
  private let maximumExponent = 1 << Format.exponentBits - 1
  private let bias = 1 << (Format.exponentBits - 1) - 1
  private let precision = Format.fractionBits + 1

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Uniform in 0 ..< bound (but for a bias that does not matter here).
  mutating func below(_ bound: Int) -> Int { Int(random.next() >> 33) % bound }

  // MARK: - Single operands

  /// Any value, edges first.
  mutating func any() -> UInt64 {
    switch below(16) {
    case 0, 1: return special()
    case 2: return signed(subnormal())
    case 3: return encode(edgeExponent(), fraction())
    case 4, 5, 6: return random.next() & (Format.sign | (Format.sign - 1))
    default: return encode(bias + below(2 * precision + 6) - precision - 3, fraction())
    }
  }

  private mutating func special() -> UInt64 {
    let one = UInt64(bias) << Format.fractionBits
    let values: [UInt64] = [
      0, 1, 2, 3, Format.smallestNormal - 1, Format.smallestNormal, Format.smallestNormal + 1,
      one - 1, one, one + 1, one + Format.smallestNormal, Format.infinityBits - 1, Format.infinityBits - 2,
      Format.infinityBits, Format.infinityBits, Format.canonical, Format.canonical | 1,
      Format.infinityBits | 1, Format.infinityBits | fractionMask >> 1, Format.infinityBits | fractionMask,
    ]
    return signed(values[below(values.count)])
  }

  private mutating func subnormal() -> UInt64 { fraction() >> UInt64(below(precision)) }

  private mutating func edgeExponent() -> Int {
    let distance = below(precision + 3)
    return below(2) == 0 ? distance : maximumExponent - 1 - distance
  }

  /// A trailing significand: random, or with the runs and lone bits that make carries and ties.
  private mutating func fraction() -> UInt64 {
    let bits = UInt64(Format.fractionBits)
    let place = UInt64(below(Format.fractionBits))
    switch below(10) {
    case 0: return 0
    case 1: return fractionMask
    case 2: return 1 << place
    case 3: return fractionMask >> place
    case 4: return fractionMask << place & fractionMask
    case 5: return (1 << place | 1 << UInt64(below(Format.fractionBits)) | 1) & fractionMask
    case 6: return random.next() << (bits / 2) & fractionMask
    case 7: return random.next() << place & fractionMask
    default: return random.next() & fractionMask
    }
  }

  private mutating func signed(_ magnitude: UInt64) -> UInt64 {
    magnitude | (below(2) == 0 ? 0 : Format.sign)
  }

  /// A signed finite value; exponents out of range are moved to the range's ends.
  private mutating func encode(_ exponent: Int, _ fraction: UInt64) -> UInt64 {
    let exponent = Swift.min(Swift.max(exponent, 0), maximumExponent - 1)
    return signed(UInt64(exponent) << Format.fractionBits | fraction)
  }

  // MARK: - Related operands

  /// A few units in the last place from `value`, of either sign.
  mutating func near(_ value: UInt64) -> UInt64 {
    let magnitude = (value &+ UInt64(below(7)) &- 3) & (Format.sign - 1)
    return signed(magnitude)
  }

  private func exponent(_ value: UInt64) -> Int { Int(value >> Format.fractionBits) & maximumExponent }

  /// An exponent so close that the significands overlap, or just do not.
  private mutating func overlapping(_ exponent: Int) -> UInt64 {
    encode(exponent + below(2 * precision + 8) - precision - 4, fraction())
  }

  mutating func operands(for operation: Operation) -> (a: UInt64, b: UInt64, c: UInt64) {
    let a = any()
    var b = any()
    var c: UInt64 = 0
    switch operation {
    case .add, .sub:
      switch below(4) {
      case 0: b = near(a)
      case 1: b = overlapping(exponent(a))
      default: break
      }
    case .mul:
      if below(3) == 0 { b = encode(edgeExponent() - exponent(a) + bias, fraction()) }
    case .div:
      switch below(4) {
      case 0: b = encode(exponent(a) - edgeExponent() + bias, fraction())
      case 1: return (near(Format.bits(Format.native(a) * Format.native(b))), b, 0)
      default: break
      }
    case .sqrt:
      if below(3) == 0 { return (near(Format.bits(Format.native(a) * Format.native(a))), 0, 0) }
    case .fusedMultiplyAdd:
      if below(4) == 0 { b = encode(edgeExponent() - exponent(a) + bias, fraction()) }
      c = any()
      switch below(4) {
      case 0: c = near(Format.bits(Format.native(a) * Format.native(b)))
      case 1: c = overlapping(exponent(a) + exponent(b) - bias)
      default: break
      }
    }
    return (a, b, c)
  }

  // MARK: - Around integers

  /// An integer of any width, most often next to a power of two.
  mutating func integer() -> UInt64 {
    let shift = UInt64(below(64))
    switch below(4) {
    case 0: return random.next() >> shift
    case 1: return ~0 >> shift &- UInt64(below(4))
    case 2: return UInt64(1) << shift &+ UInt64(below(4)) &- 2
    // A few leading bits, a lone lower one: ties when rounded to the format.
    default: return (1 << 63) >> shift | (random.next() >> shift & (~0 << UInt64(below(64))))
    }
  }

  /// A value around an integer or a half, or anything.
  mutating func aroundInteger() -> UInt64 {
    if below(4) == 0 { return any() }
    let value = Format.Native(integer()) + Format.Native(below(3)) / 2
    return below(2) == 0 ? signed(Format.bits(value)) : near(Format.bits(value))
  }
}
