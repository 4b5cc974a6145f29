// Scalar arithmetic with three operands (Intel SDM volume 1, 14.3; CPUID leaf 1, AVX).
extension X86Assembler {
  /// `vaddsd` and its like: the result of two registers in a third, whose other bits below 128 are those of
  /// `first`.
  @inlinable package mutating func scalar(
    _ operation: ScalarOperation, _ precision: Precision, _ destination: XMM, _ first: XMM, _ second: XMM
  ) {
    let opcode = X86Assembler.scalarOpcode(operation, precision)
    if second.code < 8 {
      encodeShort(opcode, reg: destination.code, vvvv: first.code, rm: second.code)
    } else {
      encode(opcode, wide: false, reg: destination.code, vvvv: first.code, rm: second.code)
    }
  }

  /// `vaddsd` and its like with the second operand from memory.
  @inlinable package mutating func scalar(
    _ operation: ScalarOperation, _ precision: Precision, _ destination: XMM, _ first: XMM, _ second: Address
  ) {
    let opcode = X86Assembler.scalarOpcode(operation, precision)
    if (second.baseCode | second.indexCode) < 8 {
      next.store(UInt32(truncatingIfNeeded: shortHead(opcode, reg: destination.code, vvvv: first.code)))
      advance(to: writeOperand(second, reg: destination.code, at: next + 3, trailing: 0))
    } else {
      encode(opcode, wide: false, reg: destination.code, vvvv: first.code, second)
    }
  }

  @inlinable @inline(__always)
  static func scalarOpcode(_ operation: ScalarOperation, _ precision: Precision) -> VEXOpcode {
    VEXOpcode(map: 1, pp: precision == .double ? 3 : 2, operation.opcode)
  }

  /// The three bytes of the short VEX prefix with its opcode, for map 1 without the bits X, B and W.
  @inlinable @inline(__always)
  func shortHead(_ opcode: VEXOpcode, reg: UInt8, vvvv: UInt8) -> UInt64 {
    let second = ((reg &>> 3) ^ 1) &<< 7 | (vvvv ^ 15) &<< 3 | opcode.pp
    return 0xC5 | UInt64(second) &<< 8 | UInt64(opcode.byte) &<< 16
  }

  /// An instruction with the short VEX prefix and register operands.
  @inlinable @inline(__always)
  mutating func encodeShort(_ opcode: VEXOpcode, reg: UInt8, vvvv: UInt8, rm: UInt8) {
    let modRM = 0xC0 | (reg & 7) &<< 3 | rm & 7
    emit(shortHead(opcode, reg: reg, vvvv: vvvv) | UInt64(modRM) &<< 24, count: 4)
  }
}
