// Moves, extensions, conditional moves (Intel SDM volume 1, 7.3.1 and 7.3.2).
extension X86Assembler {
  /// The gs segment's base is added to the next instruction's memory operand (Intel SDM volume 1, 3.4.4.1).
  @inlinable package mutating func gs() { emit(0x65, count: 1) }

  // MARK: - mov

  /// `mov`: copies a register. Between 32-bit registers it clears the upper half.
  @inlinable @inline(__always)
  package mutating func mov(_ width: Width, _ destination: Register, _ source: Register) {
    encode(
      .one(0x88, width), width, reg: source.code, rm: destination.code,
      forced: needsREX(width, destination, source))
  }

  /// `mov`: loads from memory.
  @inlinable @inline(__always)
  package mutating func mov(_ width: Width, _ destination: Register, _ source: Address) {
    encode(
      .one(0x8A, width), width, reg: destination.code, source, forced: needsREX(width, destination))
  }

  /// `mov`: stores to memory.
  @inlinable @inline(__always)
  package mutating func mov(_ width: Width, _ destination: Address, _ source: Register) {
    encode(.one(0x88, width), width, reg: source.code, destination, forced: needsREX(width, source))
  }

  /// `mov`: stores a constant, sign-extended for 64 bits, its low bits for 8 and 16.
  @inlinable package mutating func mov(_ width: Width, _ destination: Address, _ value: Int32) {
    encode(.one(0xC6, width), width, reg: 0, destination, imm: value)
  }

  /// `mov`: a constant, of which the low bits count; five bytes for a 64-bit register where the
  /// constant fits unsigned, seven where it fits signed, otherwise ten. Keeps the flags.
  @inlinable package mutating func mov(_ width: Width, _ destination: Register, _ value: Int64) {
    let code = destination.code
    switch width {
    case .w8:
      let (word, count) = head(
        .one(0xB0 | code & 7), .w8, rex: code &>> 3, forced: needsREX(.w8, destination))
      let imm = UInt64(UInt8(truncatingIfNeeded: value))
      emit(word | imm &<< UInt64(truncatingIfNeeded: count &* 8), count: count &+ 1)
    case .w16:
      let (word, count) = head(.one(0xB8 | code & 7), .w16, rex: code &>> 3, forced: false)
      let imm = UInt64(UInt16(truncatingIfNeeded: value))
      emit(word | imm &<< UInt64(truncatingIfNeeded: count &* 8), count: count &+ 2)
    case .w64 where value != Int64(UInt32(truncatingIfNeeded: value)):
      if value == Int64(Int32(truncatingIfNeeded: value)) {
        encode(.one(0xC7), .w64, reg: 0, rm: code, imm: Int32(truncatingIfNeeded: value))
      } else {
        next.store(0xB848 | UInt16(code &>> 3) | UInt16(code & 7) &<< 8)
        (next + 2).store(value)
        advance(to: next + 10)
      }
    case .w32, .w64:
      let (word, count) = head(.one(0xB8 | code & 7), .w32, rex: code &>> 3, forced: false)
      let imm = UInt64(UInt32(truncatingIfNeeded: value))
      emit(word | imm &<< UInt64(truncatingIfNeeded: count &* 8), count: count &+ 4)
    }
  }

  /// `xor` of a 32-bit register with itself: clears it all in the fewest bytes. Changes the flags.
  @inlinable package mutating func zero(_ register: Register) {
    xor(.w32, register, register)
  }

  /// Whether an 8-bit register is one that only a REX prefix can name: `spl`, `bpl`, `sil`, `dil`
  /// (those from `r8b` on have one in any case).
  @inlinable @inline(__always)
  func needsREX(_ width: Width, _ register: Register) -> Bool {
    width == .w8 && register.code >= 4
  }

  /// The same for either of two registers.
  @inlinable @inline(__always)
  func needsREX(_ width: Width, _ first: Register, _ second: Register) -> Bool {
    width == .w8 && first.code | second.code >= 4
  }

  // MARK: - Extending moves

  /// `movzx`: extends the low 8, 16 or 32 bits of a register with zeroes to 64.
  @inlinable @inline(__always)
  package mutating func movzx(_ destination: Register, _ source: Register, from: Width) {
    switch from {
    case .w8:
      encode(
        .two(0xB6), .w32, reg: destination.code, rm: source.code, forced: needsREX(.w8, source))
    case .w16: encode(.two(0xB7), .w32, reg: destination.code, rm: source.code)
    case .w32: mov(.w32, destination, source)
    case .w64: mov(.w64, destination, source)
    }
  }

