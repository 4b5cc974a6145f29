// The instruction formats that every mnemonic goes through (Intel SDM volume 2, chapter 2).
//
// An instruction is put together in a 64-bit word and stored at once, its length added to the
// cursor afterwards; with constant opcodes and widths the compiler folds most of that away.
extension X86Assembler {
  /// Prefixes, REX and opcode as a word with the first byte lowest, and their number of bytes.
  ///
  /// - Parameters:
  ///   - rex: the bits R, X and B; W comes from the width.
  ///   - forced: a REX prefix is needed even without bits, to name `spl`, `bpl`, `sil` or `dil`.
  @inlinable @inline(__always)
  func head(_ opcode: Opcode, _ width: Width, rex: UInt8, forced: Bool) -> (word: UInt64, count: Int) {
    let bits = width == .w64 ? rex | 8 : rex
    let needed = bits != 0 || forced
    var word = UInt64(opcode.bytes)
    var count = opcode.count
    word = needed ? word &<< 8 | UInt64(0x40 | bits) : word
    count = needed ? count &+ 1 : count
    if opcode.prefix != 0 {
      word = word &<< 8 | UInt64(opcode.prefix)
      count = count &+ 1
    }
    if width == .w16 {
      word = word &<< 8 | 0x66
      count = count &+ 1
    }
    return (word, count)
  }

  /// Writes an instruction with two register operands up to its ModRM byte; returns its end.
  @inlinable @inline(__always)
  func write(
    _ opcode: Opcode, _ width: Width, reg: UInt8, rm: UInt8, forced: Bool
  ) -> UnsafeMutablePointer<UInt8> {
    let (word, count) = head(opcode, width, rex: (reg &>> 3) &<< 2 | rm &>> 3, forced: forced)
    let modRM = 0xC0 | (reg & 7) &<< 3 | rm & 7
    next.store(word | UInt64(modRM) &<< UInt64(truncatingIfNeeded: count &* 8))
    return next + (count &+ 1)
  }

  /// Writes an instruction with a memory operand up to its displacement; returns its end.
  /// `trailing` immediate bytes will follow: a RIP-relative operand counts from behind them.
  @inlinable @inline(__always)
  mutating func write(
    _ opcode: Opcode, _ width: Width, reg: UInt8, _ address: Address, forced: Bool, trailing: Int
  ) -> UnsafeMutablePointer<UInt8> {
    let rex = (reg &>> 3) &<< 2 | (address.indexCode &>> 3) &<< 1 | address.baseCode &>> 3
    let (word, count) = head(opcode, width, rex: rex, forced: forced)
    next.store(word)
    return writeOperand(address, reg: reg, at: next + count, trailing: trailing)
  }

  /// Writes ModRM, SIB and displacement of a memory operand; returns the end.
  @inlinable @inline(__always)
  mutating func writeOperand(
    _ address: Address, reg: UInt8, at place: UnsafeMutablePointer<UInt8>, trailing: Int
  ) -> UnsafeMutablePointer<UInt8> {
    let reg = (reg & 7) &<< 3
    let base = address.baseCode & 7
    // rsp and r12 as base are encoded with a SIB byte, and take the other path.
    guard address.kind == .base && base != 4 else {
      return writeUncommonOperand(address, reg: reg, at: place, trailing: trailing)
    }
    let (mod, size) = X86Assembler.displacementForm(address.value, base: base)
    place.pointee = mod | reg | base
    (place + 1).store(address.value)
    return place + (size &+ 1)
  }

  /// The mod bits for a displacement from `base`, and its bytes. rbp and r13 have no form without.
  @inlinable @inline(__always)
  static func displacementForm(_ displacement: Int32, base: UInt8) -> (mod: UInt8, size: Int) {
    let fits = displacement == Int32(Int8(truncatingIfNeeded: displacement))
    let none = displacement == 0 && base != 5
    return (none ? 0x00 : fits ? 0x40 : 0x80, none ? 0 : fits ? 1 : 4)
  }

  /// `writeOperand` for all operands but a plain base; `reg` is in the ModRM byte's place.
  @usableFromInline @inline(never)
  mutating func writeUncommonOperand(
    _ address: Address, reg: UInt8, at place: UnsafeMutablePointer<UInt8>, trailing: Int
  ) -> UnsafeMutablePointer<UInt8> {
    let scaledIndex = address.scaleCode << 6 | (address.indexCode & 7) << 3
    let base = address.baseCode & 7
    switch address.kind {
    case .base, .baseIndex:
      let (mod, size) = X86Assembler.displacementForm(address.value, base: base)
      place.pointee = mod | reg | 4
      // Index 4 means none.
      place[1] = address.kind == .base ? 0x20 | base : scaledIndex | base
      (place + 2).store(address.value)
      return place + (2 + size)
    case .index, .absolute:
      place.pointee = reg | 4
      // Base 5 without displacement bits means a 32-bit displacement alone.
      place[1] = address.kind == .index ? scaledIndex | 5 : 0x25
      (place + 2).store(address.value)
      return place + 6
    case .relative:
      place.pointee = reg | 5
      let end = place + (5 + trailing)
      (place + 1).store(address.value &- Int32(truncatingIfNeeded: end - start))
      return place + 5
    case .label:
      place.pointee = reg | 5
      writeNearField(at: place + 1, to: Label(id: address.value), trailing: trailing)
      return place + 5
    }
  }

