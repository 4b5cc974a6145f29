import Foundation
import RISCV

/// Guest machine code written by hand: a word or half a word after the other, with labels.
struct LockstepCode {
  /// A place in the code, of this piece or to come.
  struct Label: Hashable { fileprivate let id: Int }

  private enum Reach { case branch, jump, upper }

  /// Where the first byte runs.
  let base: UInt64
  private(set) var bytes: [UInt8] = []
  private var places: [Int] = []
  private var fixups: [(offset: Int, label: Label, reach: Reach)] = []

  init(base: UInt64) { self.base = base }

  var address: UInt64 { base + UInt64(bytes.count) }

  mutating func newLabel() -> Label {
    places.append(-1)
    return Label(id: places.count - 1)
  }

  mutating func bind(_ label: Label) { places[label.id] = bytes.count }

  mutating func here() -> Label {
    let label = newLabel()
    bind(label)
    return label
  }

  func address(of label: Label) -> UInt64 { base + UInt64(places[label.id]) }

  mutating func word(_ bits: UInt32) {
    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: bits >> shift)) }
  }

  mutating func half(_ bits: UInt16) {
    bytes.append(UInt8(truncatingIfNeeded: bits))
    bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
  }

  /// Resolves the labels.
  func finished() -> [UInt8] {
    var bytes = bytes
    for (offset, label, reach) in fixups {
      let distance = Int32(places[label.id] - offset)
      precondition(places[label.id] >= 0, "a label is not bound")
      func or(_ bits: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] |= UInt8(truncatingIfNeeded: bits >> UInt32(8 * index)) }
      }
      switch reach {
      case .branch: or(Self.immediateB(distance), at: offset)
      case .jump: or(Self.immediateJ(distance), at: offset)
      case .upper:
        let high = (distance + 0x800) & ~0xFFF
        or(UInt32(bitPattern: high), at: offset)
        or(UInt32(bitPattern: (distance - high) << 20), at: offset + 4)
      }
    }
    return bytes
  }

  /// What is to be in memory, by page address.
  func pages() -> [UInt64: [UInt8]] {
    var pages: [UInt64: [UInt8]] = [:]
    for (index, byte) in finished().enumerated() {
      let address = base + UInt64(index)
      pages[address & ~0xFFF, default: [UInt8](repeating: 0, count: 4096)][Int(address & 0xFFF)] = byte
    }
    return pages
  }

  static func immediateB(_ distance: Int32) -> UInt32 {
    precondition((-4096..<4096).contains(distance) && distance & 1 == 0, "a branch is too far")
    let d = UInt32(bitPattern: distance)
    return (d >> 12 & 1) << 31 | (d >> 5 & 0x3F) << 25 | (d >> 1 & 0xF) << 8 | (d >> 11 & 1) << 7
  }

  static func immediateJ(_ distance: Int32) -> UInt32 {
    let d = UInt32(bitPattern: distance)
    return (d >> 20 & 1) << 31 | (d >> 1 & 0x3FF) << 21 | (d >> 11 & 1) << 20 | (d >> 12 & 0xFF) << 12
  }

  // MARK: - Instructions

  static func r(_ match: UInt32, _ d: UInt32, _ a: UInt32, _ b: UInt32) -> UInt32 {
    match | d << 7 | a << 15 | b << 20
  }

  static func i(_ match: UInt32, _ d: UInt32, _ a: UInt32, _ imm: Int32) -> UInt32 {
    precondition((-2048..<2048).contains(imm))
    return match | d << 7 | a << 15 | UInt32(bitPattern: imm) << 20
  }

  static func s(_ match: UInt32, _ b: UInt32, _ a: UInt32, _ imm: Int32) -> UInt32 {
    let bits = UInt32(bitPattern: imm)
    return match | a << 15 | b << 20 | (bits & 0x1F) << 7 | (bits >> 5 & 0x7F) << 25
  }

  mutating func addi(_ d: UInt32, _ a: UInt32, _ imm: Int32) { word(Self.i(0x13, d, a, imm)) }
  mutating func andi(_ d: UInt32, _ a: UInt32, _ imm: Int32) { word(Self.i(0x7013, d, a, imm)) }
  mutating func slli(_ d: UInt32, _ a: UInt32, _ amount: Int32) { word(Self.i(0x1013, d, a, amount)) }
  mutating func srli(_ d: UInt32, _ a: UInt32, _ amount: Int32) { word(Self.i(0x5013, d, a, amount)) }
  mutating func add(_ d: UInt32, _ a: UInt32, _ b: UInt32) { word(Self.r(0x33, d, a, b)) }
  mutating func sub(_ d: UInt32, _ a: UInt32, _ b: UInt32) { word(Self.r(0x4000_0033, d, a, b)) }
  mutating func and(_ d: UInt32, _ a: UInt32, _ b: UInt32) { word(Self.r(0x7033, d, a, b)) }
  mutating func or(_ d: UInt32, _ a: UInt32, _ b: UInt32) { word(Self.r(0x6033, d, a, b)) }
  mutating func ld(_ d: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.i(0x3003, d, a, imm)) }
  mutating func lw(_ d: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.i(0x2003, d, a, imm)) }
  mutating func lhu(_ d: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.i(0x5003, d, a, imm)) }
  mutating func fld(_ d: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.i(0x3007, d, a, imm)) }
  mutating func sd(_ b: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.s(0x3023, b, a, imm)) }
  mutating func sw(_ b: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.s(0x2023, b, a, imm)) }
  mutating func csrrw(_ d: UInt32, _ csr: UInt16, _ a: UInt32) {
    word(0x1073 | d << 7 | a << 15 | UInt32(csr) << 20)
  }
  mutating func csrrs(_ d: UInt32, _ csr: UInt16, _ a: UInt32) {
    word(0x2073 | d << 7 | a << 15 | UInt32(csr) << 20)
  }
  mutating func csrrc(_ d: UInt32, _ csr: UInt16, _ a: UInt32) {
    word(0x3073 | d << 7 | a << 15 | UInt32(csr) << 20)
  }
  mutating func csrrwi(_ d: UInt32, _ csr: UInt16, _ imm: UInt32) {
    word(0x5073 | d << 7 | imm << 15 | UInt32(csr) << 20)
  }
  mutating func csrrci(_ d: UInt32, _ csr: UInt16, _ imm: UInt32) {
    word(0x7073 | d << 7 | imm << 15 | UInt32(csr) << 20)
  }
  mutating func ecall() { word(0x73) }
  mutating func sret() { word(0x1020_0073) }
  mutating func wfi() { word(0x1050_0073) }
  mutating func pause() { word(0x0100_000F) }
  mutating func fenceI() { word(0x100F) }
  mutating func sfenceVMA(_ a: UInt32 = 0, _ b: UInt32 = 0) { word(Self.r(0x1200_0073, 0, a, b)) }
  mutating func jalr(_ d: UInt32, _ a: UInt32, _ imm: Int32 = 0) { word(Self.i(0x67, d, a, imm)) }
  mutating func amo(
    _ match: UInt32, _ d: UInt32, _ b: UInt32, _ a: UInt32, aq: Bool = false, rl: Bool = false
  ) {
    word(Self.r(match, d, a, b) | (aq ? 1 << 26 : 0) | (rl ? 1 << 25 : 0))
  }

  /// Sets of accesses that a fence orders.
  enum Accesses: UInt32 { case r = 2, w = 1, rw = 3 }
  mutating func fence(_ before: Accesses, _ after: Accesses) {
    word(0x0F | before.rawValue << 24 | after.rawValue << 20)
  }

  mutating func jump(_ d: UInt32 = 0, to label: Label) {
    fixups.append((bytes.count, label, .jump))
    word(0x6F | d << 7)
  }

  /// Jumps within 1 MiB.
  mutating func jump(_ d: UInt32 = 0, to target: UInt64) {
    word(0x6F | d << 7 | Self.immediateJ(Int32(Int64(bitPattern: target &- address))))
  }

  enum Comparison: UInt32 {
    case equal = 0x63, notEqual = 0x1063, less = 0x4063, notLess = 0x5063, lessUnsigned = 0x6063,
      notLessUnsigned = 0x7063
  }
  mutating func branch(_ comparison: Comparison, _ a: UInt32, _ b: UInt32, to label: Label) {
    fixups.append((bytes.count, label, .branch))
    word(Self.r(comparison.rawValue, 0, a, b))
  }

  /// The address of a label.
  mutating func la(_ d: UInt32, _ label: Label) {
    fixups.append((bytes.count, label, .upper))
    word(0x17 | d << 7)
    word(0x13 | d << 7 | d << 15)
  }

  /// A constant, in as many instructions as it takes.
  mutating func li(_ d: UInt32, _ value: UInt64) {
    let signed = Int64(bitPattern: value)
    if (-2048..<2048).contains(signed) { return addi(d, 0, Int32(signed)) }
    if let short = Int32(exactly: signed), short <= Int32.max - 0x800 {
      let high = (short &+ 0x800) & ~0xFFF
      word(0x37 | d << 7 | UInt32(bitPattern: high))
      if short != high { word(Self.i(0x1B, d, d, short &- high)) }
      return
    }
    let low = Int64(bitPattern: value << 52) >> 52
    let rest = (signed &- low) >> 12
    li(d, UInt64(bitPattern: rest))
    slli(d, d, 12)
    if low != 0 { addi(d, d, Int32(low)) }
  }
}