  /// `movzx`: loads 8, 16 or 32 bits, extended with zeroes to 64.
  @inlinable @inline(__always)
  package mutating func movzx(_ destination: Register, _ source: Address, from: Width) {
    switch from {
    case .w8: encode(.two(0xB6), .w32, reg: destination.code, source)
    case .w16: encode(.two(0xB7), .w32, reg: destination.code, source)
    case .w32: mov(.w32, destination, source)
    case .w64: mov(.w64, destination, source)
    }
  }

  /// `movsx`, `movsxd`: extends the low 8, 16 or 32 bits of a register with the sign to `width`,
  /// which must be greater.
  @inlinable @inline(__always)
  package mutating func movsx(
    _ width: Width, _ destination: Register, _ source: Register, from: Width
  ) {
    switch from {
    case .w8:
      encode(
        .two(0xBE), width, reg: destination.code, rm: source.code, forced: needsREX(.w8, source))
    case .w16: encode(.two(0xBF), width, reg: destination.code, rm: source.code)
    case .w32, .w64: encode(.one(0x63), width, reg: destination.code, rm: source.code)
    }
  }

  /// `movsx`, `movsxd`: loads 8, 16 or 32 bits, extended with the sign to `width`, which must be
  /// greater.
  @inlinable @inline(__always)
  package mutating func movsx(
    _ width: Width, _ destination: Register, _ source: Address, from: Width
  ) {
    switch from {
    case .w8: encode(.two(0xBE), width, reg: destination.code, source)
    case .w16: encode(.two(0xBF), width, reg: destination.code, source)
    case .w32, .w64: encode(.one(0x63), width, reg: destination.code, source)
    }
  }

  /// `cdqe`: extends eax with its sign to rax.
  @inlinable package mutating func cdqe() { emit(0x9848, count: 2) }

  /// `cdq`: fills edx with the sign of eax.
  @inlinable package mutating func cdq() { emit(0x99, count: 1) }

  /// `cqo`: fills rdx with the sign of rax.
  @inlinable package mutating func cqo() { emit(0x9948, count: 2) }

  // MARK: - Addresses and byte order

  /// `lea`: computes an address; not for 8 bits.
  @inlinable @inline(__always)
  package mutating func lea(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.one(0x8D), width, reg: destination.code, source)
  }

  /// `bswap`: reverses the bytes of a 32-bit or 64-bit register.
  @inlinable package mutating func bswap(_ width: Width, _ register: Register) {
    encode(.two(0xC8), width, opcodeRegister: register.code)
  }

  /// `movbe`: loads with the bytes reversed; not for 8 bits.
  @inlinable package mutating func movbe(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.three38(0xF0), width, reg: destination.code, source)
  }

  /// `movbe`: stores with the bytes reversed; not for 8 bits.
  @inlinable package mutating func movbe(_ width: Width, _ destination: Address, _ source: Register) {
    encode(.three38(0xF1), width, reg: source.code, destination)
  }

  // MARK: - Conditions

  /// `setcc`: the low byte of a register becomes 1 when the condition holds, otherwise 0.
  @inlinable @inline(__always)
  package mutating func setcc(_ condition: Condition, _ destination: Register) {
    encode(
      .two(0x90 | condition.code), .w32, reg: 0, rm: destination.code,
      forced: needsREX(.w8, destination))
  }

  /// `setcc`: a byte in memory becomes 1 when the condition holds, otherwise 0.
  @inlinable @inline(__always)
  package mutating func setcc(_ condition: Condition, _ destination: Address) {
    encode(.two(0x90 | condition.code), .w32, reg: 0, destination)
  }

  /// `cmovcc`: copies a register when the condition holds; not for 8 bits. With 32 bits it clears
  /// the upper half in any case.
  @inlinable @inline(__always)
  package mutating func cmov(
    _ condition: Condition, _ width: Width, _ destination: Register, _ source: Register
  ) {
    encode(.two(0x40 | condition.code), width, reg: destination.code, rm: source.code)
  }

  /// `cmovcc`: reads memory, and keeps the value when the condition holds; not for 8 bits.
  @inlinable @inline(__always)
  package mutating func cmov(
    _ condition: Condition, _ width: Width, _ destination: Register, _ source: Address
  ) {
    encode(.two(0x40 | condition.code), width, reg: destination.code, source)
  }
}
