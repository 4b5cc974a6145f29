// Scalar fused multiply-add (Intel SDM volume 1, 14.5; CPUID leaf 1, FMA).
extension X86Assembler {
  // MARK: - By operation

  /// A scalar fused multiply-add between registers; clears the destination above 128 bits.
  @inlinable package mutating func fma(
    _ operation: FusedOperation, _ form: FusedForm, _ precision: Precision, _ first: XMM,
    _ second: XMM, _ third: XMM
  ) {
    encode(
      X86Assembler.fusedOpcode(operation, form), wide: precision == .double, reg: first.code,
      vvvv: second.code, rm: third.code)
  }

  /// A scalar fused multiply-add whose third operand is in memory.
  @inlinable package mutating func fma(
    _ operation: FusedOperation, _ form: FusedForm, _ precision: Precision, _ first: XMM,
    _ second: XMM, _ third: Address
  ) {
    encode(
      X86Assembler.fusedOpcode(operation, form), wide: precision == .double, reg: first.code,
      vvvv: second.code, third)
  }

  @inlinable @inline(__always)
  static func fusedOpcode(_ operation: FusedOperation, _ form: FusedForm) -> VEXOpcode {
    VEXOpcode(map: 2, pp: 1, 0x99 &+ form.code &<< 4 | operation.code &<< 1)
  }

  // MARK: - By mnemonic

