// Shifts and rotations (Intel SDM volume 1, 7.3.6); counts are taken modulo 32, or 64 for 64 bits.
extension X86Assembler {
  // MARK: - By operation

  /// Shifts or rotates a register by a constant.
  @inlinable @inline(__always)
  package mutating func shift(
    _ operation: Shift, _ width: Width, _ operand: Register, by count: UInt8
  ) {
    let forced = needsREX(width, operand)
    if count == 1 {
      encode(.one(0xD0, width), width, reg: operation.code, rm: operand.code, forced: forced)
    } else {
      encode(.one(0xC0, width), width, reg: operation.code, rm: operand.code, forced: forced, imm8: count)
    }
  }

  /// Shifts or rotates memory by a constant.
  @inlinable package mutating func shift(
    _ operation: Shift, _ width: Width, _ operand: Address, by count: UInt8
  ) {
    if count == 1 {
      encode(.one(0xD0, width), width, reg: operation.code, operand)
    } else {
      encode(.one(0xC0, width), width, reg: operation.code, operand, imm8: count)
    }
  }

  /// Shifts or rotates a register by cl.
  @inlinable @inline(__always)
  package mutating func shift(_ operation: Shift, _ width: Width, _ operand: Register) {
    encode(
      .one(0xD2, width), width, reg: operation.code, rm: operand.code,
      forced: needsREX(width, operand))
  }

  /// Shifts or rotates memory by cl.
  @inlinable package mutating func shift(_ operation: Shift, _ width: Width, _ operand: Address) {
    encode(.one(0xD2, width), width, reg: operation.code, operand)
  }

  // MARK: - By mnemonic

  /// `rol` by a constant.
  @inlinable @inline(__always)
  package mutating func rol(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.rol, width, operand, by: count)
  }

  /// `rol` by cl.
  @inlinable @inline(__always)
  package mutating func rol(_ width: Width, _ operand: Register) {
    shift(.rol, width, operand)
  }

  /// `rol` of memory by a constant.
  @inlinable package mutating func rol(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.rol, width, operand, by: count)
  }

  /// `rol` of memory by cl.
  @inlinable package mutating func rol(_ width: Width, _ operand: Address) {
    shift(.rol, width, operand)
  }

  /// `ror` by a constant.
  @inlinable @inline(__always)
  package mutating func ror(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.ror, width, operand, by: count)
  }

  /// `ror` by cl.
  @inlinable @inline(__always)
  package mutating func ror(_ width: Width, _ operand: Register) {
    shift(.ror, width, operand)
  }

  /// `ror` of memory by a constant.
  @inlinable package mutating func ror(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.ror, width, operand, by: count)
  }

  /// `ror` of memory by cl.
  @inlinable package mutating func ror(_ width: Width, _ operand: Address) {
    shift(.ror, width, operand)
  }

  /// `rcl` by a constant.
  @inlinable @inline(__always)
  package mutating func rcl(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.rcl, width, operand, by: count)
  }

  /// `rcl` by cl.
  @inlinable @inline(__always)
  package mutating func rcl(_ width: Width, _ operand: Register) {
    shift(.rcl, width, operand)
  }

  /// `rcl` of memory by a constant.
  @inlinable package mutating func rcl(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.rcl, width, operand, by: count)
  }

  /// `rcl` of memory by cl.
  @inlinable package mutating func rcl(_ width: Width, _ operand: Address) {
    shift(.rcl, width, operand)
  }

  /// `rcr` by a constant.
  @inlinable @inline(__always)
  package mutating func rcr(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.rcr, width, operand, by: count)
  }

  /// `rcr` by cl.
  @inlinable @inline(__always)
  package mutating func rcr(_ width: Width, _ operand: Register) {
    shift(.rcr, width, operand)
  }

  /// `rcr` of memory by a constant.
  @inlinable package mutating func rcr(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.rcr, width, operand, by: count)
  }

  /// `rcr` of memory by cl.
  @inlinable package mutating func rcr(_ width: Width, _ operand: Address) {
    shift(.rcr, width, operand)
  }

  /// `shl` by a constant.
  @inlinable @inline(__always)
  package mutating func shl(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.shl, width, operand, by: count)
  }

  /// `shl` by cl.
  @inlinable @inline(__always)
  package mutating func shl(_ width: Width, _ operand: Register) {
    shift(.shl, width, operand)
  }

  /// `shl` of memory by a constant.
  @inlinable package mutating func shl(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.shl, width, operand, by: count)
  }

  /// `shl` of memory by cl.
  @inlinable package mutating func shl(_ width: Width, _ operand: Address) {
    shift(.shl, width, operand)
  }

  /// `shr` by a constant.
  @inlinable @inline(__always)
  package mutating func shr(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.shr, width, operand, by: count)
  }

  /// `shr` by cl.
  @inlinable @inline(__always)
  package mutating func shr(_ width: Width, _ operand: Register) {
    shift(.shr, width, operand)
  }

  /// `shr` of memory by a constant.
  @inlinable package mutating func shr(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.shr, width, operand, by: count)
  }

  /// `shr` of memory by cl.
  @inlinable package mutating func shr(_ width: Width, _ operand: Address) {
    shift(.shr, width, operand)
  }

  /// `sar` by a constant.
  @inlinable @inline(__always)
  package mutating func sar(_ width: Width, _ operand: Register, by count: UInt8) {
    shift(.sar, width, operand, by: count)
  }

  /// `sar` by cl.
  @inlinable @inline(__always)
  package mutating func sar(_ width: Width, _ operand: Register) {
    shift(.sar, width, operand)
  }

  /// `sar` of memory by a constant.
  @inlinable package mutating func sar(_ width: Width, _ operand: Address, by count: UInt8) {
    shift(.sar, width, operand, by: count)
  }

  /// `sar` of memory by cl.
  @inlinable package mutating func sar(_ width: Width, _ operand: Address) {
    shift(.sar, width, operand)
  }

  /// `shld`: shifts left, filling from the top of `source`; not for 8 bits.
  @inlinable package mutating func shld(
    _ width: Width, _ destination: Register, _ source: Register, by count: UInt8
  ) {
    encode(.two(0xA4), width, reg: source.code, rm: destination.code, imm8: count)
  }

  /// `shld` by cl; not for 8 bits.
  @inlinable package mutating func shld(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xA5), width, reg: source.code, rm: destination.code)
  }

  /// `shrd`: shifts right, filling from the bottom of `source`; not for 8 bits.
  @inlinable package mutating func shrd(
    _ width: Width, _ destination: Register, _ source: Register, by count: UInt8
  ) {
    encode(.two(0xAC), width, reg: source.code, rm: destination.code, imm8: count)
  }

  /// `shrd` by cl; not for 8 bits.
  @inlinable package mutating func shrd(_ width: Width, _ destination: Register, _ source: Register) {
    encode(.two(0xAD), width, reg: source.code, rm: destination.code)
  }
}
