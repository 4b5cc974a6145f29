// Scalar comparison, conversion and rounding (Intel SDM volume 1, 11.4.1.4 and 11.4.1.6).
extension X86Assembler {
  // MARK: - Comparison

  /// `ucomisd`: compares doubles into the flags zero, parity (unordered) and carry (below).
  @inlinable package mutating func ucomisd(_ first: XMM, _ source: XMM) {
    encode(.two(0x2E, prefix: 0x66), .w32, reg: first.code, rm: source.code)
  }

  /// `ucomisd` with an operand from memory.
  @inlinable package mutating func ucomisd(_ first: XMM, _ source: Address) {
    encode(.two(0x2E, prefix: 0x66), .w32, reg: first.code, source)
  }

  /// `ucomiss`: compares singles into the flags zero, parity (unordered) and carry (below).
  @inlinable package mutating func ucomiss(_ first: XMM, _ source: XMM) {
    encode(.two(0x2E), .w32, reg: first.code, rm: source.code)
  }

  /// `ucomiss` with an operand from memory.
  @inlinable package mutating func ucomiss(_ first: XMM, _ source: Address) {
    encode(.two(0x2E), .w32, reg: first.code, source)
  }

  /// `comisd`: compares doubles like `ucomisd`; a quiet NaN is invalid too.
  @inlinable package mutating func comisd(_ first: XMM, _ source: XMM) {
    encode(.two(0x2F, prefix: 0x66), .w32, reg: first.code, rm: source.code)
  }

  /// `comisd` with an operand from memory.
  @inlinable package mutating func comisd(_ first: XMM, _ source: Address) {
    encode(.two(0x2F, prefix: 0x66), .w32, reg: first.code, source)
  }

  /// `comiss`: compares singles like `ucomiss`; a quiet NaN is invalid too.
  @inlinable package mutating func comiss(_ first: XMM, _ source: XMM) {
    encode(.two(0x2F), .w32, reg: first.code, rm: source.code)
  }

  /// `comiss` with an operand from memory.
  @inlinable package mutating func comiss(_ first: XMM, _ source: Address) {
    encode(.two(0x2F), .w32, reg: first.code, source)
  }

  /// `cmpsd`: all ones where the predicate holds, otherwise zeroes.
  @inlinable package mutating func cmpsd(_ destination: XMM, _ source: XMM, _ predicate: ComparePredicate) {
    encode(.two(0xC2, prefix: 0xF2), .w32, reg: destination.code, rm: source.code, imm8: predicate.rawValue)
  }

  /// `cmpsd` with an operand from memory.
  @inlinable package mutating func cmpsd(_ destination: XMM, _ source: Address, _ predicate: ComparePredicate)
  {
    encode(.two(0xC2, prefix: 0xF2), .w32, reg: destination.code, source, imm8: predicate.rawValue)
  }

  /// `cmpss`: all ones where the predicate holds, otherwise zeroes.
  @inlinable package mutating func cmpss(_ destination: XMM, _ source: XMM, _ predicate: ComparePredicate) {
    encode(.two(0xC2, prefix: 0xF3), .w32, reg: destination.code, rm: source.code, imm8: predicate.rawValue)
  }

  /// `cmpss` with an operand from memory.
  @inlinable package mutating func cmpss(_ destination: XMM, _ source: Address, _ predicate: ComparePredicate)
  {
    encode(.two(0xC2, prefix: 0xF3), .w32, reg: destination.code, source, imm8: predicate.rawValue)
  }

  // MARK: - Conversion

  /// `cvtsi2sd`: signed integer of 32 or 64 bits to double; keeps the rest of the destination.
  @inlinable package mutating func cvtsi2sd(_ width: Width, _ destination: XMM, _ source: Register) {
    encode(.two(0x2A, prefix: 0xF2), width, reg: destination.code, rm: source.code)
  }

  /// `cvtsi2sd` with an operand from memory.
  @inlinable package mutating func cvtsi2sd(_ width: Width, _ destination: XMM, _ source: Address) {
    encode(.two(0x2A, prefix: 0xF2), width, reg: destination.code, source)
  }