  /// `vfmadd132sd`.
  @inlinable package mutating func vfmadd132sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f132, .double, first, second, third)
  }

  /// `vfmadd132sd` with its third operand from memory.
  @inlinable package mutating func vfmadd132sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f132, .double, first, second, third)
  }

  /// `vfmadd132ss`.
  @inlinable package mutating func vfmadd132ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f132, .single, first, second, third)
  }

  /// `vfmadd132ss` with its third operand from memory.
  @inlinable package mutating func vfmadd132ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f132, .single, first, second, third)
  }

  /// `vfmadd213sd`.
  @inlinable package mutating func vfmadd213sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f213, .double, first, second, third)
  }

  /// `vfmadd213sd` with its third operand from memory.
  @inlinable package mutating func vfmadd213sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f213, .double, first, second, third)
  }

  /// `vfmadd213ss`.
  @inlinable package mutating func vfmadd213ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f213, .single, first, second, third)
  }

  /// `vfmadd213ss` with its third operand from memory.
  @inlinable package mutating func vfmadd213ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f213, .single, first, second, third)
  }

  /// `vfmadd231sd`.
  @inlinable package mutating func vfmadd231sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f231, .double, first, second, third)
  }

  /// `vfmadd231sd` with its third operand from memory.
  @inlinable package mutating func vfmadd231sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f231, .double, first, second, third)
  }

  /// `vfmadd231ss`.
  @inlinable package mutating func vfmadd231ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.madd, .f231, .single, first, second, third)
  }

  /// `vfmadd231ss` with its third operand from memory.
  @inlinable package mutating func vfmadd231ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.madd, .f231, .single, first, second, third)
  }

  /// `vfmsub132sd`.
  @inlinable package mutating func vfmsub132sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f132, .double, first, second, third)
  }

  /// `vfmsub132sd` with its third operand from memory.
  @inlinable package mutating func vfmsub132sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f132, .double, first, second, third)
  }

  /// `vfmsub132ss`.
  @inlinable package mutating func vfmsub132ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f132, .single, first, second, third)
  }

  /// `vfmsub132ss` with its third operand from memory.
  @inlinable package mutating func vfmsub132ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f132, .single, first, second, third)
  }

  /// `vfmsub213sd`.
  @inlinable package mutating func vfmsub213sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f213, .double, first, second, third)
  }

  /// `vfmsub213sd` with its third operand from memory.
  @inlinable package mutating func vfmsub213sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f213, .double, first, second, third)
  }

  /// `vfmsub213ss`.
  @inlinable package mutating func vfmsub213ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f213, .single, first, second, third)
  }

  /// `vfmsub213ss` with its third operand from memory.
  @inlinable package mutating func vfmsub213ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f213, .single, first, second, third)
  }

  /// `vfmsub231sd`.
  @inlinable package mutating func vfmsub231sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f231, .double, first, second, third)
  }

  /// `vfmsub231sd` with its third operand from memory.
  @inlinable package mutating func vfmsub231sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f231, .double, first, second, third)
  }

  /// `vfmsub231ss`.
  @inlinable package mutating func vfmsub231ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.msub, .f231, .single, first, second, third)
  }

  /// `vfmsub231ss` with its third operand from memory.
  @inlinable package mutating func vfmsub231ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.msub, .f231, .single, first, second, third)
  }

  /// `vfnmadd132sd`.
  @inlinable package mutating func vfnmadd132sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f132, .double, first, second, third)
  }

  /// `vfnmadd132sd` with its third operand from memory.
  @inlinable package mutating func vfnmadd132sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f132, .double, first, second, third)
  }

  /// `vfnmadd132ss`.
  @inlinable package mutating func vfnmadd132ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f132, .single, first, second, third)
  }

  /// `vfnmadd132ss` with its third operand from memory.
  @inlinable package mutating func vfnmadd132ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f132, .single, first, second, third)
  }

  /// `vfnmadd213sd`.
  @inlinable package mutating func vfnmadd213sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f213, .double, first, second, third)
  }

  /// `vfnmadd213sd` with its third operand from memory.
  @inlinable package mutating func vfnmadd213sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f213, .double, first, second, third)
  }

  /// `vfnmadd213ss`.
  @inlinable package mutating func vfnmadd213ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f213, .single, first, second, third)
  }

  /// `vfnmadd213ss` with its third operand from memory.
  @inlinable package mutating func vfnmadd213ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f213, .single, first, second, third)
  }

  /// `vfnmadd231sd`.
  @inlinable package mutating func vfnmadd231sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f231, .double, first, second, third)
  }

  /// `vfnmadd231sd` with its third operand from memory.
  @inlinable package mutating func vfnmadd231sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f231, .double, first, second, third)
  }

  /// `vfnmadd231ss`.
  @inlinable package mutating func vfnmadd231ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmadd, .f231, .single, first, second, third)
  }

  /// `vfnmadd231ss` with its third operand from memory.
  @inlinable package mutating func vfnmadd231ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmadd, .f231, .single, first, second, third)
  }

  /// `vfnmsub132sd`.
  @inlinable package mutating func vfnmsub132sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f132, .double, first, second, third)
  }

  /// `vfnmsub132sd` with its third operand from memory.
  @inlinable package mutating func vfnmsub132sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f132, .double, first, second, third)
  }

  /// `vfnmsub132ss`.
  @inlinable package mutating func vfnmsub132ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f132, .single, first, second, third)
  }

  /// `vfnmsub132ss` with its third operand from memory.
  @inlinable package mutating func vfnmsub132ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f132, .single, first, second, third)
  }

  /// `vfnmsub213sd`.
  @inlinable package mutating func vfnmsub213sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f213, .double, first, second, third)
  }

  /// `vfnmsub213sd` with its third operand from memory.
  @inlinable package mutating func vfnmsub213sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f213, .double, first, second, third)
  }

  /// `vfnmsub213ss`.
  @inlinable package mutating func vfnmsub213ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f213, .single, first, second, third)
  }

  /// `vfnmsub213ss` with its third operand from memory.
  @inlinable package mutating func vfnmsub213ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f213, .single, first, second, third)
  }

  /// `vfnmsub231sd`.
  @inlinable package mutating func vfnmsub231sd(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f231, .double, first, second, third)
  }

  /// `vfnmsub231sd` with its third operand from memory.
  @inlinable package mutating func vfnmsub231sd(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f231, .double, first, second, third)
  }

  /// `vfnmsub231ss`.
  @inlinable package mutating func vfnmsub231ss(_ first: XMM, _ second: XMM, _ third: XMM) {
    fma(.nmsub, .f231, .single, first, second, third)
  }

  /// `vfnmsub231ss` with its third operand from memory.
  @inlinable package mutating func vfnmsub231ss(_ first: XMM, _ second: XMM, _ third: Address) {
    fma(.nmsub, .f231, .single, first, second, third)
  }
}
