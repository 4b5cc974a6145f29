internal import Synchronization

// Jumps to places outside the buffer's current code, and jumps that are redirected later.
//
// A "field" is the buffer offset of a rel32: four bytes that hold the distance from their own end to
// the target.
extension X86Assembler {
  /// The operand `[rip + …]` that names an executable or data address; nil when `target` is not
  /// within 2 GiB of all the buffer.
  @inlinable package func ripRelative(to target: UInt64) -> Address? {
    let fromStart = Int64(bitPattern: target &- executableAddress(of: start))
    let fromEnd = Int64(bitPattern: target &- executableAddress(of: limit + X86Assembler.slack))
    guard let value = Int32(exactly: fromStart), Int32(exactly: fromEnd) != nil else { return nil }
    return Address(kind: .relative, value: value)
  }

  /// The rel32 that leads to `target` from an instruction that ends `length` bytes from the cursor.
  @inlinable func displacement(to target: UInt64, length: UInt64) -> Int32? {
    Int32(exactly: Int64(bitPattern: target &- (executableAddress &+ length)))
  }

  // MARK: - Jumps to executable addresses

  /// `jmp` to an executable address; beyond 2 GiB through `scratch`, which it then overwrites.
  @inlinable package mutating func jmp(to target: UInt64, scratch: Register = .rax) {
    if let displacement = displacement(to: target, length: 5) {
      emit(0xE9 | UInt64(UInt32(bitPattern: displacement)) &<< 8, count: 5)
    } else {
      mov(.w64, scratch, Int64(bitPattern: target))
      jmp(scratch)
    }
  }

  /// `call` of an executable address; beyond 2 GiB through `scratch`, which it then overwrites.
  @inlinable package mutating func call(to target: UInt64, scratch: Register = .rax) {
    if let displacement = displacement(to: target, length: 5) {
      emit(0xE8 | UInt64(UInt32(bitPattern: displacement)) &<< 8, count: 5)
    } else {
      mov(.w64, scratch, Int64(bitPattern: target))
      call(scratch)
    }
  }

  /// `jcc` to an executable address; beyond 2 GiB the inverse condition skips a jump through
  /// `scratch`, which is overwritten only when that is taken.
  @inlinable package mutating func jcc(
    _ condition: Condition, to target: UInt64, scratch: Register = .rax
  ) {
    if let displacement = displacement(to: target, length: 6) {
      let opcode = 0x800F | UInt64(condition.code) &<< 8
      emit(opcode | UInt64(UInt32(bitPattern: displacement)) &<< 16, count: 6)
    } else {
      let skip = next
      emit(0x70 | UInt64(condition.inverted.code), count: 2)
      mov(.w64, scratch, Int64(bitPattern: target))
      jmp(scratch)
      skip[1] = UInt8(truncatingIfNeeded: next - skip - 2)
    }
  }

  // MARK: - Jumps to be redirected

  /// `jmp rel32`, placed so that `patch` can redirect it while it runs, to `target` or at first to
  /// the next instruction. Returns its field.
  @inlinable package mutating func jmpPatchable(to target: UInt64? = nil) -> Int {
    patchable(opcode: 0xE9, count: 1, to: target)
  }

  /// `jcc rel32`, placed so that `patch` can redirect it while it runs, to `target` or at first to
  /// the next instruction. Returns its field.
  @inlinable package mutating func jccPatchable(_ condition: Condition, to target: UInt64? = nil) -> Int {
    patchable(opcode: 0x800F | UInt64(condition.code) &<< 8, count: 2, to: target)
  }

  /// `call rel32`, placed so that `patch` can redirect it while it runs, to `target` or at first to
  /// the next instruction. Returns its field.
  @inlinable package mutating func callPatchable(to target: UInt64? = nil) -> Int {
    patchable(opcode: 0xE8, count: 1, to: target)
  }

  /// `lea destination, [rip + field]`, placed like the jumps. Returns its field.
  @inlinable package mutating func leaPatchable(_ destination: Register, to target: UInt64? = nil) -> Int {
    let rex: UInt64 = 0x48 | UInt64(destination.code &>> 3) &<< 2
    let modRM = 5 | UInt64(destination.code & 7) &<< 3
    return patchable(opcode: rex | 0x8D00 | modRM &<< 16, count: 3, to: target)
  }