  /// `cvtsi2ss`: signed integer of 32 or 64 bits to single; keeps the rest of the destination.
  @inlinable package mutating func cvtsi2ss(_ width: Width, _ destination: XMM, _ source: Register) {
    encode(.two(0x2A, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `cvtsi2ss` with an operand from memory.
  @inlinable package mutating func cvtsi2ss(_ width: Width, _ destination: XMM, _ source: Address) {
    encode(.two(0x2A, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `cvttsd2si`: double to signed integer of 32 or 64 bits, truncated.
  @inlinable package mutating func cvttsd2si(_ width: Width, _ destination: Register, _ source: XMM) {
    encode(.two(0x2C, prefix: 0xF2), width, reg: destination.code, rm: source.code)
  }

  /// `cvttsd2si` with an operand from memory.
  @inlinable package mutating func cvttsd2si(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0x2C, prefix: 0xF2), width, reg: destination.code, source)
  }

  /// `cvtsd2si`: double to signed integer of 32 or 64 bits, rounded as MXCSR says.
  @inlinable package mutating func cvtsd2si(_ width: Width, _ destination: Register, _ source: XMM) {
    encode(.two(0x2D, prefix: 0xF2), width, reg: destination.code, rm: source.code)
  }

  /// `cvtsd2si` with an operand from memory.
  @inlinable package mutating func cvtsd2si(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0x2D, prefix: 0xF2), width, reg: destination.code, source)
  }

  /// `cvttss2si`: single to signed integer of 32 or 64 bits, truncated.
  @inlinable package mutating func cvttss2si(_ width: Width, _ destination: Register, _ source: XMM) {
    encode(.two(0x2C, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `cvttss2si` with an operand from memory.
  @inlinable package mutating func cvttss2si(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0x2C, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `cvtss2si`: single to signed integer of 32 or 64 bits, rounded as MXCSR says.
  @inlinable package mutating func cvtss2si(_ width: Width, _ destination: Register, _ source: XMM) {
    encode(.two(0x2D, prefix: 0xF3), width, reg: destination.code, rm: source.code)
  }

  /// `cvtss2si` with an operand from memory.
  @inlinable package mutating func cvtss2si(_ width: Width, _ destination: Register, _ source: Address) {
    encode(.two(0x2D, prefix: 0xF3), width, reg: destination.code, source)
  }

  /// `cvtss2sd`: single to double; keeps the rest of the destination.
  @inlinable package mutating func cvtss2sd(_ destination: XMM, _ source: XMM) {
    encode(.two(0x5A, prefix: 0xF3), .w32, reg: destination.code, rm: source.code)
  }

  /// `cvtss2sd` with an operand from memory.
  @inlinable package mutating func cvtss2sd(_ destination: XMM, _ source: Address) {
    encode(.two(0x5A, prefix: 0xF3), .w32, reg: destination.code, source)
  }

  /// `cvtsd2ss`: double to single; keeps the rest of the destination.
  @inlinable package mutating func cvtsd2ss(_ destination: XMM, _ source: XMM) {
    encode(.two(0x5A, prefix: 0xF2), .w32, reg: destination.code, rm: source.code)
  }

  /// `cvtsd2ss` with an operand from memory.
  @inlinable package mutating func cvtsd2ss(_ destination: XMM, _ source: Address) {
    encode(.two(0x5A, prefix: 0xF2), .w32, reg: destination.code, source)
  }

  // MARK: - Rounding (SSE4.1)

  /// `roundsd`: double to an integral double; `suppressInexact` leaves the inexact flag alone.
  @inlinable package mutating func roundsd(
    _ destination: XMM, _ source: XMM, _ mode: RoundingMode, suppressInexact: Bool = false
  ) {
    let control = mode.rawValue | (suppressInexact ? 8 : 0)
    encode(.three3A(0x0B, prefix: 0x66), .w32, reg: destination.code, rm: source.code, imm8: control)
  }

  /// `roundsd` with an operand from memory.
  @inlinable package mutating func roundsd(
    _ destination: XMM, _ source: Address, _ mode: RoundingMode, suppressInexact: Bool = false
  ) {
    let control = mode.rawValue | (suppressInexact ? 8 : 0)
    encode(.three3A(0x0B, prefix: 0x66), .w32, reg: destination.code, source, imm8: control)
  }

  /// `roundss`: single to an integral single; `suppressInexact` leaves the inexact flag alone.
  @inlinable package mutating func roundss(
    _ destination: XMM, _ source: XMM, _ mode: RoundingMode, suppressInexact: Bool = false
  ) {
    let control = mode.rawValue | (suppressInexact ? 8 : 0)
    encode(.three3A(0x0A, prefix: 0x66), .w32, reg: destination.code, rm: source.code, imm8: control)
  }

  /// `roundss` with an operand from memory.
  @inlinable package mutating func roundss(
    _ destination: XMM, _ source: Address, _ mode: RoundingMode, suppressInexact: Bool = false
  ) {
    let control = mode.rawValue | (suppressInexact ? 8 : 0)
    encode(.three3A(0x0A, prefix: 0x66), .w32, reg: destination.code, source, imm8: control)
  }
}
