// Addition, subtraction, comparison and logic (Intel SDM volume 1, 7.3.3 and 7.3.5).
extension X86Assembler {
  // MARK: - Two operands, by operation

  /// An operation between registers.
  @inlinable @inline(__always)
  package mutating func arithmetic(
    _ operation: Arithmetic, _ width: Width, _ destination: Register, _ source: Register
  ) {
    encode(
      .one(operation.code &<< 3, width), width, reg: source.code, rm: destination.code,
      forced: needsREX(width, destination, source))
  }

  /// An operation on a register, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func arithmetic(
    _ operation: Arithmetic, _ width: Width, _ destination: Register, _ source: Address
  ) {
    encode(
      .one(operation.code &<< 3 | 2, width), width, reg: destination.code, source,
      forced: needsREX(width, destination))
  }

  /// An operation on memory.
  @inlinable @inline(__always)
  package mutating func arithmetic(
    _ operation: Arithmetic, _ width: Width, _ destination: Address, _ source: Register
  ) {
    encode(
      .one(operation.code &<< 3, width), width, reg: source.code, destination,
      forced: needsREX(width, source))
  }

  /// An operation on a register with a constant, sign-extended for 64 bits, its low bits for 8 and
  /// 16.
  @inlinable package mutating func arithmetic(
    _ operation: Arithmetic, _ width: Width, _ destination: Register, _ value: Int32
  ) {
    let code = destination.code
    let forced = needsREX(width, destination)
    if X86Assembler.fitsByte(value, width) && !(width == .w8 && code == 0) {
      encode(
        .one(width == .w8 ? 0x80 : 0x83), width, reg: operation.code, rm: code, forced: forced,
        imm8: UInt8(truncatingIfNeeded: value))
    } else if code == 0 {
      encodeAccumulator(.one(operation.code &<< 3 | 4, width), width, value)
    } else {
      encode(.one(0x81), width, reg: operation.code, rm: code, forced: forced, imm: value)
    }
  }

  /// An operation on memory with a constant, sign-extended for 64 bits, its low bits for 8 and 16.
  @inlinable package mutating func arithmetic(
    _ operation: Arithmetic, _ width: Width, _ destination: Address, _ value: Int32
  ) {
    if X86Assembler.fitsByte(value, width) {
      encode(
        .one(width == .w8 ? 0x80 : 0x83), width, reg: operation.code, destination,
        imm8: UInt8(truncatingIfNeeded: value))
    } else {
      encode(.one(0x81), width, reg: operation.code, destination, imm: value)
    }
  }

  /// Whether an immediate can be a sign-extended byte.
  @inlinable @inline(__always)
  static func fitsByte(_ value: Int32, _ width: Width) -> Bool {
    switch width {
    case .w8: true
    case .w16: Int16(truncatingIfNeeded: value) == Int16(Int8(truncatingIfNeeded: value))
    case .w32, .w64: value == Int32(Int8(truncatingIfNeeded: value))
    }
  }

  /// The form of an instruction with an immediate that implies `al`, `ax`, `eax` or `rax`.
  @inlinable @inline(__always)
  mutating func encodeAccumulator(_ opcode: Opcode, _ width: Width, _ value: Int32) {
    let (word, count) = head(opcode, width, rex: 0, forced: false)
    let imm = UInt64(UInt32(bitPattern: value))
    emit(word | imm &<< UInt64(truncatingIfNeeded: count &* 8), count: count &+ width.immediateBytes)
  }

  // MARK: - Two operands, by mnemonic

  /// `add`, between registers.
  @inlinable @inline(__always)
  package mutating func add(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.add, width, destination, source)
  }

  /// `add`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func add(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.add, width, destination, source)
  }

  /// `add`, on memory.
  @inlinable @inline(__always)
  package mutating func add(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.add, width, destination, source)
  }

  /// `add`, with a constant.
  @inlinable @inline(__always)
  package mutating func add(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.add, width, destination, value)
  }

  /// `add`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func add(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.add, width, destination, value)
  }

  /// `or`, between registers.
  @inlinable @inline(__always)
  package mutating func or(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.or, width, destination, source)
  }

  /// `or`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func or(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.or, width, destination, source)
  }

  /// `or`, on memory.
  @inlinable @inline(__always)
  package mutating func or(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.or, width, destination, source)
  }

  /// `or`, with a constant.
  @inlinable @inline(__always)
  package mutating func or(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.or, width, destination, value)
  }

  /// `or`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func or(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.or, width, destination, value)
  }

  /// `adc`, between registers.
  @inlinable @inline(__always)
  package mutating func adc(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.adc, width, destination, source)
  }

  /// `adc`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func adc(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.adc, width, destination, source)
  }

  /// `adc`, on memory.
  @inlinable @inline(__always)
  package mutating func adc(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.adc, width, destination, source)
  }

  /// `adc`, with a constant.
  @inlinable @inline(__always)
  package mutating func adc(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.adc, width, destination, value)
  }

  /// `adc`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func adc(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.adc, width, destination, value)
  }

  /// `sbb`, between registers.
  @inlinable @inline(__always)
  package mutating func sbb(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.sbb, width, destination, source)
  }

  /// `sbb`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func sbb(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.sbb, width, destination, source)
  }

  /// `sbb`, on memory.
  @inlinable @inline(__always)
  package mutating func sbb(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.sbb, width, destination, source)
  }

  /// `sbb`, with a constant.
  @inlinable @inline(__always)
  package mutating func sbb(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.sbb, width, destination, value)
  }

  /// `sbb`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func sbb(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.sbb, width, destination, value)
  }

  /// `and`, between registers.
  @inlinable @inline(__always)
  package mutating func and(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.and, width, destination, source)
  }

  /// `and`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func and(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.and, width, destination, source)
  }

  /// `and`, on memory.
  @inlinable @inline(__always)
  package mutating func and(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.and, width, destination, source)
  }

  /// `and`, with a constant.
  @inlinable @inline(__always)
  package mutating func and(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.and, width, destination, value)
  }

  /// `and`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func and(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.and, width, destination, value)
  }

  /// `sub`, between registers.
  @inlinable @inline(__always)
  package mutating func sub(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.sub, width, destination, source)
  }

  /// `sub`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func sub(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.sub, width, destination, source)
  }

  /// `sub`, on memory.
  @inlinable @inline(__always)
  package mutating func sub(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.sub, width, destination, source)
  }

  /// `sub`, with a constant.
  @inlinable @inline(__always)
  package mutating func sub(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.sub, width, destination, value)
  }

  /// `sub`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func sub(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.sub, width, destination, value)
  }

  /// `xor`, between registers.
  @inlinable @inline(__always)
  package mutating func xor(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.xor, width, destination, source)
  }

  /// `xor`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func xor(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.xor, width, destination, source)
  }

  /// `xor`, on memory.
  @inlinable @inline(__always)
  package mutating func xor(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.xor, width, destination, source)
  }

  /// `xor`, with a constant.
  @inlinable @inline(__always)
  package mutating func xor(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.xor, width, destination, value)
  }

  /// `xor`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func xor(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.xor, width, destination, value)
  }

  /// `cmp`, between registers.
  @inlinable @inline(__always)
  package mutating func cmp(_ width: Width, _ destination: Register, _ source: Register) {
    arithmetic(.cmp, width, destination, source)
  }

  /// `cmp`, with an operand from memory.
  @inlinable @inline(__always)
  package mutating func cmp(_ width: Width, _ destination: Register, _ source: Address) {
    arithmetic(.cmp, width, destination, source)
  }

  /// `cmp`, on memory.
  @inlinable @inline(__always)
  package mutating func cmp(_ width: Width, _ destination: Address, _ source: Register) {
    arithmetic(.cmp, width, destination, source)
  }

  /// `cmp`, with a constant.
  @inlinable @inline(__always)
  package mutating func cmp(_ width: Width, _ destination: Register, _ value: Int32) {
    arithmetic(.cmp, width, destination, value)
  }

  /// `cmp`, on memory, with a constant.
  @inlinable @inline(__always)
  package mutating func cmp(_ width: Width, _ destination: Address, _ value: Int32) {
    arithmetic(.cmp, width, destination, value)
  }
}