  /// Emits an opcode with a rel32 that does not cross eight bytes; out of reach is as if nil.
  @inlinable mutating func patchable(opcode: UInt64, count: Int, to target: UInt64?) -> Int {
    alignField(after: count)
    let length = count &+ 4
    var field: UInt32 = 0
    if let target {
      if let displacement = displacement(to: target, length: UInt64(truncatingIfNeeded: length)) {
        field = UInt32(bitPattern: displacement)
      } else {
        outOfReach = true
      }
    }
    let place = offset &+ count
    emit(opcode | UInt64(field) &<< UInt64(truncatingIfNeeded: count &* 8), count: length)
    return place
  }

  /// Leads the rel32 at `field` to an executable address. Only for code that no thread runs yet.
  /// False, and nothing written, when it is out of reach or `field` is not in the buffer.
  @inlinable package mutating func setField(_ field: Int, to target: UInt64) -> Bool {
    let end = executableAddress(of: field &+ 4)
    guard let displacement = Int32(exactly: Int64(bitPattern: target &- end)),
      field >= 0, field &+ 4 <= limit - start &+ X86Assembler.slack
    else { return false }
    (start + field).store(displacement)
    return true
  }

  /// Leads the rel32 at the writable address `field`, which is executed at `executableField`, to
  /// `target`, while other threads may run it: they go where it led or where it leads now, and find
  /// the code there that was written before this call (Intel SDM volume 3, 9.1.1 and 9.1.3). The
  /// field must lie within eight aligned bytes. False when the target is out of reach.
  package static func patch(
    field: UnsafeMutableRawPointer, executableField: UInt64, target: UInt64
  ) -> Bool {
    guard let displacement = Int32(exactly: Int64(bitPattern: target &- (executableField &+ 4))) else {
      return false
    }
    let misalignment = Int(bitPattern: field) & 7
    precondition(misalignment <= 4, "a patched field must not cross eight bytes")
    let unit = (field - misalignment).assumingMemoryBound(to: Atomic<UInt64>.self)
    let shift = UInt64(misalignment * 8)
    let bits = UInt64(UInt32(bitPattern: displacement)) << shift
    let mask = UInt64(UInt32.max) << shift
    // The rest of the eight bytes may hold part of another field that is being patched.
    var old = unit.pointee.load(ordering: .relaxed)
    while true {
      let (exchanged, current) = unit.pointee.weakCompareExchange(
        expected: old, desired: old & ~mask | bits, successOrdering: .releasing,
        failureOrdering: .relaxed)
      if exchanged { return true }
      old = current
    }
  }

  /// The executable address that the rel32 at `field`, executed at `executableField`, leads to.
  package static func target(ofField field: UnsafeRawPointer, executableField: UInt64) -> UInt64 {
    let displacement = Int64(field.loadUnaligned(as: Int32.self))
    return executableField &+ 4 &+ UInt64(bitPattern: displacement)
  }

  // MARK: - Alignment

  /// Pads with no-operations until the executable address is a multiple of `alignment`, a power of
  /// two.
  @inlinable package mutating func align(to alignment: Int) {
    let mask = UInt64(truncatingIfNeeded: alignment &- 1)
    precondition(alignment > 0 && UInt64(truncatingIfNeeded: alignment) & mask == 0)
    nop(Int(truncatingIfNeeded: (0 &- executableAddress) & mask))
  }

  /// Pads with a no-operation so that a 32-bit field which follows `opcodeBytes` bytes further on
  /// (1 for `jmp` and `call`, 2 for `jcc`) does not cross eight bytes.
  @inlinable package mutating func alignField(after opcodeBytes: Int) {
    let place = (Int(truncatingIfNeeded: executableAddress) &+ opcodeBytes) & 7
    if place > 4 { nop(8 &- place) }
  }

  /// `bytes` bytes of no-operations, in the forms that Intel recommends (SDM volume 2, NOP).
  @inlinable package mutating func nop(_ bytes: Int = 1) {
    if bytes == 1 {
      emit(0x90, count: 1)
    } else if bytes > 0 {
      longNop(bytes)
    }
  }

  @usableFromInline
  mutating func longNop(_ bytes: Int) {
    var rest = bytes
    while rest >= 9, !overflowed {
      next.store(UInt64(0x0000_0000_841F_0F66))
      next[8] = 0
      advance(to: next + 9)
      rest -= 9
    }
    switch rest {
    case 1: emit(0x90, count: 1)
    case 2: emit(0x9066, count: 2)
    case 3: emit(0x00_1F0F, count: 3)
    case 4: emit(0x0040_1F0F, count: 4)
    case 5: emit(0x00_0044_1F0F, count: 5)
    case 6: emit(0x0000_441F_0F66, count: 6)
    case 7: emit(0x00_0000_0080_1F0F, count: 7)
    case 8: emit(0x0000_0000_0084_1F0F, count: 8)
    default: break
    }
  }
}
