// Tests, one-operand arithmetic, multiplication and division (Intel SDM volume 1, 7.3.3 to 7.3.6).
extension X86Assembler {
  // MARK: - test

  /// `test`: and of two registers, for the flags alone.
  @inlinable @inline(__always)
  package mutating func test(_ width: Width, _ first: Register, _ second: Register) {
    encode(
      .one(0x84, width), width, reg: second.code, rm: first.code,
      forced: needsREX(width, first, second))
  }

  /// `test`: and of memory and a register, for the flags alone.
  @inlinable package mutating func test(_ width: Width, _ first: Address, _ second: Register) {
    encode(.one(0x84, width), width, reg: second.code, first, forced: needsREX(width, second))
  }

  /// `test`: and of a register and a constant, sign-extended for 64 bits, for the flags alone.
  @inlinable package mutating func test(_ width: Width, _ first: Register, _ value: Int32) {
    if first == .rax {
      encodeAccumulator(.one(0xA8, width), width, value)
    } else {
      encode(
        .one(0xF6, width), width, reg: 0, rm: first.code, forced: needsREX(width, first), imm: value)
    }
  }

  /// `test`: and of memory and a constant, sign-extended for 64 bits, for the flags alone.
  @inlinable package mutating func test(_ width: Width, _ first: Address, _ value: Int32) {
    encode(.one(0xF6, width), width, reg: 0, first, imm: value)
  }

  // MARK: - One operand

  /// `inc`: adds one; keeps the carry flag.
  @inlinable package mutating func inc(_ width: Width, _ operand: Register) {
    encode(.one(0xFE, width), width, reg: 0, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `inc` with an operand in memory.
  @inlinable package mutating func inc(_ width: Width, _ operand: Address) {
    encode(.one(0xFE, width), width, reg: 0, operand)
  }

  /// `dec`: subtracts one; keeps the carry flag.
  @inlinable package mutating func dec(_ width: Width, _ operand: Register) {
    encode(.one(0xFE, width), width, reg: 1, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `dec` with an operand in memory.
  @inlinable package mutating func dec(_ width: Width, _ operand: Address) {
    encode(.one(0xFE, width), width, reg: 1, operand)
  }

  /// `neg`: subtracts from zero.
  @inlinable package mutating func neg(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 3, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `neg` with an operand in memory.
  @inlinable package mutating func neg(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 3, operand)
  }

  /// `not`: inverts the bits; keeps the flags.
  @inlinable package mutating func not(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 2, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `not` with an operand in memory.
  @inlinable package mutating func not(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 2, operand)
  }

  /// `mul`: unsigned product of rax and the operand, to rdx:rax (8 bits: ax).
  @inlinable package mutating func mul(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 4, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `mul` with an operand in memory.
  @inlinable package mutating func mul(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 4, operand)
  }

  /// `imul`: signed product of rax and the operand, to rdx:rax (8 bits: ax).
  @inlinable package mutating func imul(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 5, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `imul` with an operand in memory.
  @inlinable package mutating func imul(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 5, operand)
  }

  /// `div`: unsigned quotient of rdx:rax (8 bits: ax) to rax, rest to rdx (8 bits: ah).
  @inlinable package mutating func div(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 6, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `div` with an operand in memory.
  @inlinable package mutating func div(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 6, operand)
  }

  /// `idiv`: signed quotient of rdx:rax (8 bits: ax) to rax, rest to rdx (8 bits: ah).
  @inlinable package mutating func idiv(_ width: Width, _ operand: Register) {
    encode(.one(0xF6, width), width, reg: 7, rm: operand.code, forced: needsREX(width, operand))
  }

  /// `idiv` with an operand in memory.
  @inlinable package mutating func idiv(_ width: Width, _ operand: Address) {
    encode(.one(0xF6, width), width, reg: 7, operand)
  }

  // MARK: - imul

  /// `imul`: the low half of the product; not for 8 bits.
  @inlinable @inline(__always)
  package mutating func imul(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xAF), width, reg: destination.code, rm: source.code)
  }

  /// `imul`: the low half of the product with memory; not for 8 bits.
  @inlinable @inline(__always)
  package mutating func imul(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0xAF), width, reg: destination.code, source)
  }

  /// `imul`: the low half of a register's product with a constant; not for 8 bits.
  @inlinable package mutating func imul(
    _ width: Width, _ destination: Register, _ source: Register, _ value: Int32
  ) {
    if X86Assembler.fitsByte(value, width) {
      encode(
        .one(0x6B), width, reg: destination.code, rm: source.code,
        imm8: UInt8(truncatingIfNeeded: value))
    } else {
      encode(.one(0x69), width, reg: destination.code, rm: source.code, imm: value)
    }
  }

  /// `imul`: the low half of memory's product with a constant; not for 8 bits.
  @inlinable package mutating func imul(
    _ width: Width, _ destination: Register, _ source: Address, _ value: Int32
  ) {
    if X86Assembler.fitsByte(value, width) {
      encode(.one(0x6B), width, reg: destination.code, source, imm8: UInt8(truncatingIfNeeded: value))
    } else {
      encode(.one(0x69), width, reg: destination.code, source, imm: value)
    }
  }
}