  // MARK: - Whole instructions

  /// An instruction with two register operands.
  @inlinable @inline(__always)
  mutating func encode(_ opcode: Opcode, _ width: Width, reg: UInt8, rm: UInt8, forced: Bool = false) {
    advance(to: write(opcode, width, reg: reg, rm: rm, forced: forced))
  }

  /// An instruction with two register operands and an 8-bit immediate.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: Opcode, _ width: Width, reg: UInt8, rm: UInt8, forced: Bool = false, imm8: UInt8
  ) {
    let end = write(opcode, width, reg: reg, rm: rm, forced: forced)
    end.pointee = imm8
    advance(to: end + 1)
  }

  /// An instruction with two register operands and an immediate of the width.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: Opcode, _ width: Width, reg: UInt8, rm: UInt8, forced: Bool = false, imm: Int32
  ) {
    let end = write(opcode, width, reg: reg, rm: rm, forced: forced)
    end.store(imm)
    advance(to: end + width.immediateBytes)
  }

  /// An instruction with a memory operand.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: Opcode, _ width: Width, reg: UInt8, _ address: Address, forced: Bool = false
  ) {
    advance(to: write(opcode, width, reg: reg, address, forced: forced, trailing: 0))
  }

  /// An instruction with a memory operand and an 8-bit immediate.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: Opcode, _ width: Width, reg: UInt8, _ address: Address, forced: Bool = false, imm8: UInt8
  ) {
    let end = write(opcode, width, reg: reg, address, forced: forced, trailing: 1)
    end.pointee = imm8
    advance(to: end + 1)
  }

  /// An instruction with a memory operand and an immediate of the width.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: Opcode, _ width: Width, reg: UInt8, _ address: Address, forced: Bool = false, imm: Int32
  ) {
    let size = width.immediateBytes
    let end = write(opcode, width, reg: reg, address, forced: forced, trailing: size)
    end.store(imm)
    advance(to: end + size)
  }

  /// An instruction whose register is in the low bits of its opcode.
  @inlinable @inline(__always)
  mutating func encode(_ opcode: Opcode, _ width: Width, opcodeRegister: UInt8) {
    let low = UInt32(opcodeRegister & 7) &<< UInt32((opcode.count &- 1) &* 8)
    let opcode = Opcode(bytes: opcode.bytes | low, count: opcode.count, prefix: opcode.prefix)
    let (word, count) = head(opcode, width, rex: opcodeRegister &>> 3, forced: false)
    emit(word, count: count)
  }

  // MARK: - VEX

  /// The four bytes of a VEX prefix with its opcode; `rxb` are the bits R, X and B as in REX.
  @inlinable @inline(__always)
  func vexHead(_ opcode: VEXOpcode, wide: Bool, rxb: UInt8, vvvv: UInt8) -> UInt64 {
    let second = (rxb ^ 7) &<< 5 | opcode.map
    let third = (wide ? 0x80 : 0) | (vvvv ^ 15) &<< 3 | opcode.pp
    return 0xC4 | UInt64(second) &<< 8 | UInt64(third) &<< 16 | UInt64(opcode.byte) &<< 24
  }

  /// A VEX instruction with register operands; `vvvv` is 0 where there is none.
  @inlinable @inline(__always)
  mutating func encode(_ opcode: VEXOpcode, wide: Bool, reg: UInt8, vvvv: UInt8, rm: UInt8) {
    let rxb = (reg &>> 3) &<< 2 | rm &>> 3
    let modRM = 0xC0 | (reg & 7) &<< 3 | rm & 7
    emit(vexHead(opcode, wide: wide, rxb: rxb, vvvv: vvvv) | UInt64(modRM) &<< 32, count: 5)
  }

  /// A VEX instruction with register operands and an 8-bit immediate.
  @inlinable @inline(__always)
  mutating func encode(_ opcode: VEXOpcode, wide: Bool, reg: UInt8, vvvv: UInt8, rm: UInt8, imm8: UInt8) {
    let rxb = (reg &>> 3) &<< 2 | rm &>> 3
    let modRM = 0xC0 | (reg & 7) &<< 3 | rm & 7
    let tail = UInt64(modRM) &<< 32 | UInt64(imm8) &<< 40
    emit(vexHead(opcode, wide: wide, rxb: rxb, vvvv: vvvv) | tail, count: 6)
  }

  /// A VEX instruction with a memory operand and perhaps an 8-bit immediate.
  @inlinable @inline(__always)
  mutating func encode(
    _ opcode: VEXOpcode, wide: Bool, reg: UInt8, vvvv: UInt8, _ address: Address, imm8: UInt8? = nil
  ) {
    let rxb = (reg &>> 3) &<< 2 | (address.indexCode &>> 3) &<< 1 | address.baseCode &>> 3
    next.store(vexHead(opcode, wide: wide, rxb: rxb, vvvv: vvvv))
    let end = writeOperand(address, reg: reg, at: next + 4, trailing: imm8 == nil ? 0 : 1)
    end.pointee = imm8 ?? 0
    advance(to: imm8 == nil ? end : end + 1)
  }
}
