// Moves of SSE registers (Intel SDM volume 1, 10.4.1 and 11.4.1).
extension X86Assembler {
  // MARK: - Scalars

  /// `movsd`: copies the low double, and keeps the rest of the destination.
  @inlinable @inline(__always)
  package mutating func movsd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x10, prefix: 0xF2), .w32, reg: destination.code, rm: source.code)
  }

  /// `movsd`: loads a double, and clears the rest of the destination.
  @inlinable @inline(__always)
  package mutating func movsd(_ destination: XMM, _ source: Address) {
    encode(.two(0x10, prefix: 0xF2), .w32, reg: destination.code, source)
  }

  /// `movsd`: stores a double.
  @inlinable @inline(__always)
  package mutating func movsd(_ destination: Address, _ source: XMM) {
    encode(.two(0x11, prefix: 0xF2), .w32, reg: source.code, destination)
  }

  /// `movss`: copies the low single, and keeps the rest of the destination.
  @inlinable @inline(__always)
  package mutating func movss(_ destination: XMM, _ source: XMM) {
    encode(.two(0x10, prefix: 0xF3), .w32, reg: destination.code, rm: source.code)
  }

  /// `movss`: loads a single, and clears the rest of the destination.
  @inlinable @inline(__always)
  package mutating func movss(_ destination: XMM, _ source: Address) {
    encode(.two(0x10, prefix: 0xF3), .w32, reg: destination.code, source)
  }

  /// `movss`: stores a single.
  @inlinable @inline(__always)
  package mutating func movss(_ destination: Address, _ source: XMM) {
    encode(.two(0x11, prefix: 0xF3), .w32, reg: source.code, destination)
  }

  // MARK: - Whole registers

  /// `movaps`: copies a whole register.
  @inlinable package mutating func movaps(_ destination: XMM, _ source: XMM) {
    encode(.two(0x28), .w32, reg: destination.code, rm: source.code)
  }

  /// `movaps`: loads 16 aligned bytes.
  @inlinable package mutating func movaps(_ destination: XMM, _ source: Address) {
    encode(.two(0x28), .w32, reg: destination.code, source)
  }

  /// `movaps`: stores 16 aligned bytes.
  @inlinable package mutating func movaps(_ destination: Address, _ source: XMM) {
    encode(.two(0x29), .w32, reg: source.code, destination)
  }

  /// `movapd`: copies a whole register.
  @inlinable package mutating func movapd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x28, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `movapd`: loads 16 aligned bytes.
  @inlinable package mutating func movapd(_ destination: XMM, _ source: Address) {
    encode(.two(0x28, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `movapd`: stores 16 aligned bytes.
  @inlinable package mutating func movapd(_ destination: Address, _ source: XMM) {
    encode(.two(0x29, prefix: 0x66), .w32, reg: source.code, destination)
  }

  /// `movups`: copies a whole register.
  @inlinable package mutating func movups(_ destination: XMM, _ source: XMM) {
    encode(.two(0x10), .w32, reg: destination.code, rm: source.code)
  }

  /// `movups`: loads 16 bytes.
  @inlinable package mutating func movups(_ destination: XMM, _ source: Address) {
    encode(.two(0x10), .w32, reg: destination.code, source)
  }

  /// `movups`: stores 16 bytes.
  @inlinable package mutating func movups(_ destination: Address, _ source: XMM) {
    encode(.two(0x11), .w32, reg: source.code, destination)
  }

  /// `movupd`: copies a whole register.
  @inlinable package mutating func movupd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x10, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `movupd`: loads 16 bytes.
  @inlinable package mutating func movupd(_ destination: XMM, _ source: Address) {
    encode(.two(0x10, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `movupd`: stores 16 bytes.
  @inlinable package mutating func movupd(_ destination: Address, _ source: XMM) {
    encode(.two(0x11, prefix: 0x66), .w32, reg: source.code, destination)
  }

  /// `movdqa`: copies a whole register.
  @inlinable package mutating func movdqa(_ destination: XMM, _ source: XMM) {
    encode(.two(0x6F, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `movdqa`: loads 16 aligned bytes.
  @inlinable package mutating func movdqa(_ destination: XMM, _ source: Address) {
    encode(.two(0x6F, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `movdqa`: stores 16 aligned bytes.
  @inlinable package mutating func movdqa(_ destination: Address, _ source: XMM) {
    encode(.two(0x7F, prefix: 0x66), .w32, reg: source.code, destination)
  }

  /// `movdqu`: copies a whole register.
  @inlinable package mutating func movdqu(_ destination: XMM, _ source: XMM) {
    encode(.two(0x6F, prefix: 0xF3), .w32, reg: destination.code, rm: source.code)
  }

  /// `movdqu`: loads 16 bytes.
  @inlinable package mutating func movdqu(_ destination: XMM, _ source: Address) {
    encode(.two(0x6F, prefix: 0xF3), .w32, reg: destination.code, source)
  }

  /// `movdqu`: stores 16 bytes.
  @inlinable package mutating func movdqu(_ destination: Address, _ source: XMM) {
    encode(.two(0x7F, prefix: 0xF3), .w32, reg: source.code, destination)
  }

  // MARK: - Between general and SSE registers

  /// `movq`: 64 bits from a general register; clears the upper half.
  @inlinable @inline(__always)
  package mutating func movq(_ destination: XMM, _ source: Register) {
    encode(.two(0x6E, prefix: 0x66), .w64, reg: destination.code, rm: source.code)
  }

  /// `movq`: 64 bits to a general register.
  @inlinable @inline(__always)
  package mutating func movq(_ destination: Register, _ source: XMM) {
    encode(.two(0x7E, prefix: 0x66), .w64, reg: source.code, rm: destination.code)
  }

  /// `movq`: the low 64 bits of a register; clears the upper half.
  @inlinable @inline(__always)
  package mutating func movq(_ destination: XMM, _ source: XMM) {
    encode(.two(0x7E, prefix: 0xF3), .w32, reg: destination.code, rm: source.code)
  }

  /// `movq`: loads 64 bits; clears the upper half.
  @inlinable @inline(__always)
  package mutating func movq(_ destination: XMM, _ source: Address) {
    encode(.two(0x7E, prefix: 0xF3), .w32, reg: destination.code, source)
  }

  /// `movq`: stores the low 64 bits.
  @inlinable @inline(__always)
  package mutating func movq(_ destination: Address, _ source: XMM) {
    encode(.two(0xD6, prefix: 0x66), .w32, reg: source.code, destination)
  }

  /// `movd`: 32 bits from a general register; clears the rest.
  @inlinable @inline(__always)
  package mutating func movd(_ destination: XMM, _ source: Register) {
    encode(.two(0x6E, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }

  /// `movd`: 32 bits to a general register; clears its upper half.
  @inlinable @inline(__always)
  package mutating func movd(_ destination: Register, _ source: XMM) {
    encode(.two(0x7E, prefix: 0x66), .w32, reg: source.code, rm: destination.code)
  }

  /// `movd`: loads 32 bits; clears the rest.
  @inlinable @inline(__always)
  package mutating func movd(_ destination: XMM, _ source: Address) {
    encode(.two(0x6E, prefix: 0x66), .w32, reg: destination.code, source)
  }

  /// `movd`: stores the low 32 bits.
  @inlinable @inline(__always)
  package mutating func movd(_ destination: Address, _ source: XMM) {
    encode(.two(0x7E, prefix: 0x66), .w32, reg: source.code, destination)
  }

  /// `pinsrd`: 32 bits from a general register into lane 0 to 3 (SSE4.1).
  @inlinable package mutating func pinsrd(_ destination: XMM, _ source: Register, _ lane: UInt8) {
    encode(.three3A(0x22, prefix: 0x66), .w32, reg: destination.code, rm: source.code, imm8: lane)
  }

  /// `pinsrq`: 64 bits from a general register into lane 0 or 1 (SSE4.1).
  @inlinable package mutating func pinsrq(_ destination: XMM, _ source: Register, _ lane: UInt8) {
    encode(.three3A(0x22, prefix: 0x66), .w64, reg: destination.code, rm: source.code, imm8: lane)
  }

  /// `pextrd`: lane 0 to 3 to a general register (SSE4.1).
  @inlinable package mutating func pextrd(_ destination: Register, _ source: XMM, _ lane: UInt8) {
    encode(.three3A(0x16, prefix: 0x66), .w32, reg: source.code, rm: destination.code, imm8: lane)
  }

  /// `pextrq`: lane 0 or 1 to a general register (SSE4.1).
  @inlinable package mutating func pextrq(_ destination: Register, _ source: XMM, _ lane: UInt8) {
    encode(.three3A(0x16, prefix: 0x66), .w64, reg: source.code, rm: destination.code, imm8: lane)
  }

  /// `movmskps`: the signs of the four singles to the low bits of a general register.
  @inlinable package mutating func movmskps(_ destination: Register, _ source: XMM) {
    encode(.two(0x50), .w32, reg: destination.code, rm: source.code)
  }

  /// `movmskpd`: the signs of the two doubles to the low bits of a general register.
  @inlinable package mutating func movmskpd(_ destination: Register, _ source: XMM) {
    encode(.two(0x50, prefix: 0x66), .w32, reg: destination.code, rm: source.code)
  }
}