/// Numbers that repeat from run to run (SplitMix64).
struct LockstepDice: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &* 0x2545_F491_4F6C_DD1D &+ 0x1234_5678 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

  mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

  /// Integers and floating-point numbers at which things go wrong, and sometimes any.
  mutating func operand() -> UInt64 {
    switch below(6) {
    case 0: return next()
    case 1: return next() >> UInt64(below(64))
    case 2: return 0xFFFF_FFFF_0000_0000 | UInt64(pick(Self.singles))
    case 3: return pick(Self.doubles)
    case 4: return UInt64(truncatingIfNeeded: below(256) - 128)
    default: return pick(Self.integers)
    }
  }

  static let integers: [UInt64] = [
    0, 1, 2, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF,
    0x1_0000_0000, 0xFFFF_FFFF_8000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, .max,
  ]
  static let singles: [UInt32] = [
    0, 0x8000_0000, 1, 0x8000_0001, 0x007F_FFFF, 0x0080_0000, 0x3F80_0000, 0xBF80_0000, 0x3F80_0001,
    0x4F00_0000,
    0xCF00_0000, 0x4F80_0000, 0x5F00_0000, 0xDF00_0000, 0x7F7F_FFFF, 0xFF7F_FFFF, 0x7F80_0000, 0xFF80_0000,
    0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0xFFBF_FFFF, 0x7FFF_FFFF, 0x4040_0000, 0x3EAA_AAAB,
  ]
  static let doubles: [UInt64] = [
    0, 1 << 63, 1, 1 << 63 | 1, 0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x3FF0_0000_0000_0000,
    0xBFF0_0000_0000_0000, 0x3FF0_0000_0000_0001, 0x41E0_0000_0000_0000, 0xC1E0_0000_0000_0000,
    0x43E0_0000_0000_0000, 0xC3E0_0000_0000_0000, 0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000,
    0x36A0_0000_0000_0000, 0x3810_0000_0000_0000, 0x380F_FFFF_FFFF_FFFF, 0x7FEF_FFFF_FFFF_FFFF,
    0xFFEF_FFFF_FFFF_FFFF, 0x7FF0_0000_0000_0000, 0xFFF0_0000_0000_0000, 0x7FF8_0000_0000_0000,
    0xFFF8_0000_0000_0000, 0x7FF0_0000_0000_0001, 0xFFF7_FFFF_FFFF_FFFF, 0x3FD5_5555_5555_5555,
  ]
}
