/// Machine code of test programs: a handful of instructions, encoded here by hand so that nothing of
/// what is tested takes part.
struct GuestCode {
  let base: UInt64
  private(set) var bytes: [UInt8] = []

  init(base: UInt64) { self.base = base }

  var address: UInt64 { base + UInt64(bytes.count) }

  mutating func word(_ bits: UInt32) { bytes += little(bits) }

  /// The instruction under test.
  mutating func instruction(_ bits: UInt32) { bytes += little(bits).prefix(bits & 3 == 3 ? 4 : 2) }

  mutating func skip(to address: UInt64) {
    bytes += [UInt8](repeating: 0, count: Int(address - self.address))
  }

  mutating func patch(_ bits: UInt32, at address: UInt64) {
    let offset = Int(address - base)
    bytes.replaceSubrange(offset..<offset + 4, with: little(bits))
  }

  /// A load-immediate of a value below 2³¹.
  mutating func set(_ register: Int, to value: UInt64) {
    let low = UInt32(value & 0xFFF)
    let high = (UInt32(value) &+ (low & 0x800) << 1) & 0xFFFF_F000
    word(high | Self.rd(register) | 0x37)  // lui
    word(low << 20 | Self.rs1(register) | Self.rd(register) | 0x1B)  // addiw
  }

  mutating func add(_ register: Int, _ value: Int) {
    word(Self.immediate(value) | Self.rs1(register) | Self.rd(register) | 0x13)  // addi
  }

  /// ld, or fld for registers from 32 on.
  mutating func load(_ register: Int, from base: Int, _ offset: Int) {
    word(
      Self.immediate(offset) | Self.rs1(base) | 0x3000 | Self.rd(register & 31)
        | (register < 32 ? 0x03 : 0x07))
  }

  /// sd, or fsd for registers from 32 on.
  mutating func store(_ register: Int, to base: Int, _ offset: Int) {
    let bits = UInt32(bitPattern: Int32(offset))
    word(
      (bits & 0xFE0) << 20 | UInt32(register & 31) << 20 | Self.rs1(base) | 0x3000 | (bits & 0x1F) << 7
        | (register < 32 ? 0x23 : 0x27))
  }

  mutating func readFCSR(_ register: Int) { word(0x0030_2073 | Self.rd(register)) }
  mutating func writeFCSR(_ register: Int) { word(0x0030_1073 | Self.rs1(register)) }
  mutating func ecall() { word(0x0000_0073) }

  mutating func jump(to target: UInt64) { word(Self.jump(from: address, to: target)) }

  static func jump(from address: UInt64, to target: UInt64) -> UInt32 {
    let offset = UInt32(truncatingIfNeeded: target &- address)
    return (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20
      | (offset >> 12 & 0xFF) << 12 | 0x6F
  }

  /// Puts its own address in the register.
  static func addressOfSelf(_ register: Int) -> UInt32 { rd(register) | 0x17 }

  /// Jumps back or ahead any distance while the register is not zero.
  mutating func loop(while register: Int, to target: UInt64) {
    word(Self.rs1(register) | 0x463)  // beq register, x0, .+8
    jump(to: target)
  }

  private static func rd(_ register: Int) -> UInt32 { UInt32(register) << 7 }
  private static func rs1(_ register: Int) -> UInt32 { UInt32(register) << 15 }
  private static func immediate(_ value: Int) -> UInt32 { UInt32(bitPattern: Int32(value)) << 20 }
}
