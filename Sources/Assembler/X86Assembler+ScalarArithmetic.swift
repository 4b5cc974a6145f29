// Scalar floating-point arithmetic (Intel SDM volume 1, 10.4.1.2 and 11.4.1.2).
extension X86Assembler {
  // MARK: - By operation

  /// Scalar arithmetic on a register; the rest of the destination is kept.
  @inlinable @inline(__always)
  package mutating func scalar(
    _ operation: ScalarOperation, _ precision: Precision, _ destination: XMM, _ source: XMM
  ) {
    let opcode = Opcode.two(operation.opcode, prefix: precision.scalarPrefix)
    encode(opcode, .w32, reg: destination.code, rm: source.code)
  }

  /// Scalar arithmetic on a register with an operand from memory.
  @inlinable @inline(__always)
  package mutating func scalar(
    _ operation: ScalarOperation, _ precision: Precision, _ destination: XMM, _ source: Address
  ) {
    let opcode = Opcode.two(operation.opcode, prefix: precision.scalarPrefix)
    encode(opcode, .w32, reg: destination.code, source)
  }

  // MARK: - By mnemonic

  /// `addsd`: adds.
  @inlinable @inline(__always)
  package mutating func addsd(_ destination: XMM, _ source: XMM) {
    scalar(.add, .double, destination, source)
  }

  /// `addsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func addsd(_ destination: XMM, _ source: Address) {
    scalar(.add, .double, destination, source)
  }

  /// `addss`: adds.
  @inlinable @inline(__always)
  package mutating func addss(_ destination: XMM, _ source: XMM) {
    scalar(.add, .single, destination, source)
  }

  /// `addss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func addss(_ destination: XMM, _ source: Address) {
    scalar(.add, .single, destination, source)
  }

  /// `subsd`: subtracts.
  @inlinable @inline(__always)
  package mutating func subsd(_ destination: XMM, _ source: XMM) {
    scalar(.sub, .double, destination, source)
  }

  /// `subsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func subsd(_ destination: XMM, _ source: Address) {
    scalar(.sub, .double, destination, source)
  }

  /// `subss`: subtracts.
  @inlinable @inline(__always)
  package mutating func subss(_ destination: XMM, _ source: XMM) {
    scalar(.sub, .single, destination, source)
  }

  /// `subss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func subss(_ destination: XMM, _ source: Address) {
    scalar(.sub, .single, destination, source)
  }

  /// `mulsd`: multiplies.
  @inlinable @inline(__always)
  package mutating func mulsd(_ destination: XMM, _ source: XMM) {
    scalar(.mul, .double, destination, source)
  }

  /// `mulsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func mulsd(_ destination: XMM, _ source: Address) {
    scalar(.mul, .double, destination, source)
  }

  /// `mulss`: multiplies.
  @inlinable @inline(__always)
  package mutating func mulss(_ destination: XMM, _ source: XMM) {
    scalar(.mul, .single, destination, source)
  }

  /// `mulss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func mulss(_ destination: XMM, _ source: Address) {
    scalar(.mul, .single, destination, source)
  }

  /// `divsd`: divides.
  @inlinable @inline(__always)
  package mutating func divsd(_ destination: XMM, _ source: XMM) {
    scalar(.div, .double, destination, source)
  }

  /// `divsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func divsd(_ destination: XMM, _ source: Address) {
    scalar(.div, .double, destination, source)
  }

  /// `divss`: divides.
  @inlinable @inline(__always)
  package mutating func divss(_ destination: XMM, _ source: XMM) {
    scalar(.div, .single, destination, source)
  }

  /// `divss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func divss(_ destination: XMM, _ source: Address) {
    scalar(.div, .single, destination, source)
  }

  /// `sqrtsd`: square root of `source`.
  @inlinable @inline(__always)
  package mutating func sqrtsd(_ destination: XMM, _ source: XMM) {
    scalar(.sqrt, .double, destination, source)
  }

  /// `sqrtsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func sqrtsd(_ destination: XMM, _ source: Address) {
    scalar(.sqrt, .double, destination, source)
  }

  /// `sqrtss`: square root of `source`.
  @inlinable @inline(__always)
  package mutating func sqrtss(_ destination: XMM, _ source: XMM) {
    scalar(.sqrt, .single, destination, source)
  }

  /// `sqrtss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func sqrtss(_ destination: XMM, _ source: Address) {
    scalar(.sqrt, .single, destination, source)
  }

  /// `minsd`: the lesser; `source` if either is a NaN or both are zero.
  @inlinable @inline(__always)
  package mutating func minsd(_ destination: XMM, _ source: XMM) {
    scalar(.min, .double, destination, source)
  }

  /// `minsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func minsd(_ destination: XMM, _ source: Address) {
    scalar(.min, .double, destination, source)
  }

  /// `minss`: the lesser; `source` if either is a NaN or both are zero.
  @inlinable @inline(__always)
  package mutating func minss(_ destination: XMM, _ source: XMM) {
    scalar(.min, .single, destination, source)
  }

  /// `minss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func minss(_ destination: XMM, _ source: Address) {
    scalar(.min, .single, destination, source)
  }

  /// `maxsd`: the greater; `source` if either is a NaN or both are zero.
  @inlinable @inline(__always)
  package mutating func maxsd(_ destination: XMM, _ source: XMM) {
    scalar(.max, .double, destination, source)
  }

  /// `maxsd` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func maxsd(_ destination: XMM, _ source: Address) {
    scalar(.max, .double, destination, source)
  }

  /// `maxss`: the greater; `source` if either is a NaN or both are zero.
  @inlinable @inline(__always)
  package mutating func maxss(_ destination: XMM, _ source: XMM) {
    scalar(.max, .single, destination, source)
  }

  /// `maxss` with an operand from memory.
  @inlinable @inline(__always)
  package mutating func maxss(_ destination: XMM, _ source: Address) {
    scalar(.max, .single, destination, source)
  }
}
