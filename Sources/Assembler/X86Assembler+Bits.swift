// Bit tests and counts (Intel SDM volume 1, 7.3.7; volume 2 for POPCNT, LZCNT, TZCNT).
extension X86Assembler {
  // MARK: - Bit tests

  /// `bt`: copies a bit into the carry flag; not for 8 bits.
  @inlinable package mutating func bt(_ width: Width, _ operand: Register, bit: UInt8) {
    encode(.two(0xBA), width, reg: 4, rm: operand.code, imm8: bit)
  }

  /// `bt` of the bit that a register names, modulo the width; not for 8 bits.
  @inlinable package mutating func bt(_ width: Width, _ operand: Register, _ bit: Register) {
    encode(.two(0xA3), width, reg: bit.code, rm: operand.code)
  }

  /// `bt` of a bit in memory; not for 8 bits.
  @inlinable package mutating func bt(_ width: Width, _ operand: Address, bit: UInt8) {
    encode(.two(0xBA), width, reg: 4, operand, imm8: bit)
  }

  /// `bts`: copies a bit into the carry flag, then sets it; not for 8 bits.
  @inlinable package mutating func bts(_ width: Width, _ operand: Register, bit: UInt8) {
    encode(.two(0xBA), width, reg: 5, rm: operand.code, imm8: bit)
  }

  /// `bts` of the bit that a register names, modulo the width; not for 8 bits.
  @inlinable package mutating func bts(_ width: Width, _ operand: Register, _ bit: Register) {
    encode(.two(0xAB), width, reg: bit.code, rm: operand.code)
  }

  /// `bts` of a bit in memory; not for 8 bits.
  @inlinable package mutating func bts(_ width: Width, _ operand: Address, bit: UInt8) {
    encode(.two(0xBA), width, reg: 5, operand, imm8: bit)
  }

  /// `btr`: copies a bit into the carry flag, then clears it; not for 8 bits.
  @inlinable package mutating func btr(_ width: Width, _ operand: Register, bit: UInt8) {
    encode(.two(0xBA), width, reg: 6, rm: operand.code, imm8: bit)
  }

  /// `btr` of the bit that a register names, modulo the width; not for 8 bits.
  @inlinable package mutating func btr(_ width: Width, _ operand: Register, _ bit: Register) {
    encode(.two(0xB3), width, reg: bit.code, rm: operand.code)
  }

  /// `btr` of a bit in memory; not for 8 bits.
  @inlinable package mutating func btr(_ width: Width, _ operand: Address, bit: UInt8) {
    encode(.two(0xBA), width, reg: 6, operand, imm8: bit)
  }

  /// `btc`: copies a bit into the carry flag, then inverts it; not for 8 bits.
  @inlinable package mutating func btc(_ width: Width, _ operand: Register, bit: UInt8) {
    encode(.two(0xBA), width, reg: 7, rm: operand.code, imm8: bit)
  }

  /// `btc` of the bit that a register names, modulo the width; not for 8 bits.
  @inlinable package mutating func btc(_ width: Width, _ operand: Register, _ bit: Register) {
    encode(.two(0xBB), width, reg: bit.code, rm: operand.code)
  }

  /// `btc` of a bit in memory; not for 8 bits.
  @inlinable package mutating func btc(_ width: Width, _ operand: Address, bit: UInt8) {
    encode(.two(0xBA), width, reg: 7, operand, imm8: bit)
  }

  // MARK: - Counts

  /// `lzcnt`: the number of leading zeroes (needs LZCNT); not for 8 bits.
  @inlinable package mutating func lzcnt(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xBD, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `lzcnt` of memory; not for 8 bits.
  @inlinable package mutating func lzcnt(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xBD, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `tzcnt`: the number of trailing zeroes (needs BMI1); not for 8 bits.
  @inlinable package mutating func tzcnt(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xBC, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `tzcnt` of memory; not for 8 bits.
  @inlinable package mutating func tzcnt(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xBC, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `popcnt`: the number of ones (needs POPCNT); not for 8 bits.
  @inlinable package mutating func popcnt(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xB8, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `popcnt` of memory; not for 8 bits.
  @inlinable package mutating func popcnt(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xB8, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `bsf`: the index of the lowest one; not for 8 bits.
  @inlinable package mutating func bsf(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xBC), width, reg: destination.code, rm: source.code)
  }

  /// `bsf` of memory; not for 8 bits.
  @inlinable package mutating func bsf(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xBC), width, reg: destination.code, source)
  }

  /// `bsr`: the index of the highest one; not for 8 bits.
  @inlinable package mutating func bsr(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xBD), width, reg: destination.code, rm: source.code)
  }

  /// `bsr` of memory; not for 8 bits.
  @inlinable package mutating func bsr(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xBD), width, reg: destination.code, source)
  }
}
