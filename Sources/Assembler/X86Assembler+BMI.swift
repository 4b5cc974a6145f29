// Bit manipulation with VEX encodings (Intel SDM volume 2; CPUID leaf 7, BMI1 and BMI2).
extension X86Assembler {
  // MARK: - Shifts that keep the flags (BMI2)

  /// `shlx`: shifts left; 32 or 64 bits.
  @inlinable @inline(__always)
  package mutating func shlx(
    _ width: Width, _ destination: Register, _ source: Register, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 1, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      rm: source.code)
  }

  /// `shlx` with an operand from memory.
  @inlinable package mutating func shlx(
    _ width: Width, _ destination: Register, _ source: Address, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 1, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      source)
  }

  /// `shrx`: shifts right, filling with zeroes; 32 or 64 bits.
  @inlinable @inline(__always)
  package mutating func shrx(
    _ width: Width, _ destination: Register, _ source: Register, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 3, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      rm: source.code)
  }

  /// `shrx` with an operand from memory.
  @inlinable package mutating func shrx(
    _ width: Width, _ destination: Register, _ source: Address, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 3, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      source)
  }

  /// `sarx`: shifts right, filling with the sign; 32 or 64 bits.
  @inlinable @inline(__always)
  package mutating func sarx(
    _ width: Width, _ destination: Register, _ source: Register, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 2, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      rm: source.code)
  }

  /// `sarx` with an operand from memory.
  @inlinable package mutating func sarx(
    _ width: Width, _ destination: Register, _ source: Address, count: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 2, 0xF7), wide: width == .w64, reg: destination.code, vvvv: count.code,
      source)
  }

  /// `rorx`: rotates right by a constant; 32 or 64 bits.
  @inlinable package mutating func rorx(
    _ width: Width, _ destination: Register, _ source: Register, by count: UInt8
  ) {
    encode(
      VEXOpcode(map: 3, pp: 3, 0xF0), wide: width == .w64, reg: destination.code, vvvv: 0,
      rm: source.code, imm8: count)
  }

  /// `rorx` with an operand from memory.
  @inlinable package mutating func rorx(
    _ width: Width, _ destination: Register, _ source: Address, by count: UInt8
  ) {
    encode(
      VEXOpcode(map: 3, pp: 3, 0xF0), wide: width == .w64, reg: destination.code, vvvv: 0,
      source, imm8: count)
  }

  // MARK: - Multiplication that keeps the flags (BMI2)

  /// `mulx`: unsigned product of rdx and `source`; 32 or 64 bits. When both halves are one register, it
  /// gets the high one.
  @inlinable package mutating func mulx(_ width: Width, high: Register, low: Register, _ source: Register) {
    encode(
      VEXOpcode(map: 2, pp: 3, 0xF6), wide: width == .w64, reg: high.code, vvvv: low.code,
      rm: source.code)
  }

  /// `mulx` with an operand from memory.
  @inlinable package mutating func mulx(_ width: Width, high: Register, low: Register, _ source: Address) {
    encode(VEXOpcode(map: 2, pp: 3, 0xF6), wide: width == .w64, reg: high.code, vvvv: low.code, source)
  }

  // MARK: - Bit fields (BMI1, BMI2)

  /// `andn`: and of `source` with the inverse of `inverted`; 32 or 64 bits.
  @inlinable @inline(__always)
  package mutating func andn(
    _ width: Width, _ destination: Register, _ inverted: Register, _ source: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF2), wide: width == .w64, reg: destination.code, vvvv: inverted.code,
      rm: source.code)
  }

  /// `andn` with an operand from memory.
  @inlinable package mutating func andn(
    _ width: Width, _ destination: Register, _ inverted: Register, _ source: Address
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF2), wide: width == .w64, reg: destination.code, vvvv: inverted.code,
      source)
  }

  /// `bextr`: the bits from bits 7…0 of `control` on, as many as its bits 15…8 say; 32 or 64 bits.
  @inlinable package mutating func bextr(
    _ width: Width, _ destination: Register, _ source: Register, _ control: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF7), wide: width == .w64, reg: destination.code, vvvv: control.code,
      rm: source.code)
  }

  /// `bextr` with an operand from memory.
  @inlinable package mutating func bextr(
    _ width: Width, _ destination: Register, _ source: Address, _ control: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF7), wide: width == .w64, reg: destination.code, vvvv: control.code,
      source)
  }

  /// `bzhi`: clears the bits from `index` (its low byte) on; 32 or 64 bits.
  @inlinable package mutating func bzhi(
    _ width: Width, _ destination: Register, _ source: Register, _ index: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF5), wide: width == .w64, reg: destination.code, vvvv: index.code,
      rm: source.code)
  }

  /// `bzhi` with an operand from memory.
  @inlinable package mutating func bzhi(
    _ width: Width, _ destination: Register, _ source: Address, _ index: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 0, 0xF5), wide: width == .w64, reg: destination.code, vvvv: index.code,
      source)
  }

  /// `pdep`: puts the low bits of `source` where `mask` has ones; 32 or 64 bits.
  @inlinable package mutating func pdep(
    _ width: Width, _ destination: Register, _ source: Register, _ mask: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 3, 0xF5), wide: width == .w64, reg: destination.code, vvvv: source.code,
      rm: mask.code)
  }

  /// `pdep` with an operand from memory.
  @inlinable package mutating func pdep(
    _ width: Width, _ destination: Register, _ source: Register, _ mask: Address
  ) {
    encode(
      VEXOpcode(map: 2, pp: 3, 0xF5), wide: width == .w64, reg: destination.code, vvvv: source.code,
      mask)
  }

  /// `pext`: collects the bits of `source` where `mask` has ones; 32 or 64 bits.
  @inlinable package mutating func pext(
    _ width: Width, _ destination: Register, _ source: Register, _ mask: Register
  ) {
    encode(
      VEXOpcode(map: 2, pp: 2, 0xF5), wide: width == .w64, reg: destination.code, vvvv: source.code,
      rm: mask.code)
  }

  /// `pext` with an operand from memory.
  @inlinable package mutating func pext(
    _ width: Width, _ destination: Register, _ source: Register, _ mask: Address
  ) {
    encode(
      VEXOpcode(map: 2, pp: 2, 0xF5), wide: width == .w64, reg: destination.code, vvvv: source.code,
      mask)
  }
}
