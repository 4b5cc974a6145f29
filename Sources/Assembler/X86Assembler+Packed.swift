// Logic, shifts and lanes of whole SSE registers (Intel SDM volume 1, 10.4.2 to 10.4.4 and 11.4.2).
extension X86Assembler {
  // MARK: - Logic

  /// `andps`: and, of 128 bits.
  @inlinable package mutating func andps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x54), .w32, reg: destination.code, rm: source.code)
  }

  /// `andps` with an operand from memory.
  @inlinable package mutating func andps(_ destination: XMM, _ source: Address) {
    encode(.two(0x54), .w32, reg: destination.code, source)
  }

  /// `andpd`: and, of 128 bits.
  @inlinable package mutating func andpd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x54, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `andpd` with an operand from memory.
  @inlinable package mutating func andpd(_ destination: XMM, _ source: Address) {
    encode(.two(0x54, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `orps`: or, of 128 bits.
  @inlinable package mutating func orps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x56), .w32, reg: destination.code, rm: source.code)
  }

  /// `orps` with an operand from memory.
  @inlinable package mutating func orps(_ destination: XMM, _ source: Address) {
    encode(.two(0x56), .w32, reg: destination.code, source)
  }

  /// `orpd`: or, of 128 bits.
  @inlinable package mutating func orpd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x56, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `orpd` with an operand from memory.
  @inlinable package mutating func orpd(_ destination: XMM, _ source: Address) {
    encode(.two(0x56, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `xorps`: exclusive or, of 128 bits.
  @inlinable package mutating func xorps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x57), .w32, reg: destination.code, rm: source.code)
  }

  /// `xorps` with an operand from memory.
  @inlinable package mutating func xorps(_ destination: XMM, _ source: Address) {
    encode(.two(0x57), .w32, reg: destination.code, source)
  }

  /// `xorpd`: exclusive or, of 128 bits.
  @inlinable package mutating func xorpd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x57, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `xorpd` with an operand from memory.
  @inlinable package mutating func xorpd(_ destination: XMM, _ source: Address) {
    encode(.two(0x57, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `andnps`: and of the inverted destination with `source`, of 128 bits.
  @inlinable package mutating func andnps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x55), .w32, reg: destination.code, rm: source.code)
  }

  /// `andnps` with an operand from memory.
  @inlinable package mutating func andnps(_ destination: XMM, _ source: Address) {
    encode(.two(0x55), .w32, reg: destination.code, source)
  }

  /// `andnpd`: and of the inverted destination with `source`, of 128 bits.
  @inlinable package mutating func andnpd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x55, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `andnpd` with an operand from memory.
  @inlinable package mutating func andnpd(_ destination: XMM, _ source: Address) {
    encode(.two(0x55, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `pand`: and, of 128 bits.
  @inlinable package mutating func pand(_ destination: XMM, _ source: XMM) {
    encode(.two(0xDB, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `pand` with an operand from memory.
  @inlinable package mutating func pand(_ destination: XMM, _ source: Address) {
    encode(.two(0xDB, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `pandn`: and of the inverted destination with `source`, of 128 bits.
  @inlinable package mutating func pandn(_ destination: XMM, _ source: XMM) {
    encode(.two(0xDF, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `pandn` with an operand from memory.
  @inlinable package mutating func pandn(_ destination: XMM, _ source: Address) {
    encode(.two(0xDF, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `por`: or, of 128 bits.
  @inlinable package mutating func por(_ destination: XMM, _ source: XMM) {
    encode(.two(0xEB, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `por` with an operand from memory.
  @inlinable package mutating func por(_ destination: XMM, _ source: Address) {
    encode(.two(0xEB, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `pxor`: exclusive or, of 128 bits.
  @inlinable package mutating func pxor(_ destination: XMM, _ source: XMM) {
    encode(.two(0xEF, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `pxor` with an operand from memory.
  @inlinable package mutating func pxor(_ destination: XMM, _ source: Address) {
    encode(.two(0xEF, prefix: 0x66), .w32, reg: destination.code, source)
  }

  // MARK: - Integers

  /// `pcmpeqd`: all ones in the 32-bit lanes that are equal.
  @inlinable package mutating func pcmpeqd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x76, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `pcmpeqd` with an operand from memory.
  @inlinable package mutating func pcmpeqd(_ destination: XMM, _ source: Address) {
    encode(.two(0x76, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `pcmpeqq`: all ones in the 64-bit lanes that are equal (SSE4.1).
  @inlinable package mutating func pcmpeqq(_ destination: XMM, _ source: XMM) {
    encode(.three38(0x29, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `pcmpeqq` with an operand from memory.
  @inlinable package mutating func pcmpeqq(_ destination: XMM, _ source: Address) {
    encode(.three38(0x29, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `paddq`: adds the 64-bit lanes.
  @inlinable package mutating func paddq(_ destination: XMM, _ source: XMM) {
    encode(.two(0xD4, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `paddq` with an operand from memory.
  @inlinable package mutating func paddq(_ destination: XMM, _ source: Address) {
    encode(.two(0xD4, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `psubq`: subtracts the 64-bit lanes.
  @inlinable package mutating func psubq(_ destination: XMM, _ source: XMM) {
    encode(.two(0xFB, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `psubq` with an operand from memory.
  @inlinable package mutating func psubq(_ destination: XMM, _ source: Address) {
    encode(.two(0xFB, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `psllq`: shifts the 64-bit lanes left.
  @inlinable package mutating func psllq(_ destination: XMM, by count: UInt8) {
    encode(.two(0x73, prefix: 0x66), .w32, reg: 6, rm: destination.code, imm8: count)
  }

  /// `psrlq`: shifts the 64-bit lanes right.
  @inlinable package mutating func psrlq(_ destination: XMM, by count: UInt8) {
    encode(.two(0x73, prefix: 0x66), .w32, reg: 2, rm: destination.code, imm8: count)
  }

  /// `pslld`: shifts the 32-bit lanes left.
  @inlinable package mutating func pslld(_ destination: XMM, by count: UInt8) {
    encode(.two(0x72, prefix: 0x66), .w32, reg: 6, rm: destination.code, imm8: count)
  }

  /// `psrld`: shifts the 32-bit lanes right.
  @inlinable package mutating func psrld(_ destination: XMM, by count: UInt8) {
    encode(.two(0x72, prefix: 0x66), .w32, reg: 2, rm: destination.code, imm8: count)
  }

  // MARK: - Lanes

  /// `pshufd`: the four 32-bit lanes of `source` that `order` names, two bits each.
  @inlinable package mutating func pshufd(_ destination: XMM, _ source: XMM, _ order: UInt8) {
    encode(.two(0x70, prefix: 0x66), .w32, reg: destination.code, rm: source.code, imm8: order)
  }

  /// `pshufd` with an operand from memory.
  @inlinable package mutating func pshufd(_ destination: XMM, _ source: Address, _ order: UInt8) {
    encode(.two(0x70, prefix: 0x66), .w32, reg: destination.code, source, imm8: order)
  }

  /// `shufps`: two lanes of the destination, then two of `source`, that `order` names.
  @inlinable package mutating func shufps(_ destination: XMM, _ source: XMM, _ order: UInt8) {
    encode(.two(0xC6), .w32, reg: destination.code, rm: source.code, imm8: order)
  }

  /// `shufps` with an operand from memory.
  @inlinable package mutating func shufps(_ destination: XMM, _ source: Address, _ order: UInt8) {
    encode(.two(0xC6), .w32, reg: destination.code, source, imm8: order)
  }

  /// `unpcklps`: interleaves the low singles.
  @inlinable package mutating func unpcklps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x14), .w32, reg: destination.code, rm: source.code)
  }

  /// `unpcklps` with an operand from memory.
  @inlinable package mutating func unpcklps(_ destination: XMM, _ source: Address) {
    encode(.two(0x14), .w32, reg: destination.code, source)
  }

  /// `unpcklpd`: interleaves the low doubles.
  @inlinable package mutating func unpcklpd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x14, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `unpcklpd` with an operand from memory.
  @inlinable package mutating func unpcklpd(_ destination: XMM, _ source: Address) {
    encode(.two(0x14, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `punpckldq`: interleaves the low 32-bit lanes.
  @inlinable package mutating func punpckldq(_ destination: XMM, _ source: XMM) {
    encode(.two(0x62, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `punpckldq` with an operand from memory.
  @inlinable package mutating func punpckldq(_ destination: XMM, _ source: Address) {
    encode(.two(0x62, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `punpcklqdq`: interleaves the low 64-bit lanes.
  @inlinable package mutating func punpcklqdq(_ destination: XMM, _ source: XMM) {
    encode(.two(0x6C, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `punpcklqdq` with an operand from memory.
  @inlinable package mutating func punpcklqdq(_ destination: XMM, _ source: Address) {
    encode(.two(0x6C, prefix: 0x66), .w32, reg: destination.code, source)
  }
}
