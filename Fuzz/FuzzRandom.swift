/// Random numbers from a seed (SplitMix64), and what readers are weak at.
struct FuzzRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Less than `bound`.
  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  /// True once in `n`.
  mutating func once(in n: Int) -> Bool { below(n) == 0 }

  mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

  mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

  /// A number as readers fear it: small, near a power of two, near an end, or any.
  mutating func number() -> UInt64 {
    switch below(6) {
    case 0: return UInt64(below(16))
    case 1: return UInt64(below(70_000))
    case 2: return (1 << UInt64(below(64))) &+ UInt64(below(5)) &- 2
    case 3: return UInt64.max &- UInt64(below(5000))
    case 4: return UInt64(UInt32.max) &- UInt64(below(5000))
    default: return next()
    }
  }

  /// Changes bytes in places: bits, whole numbers of 1 to 8 bytes in either order, pieces cut out,
  /// repeated, or put in; the end cut off.
  mutating func mutate(_ bytes: inout [UInt8]) {
    for _ in 0..<(1 << below(5)) where !bytes.isEmpty {
      let place = below(bytes.count)
      switch below(8) {
      case 0: bytes[place] ^= 1 << UInt8(below(8))
      case 1: bytes[place] = UInt8(truncatingIfNeeded: number())
      case 2, 3, 4: setNumber(&bytes, at: place)
      case 5: bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(32)))
      case 6:
        let piece = Array(bytes[place..<min(bytes.count, place + 1 + below(64))])
        bytes.insert(contentsOf: piece, at: below(bytes.count + 1))
      default: if once(in: 4) { bytes.removeLast(bytes.count - place) }
      }
    }
  }

  private mutating func setNumber(_ bytes: inout [UInt8], at place: Int) {
    let size = pick([1, 2, 4, 8])
    let value = number()
    let isBig = once(in: 2)
    let start = once(in: 4) ? place : place / size * size
    for index in 0..<size where start + index < bytes.count {
      let shift = UInt64(8 * (isBig ? size - 1 - index : index))
      bytes[start + index] = UInt8(truncatingIfNeeded: value >> shift)
    }
  }
}
