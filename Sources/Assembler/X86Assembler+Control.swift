// Stack, jumps through registers and memory, traps, flags, strings (Intel SDM volume 1, chapters 6 and 7).
extension X86Assembler {
  // MARK: - Stack

  /// `push` of a 64-bit register.
  @inlinable package mutating func push(_ source: Register) {
    encode(.one(0x50), .w32, opcodeRegister: source.code)
  }

  /// `push` of 64 bits from memory.
  @inlinable package mutating func push(_ source: Address) {
    encode(.one(0xFF), .w32, reg: 6, source)
  }

  /// `push` of a constant, sign-extended to 64 bits.
  @inlinable package mutating func push(_ value: Int32) {
    if X86Assembler.fitsByte(value, .w64) {
      emit(0x6A | UInt64(UInt8(truncatingIfNeeded: value)) &<< 8, count: 2)
    } else {
      emit(0x68 | UInt64(UInt32(bitPattern: value)) &<< 8, count: 5)
    }
  }

  /// `pop` of a 64-bit register.
  @inlinable package mutating func pop(_ destination: Register) {
    encode(.one(0x58), .w32, opcodeRegister: destination.code)
  }

  /// `pop` of 64 bits to memory.
  @inlinable package mutating func pop(_ destination: Address) {
    encode(.one(0x8F), .w32, reg: 0, destination)
  }

  /// `pushfq`: pushes RFLAGS.
  @inlinable package mutating func pushfq() { emit(0x9C, count: 1) }

  /// `popfq`: pops RFLAGS.
  @inlinable package mutating func popfq() { emit(0x9D, count: 1) }

  // MARK: - Jumps through registers and memory

  /// `call` of the address in a register.
  @inlinable package mutating func call(_ target: Register) {
    encode(.one(0xFF), .w32, reg: 2, rm: target.code)
  }

  /// `call` of the address in memory.
  @inlinable package mutating func call(_ target: Address) {
    encode(.one(0xFF), .w32, reg: 2, target)
  }

  /// `jmp` to the address in a register.
  @inlinable package mutating func jmp(_ target: Register) {
    encode(.one(0xFF), .w32, reg: 4, rm: target.code)
  }

  /// `jmp` to the address in memory.
  @inlinable package mutating func jmp(_ target: Address) {
    encode(.one(0xFF), .w32, reg: 4, target)
  }

  /// `ret`: pops the instruction pointer.
  @inlinable package mutating func ret() { emit(0xC3, count: 1) }

  // MARK: - Traps

  /// `ud2`: raises #UD.
  @inlinable package mutating func ud2() { emit(0x0B0F, count: 2) }

  /// `int3`: raises #BP.
  @inlinable package mutating func int3() { emit(0xCC, count: 1) }

  /// `hlt`: raises #GP outside of ring 0.
  @inlinable package mutating func hlt() { emit(0xF4, count: 1) }

  // MARK: - Flags

  /// `lahf`: the low byte of the flags to ah.
  @inlinable package mutating func lahf() { emit(0x9F, count: 1) }

  /// `sahf`: the low byte of the flags from ah.
  @inlinable package mutating func sahf() { emit(0x9E, count: 1) }

  /// `cmc`: inverts the carry flag.
  @inlinable package mutating func cmc() { emit(0xF5, count: 1) }

  /// `clc`: clears the carry flag.
  @inlinable package mutating func clc() { emit(0xF8, count: 1) }

  /// `stc`: sets the carry flag.
  @inlinable package mutating func stc() { emit(0xF9, count: 1) }

  /// `cld`: string instructions count up.
  @inlinable package mutating func cld() { emit(0xFC, count: 1) }

  // MARK: - Strings

  /// `rep stosb`: fills rcx bytes from rdi on with al.
  @inlinable package mutating func repStosb() { emit(0xAAF3, count: 2) }

  /// `rep stosq`: fills rcx × 8 bytes from rdi on with rax.
  @inlinable package mutating func repStosq() { emit(0xAB48F3, count: 3) }

  /// `rep movsb`: copies rcx bytes from rsi to rdi.
  @inlinable package mutating func repMovsb() { emit(0xA4F3, count: 2) }

  /// `rep movsq`: copies rcx × 8 bytes from rsi to rdi.
  @inlinable package mutating func repMovsq() { emit(0xA548F3, count: 3) }

  // MARK: - Miscellaneous

  /// `rdtsc`: the time-stamp counter to edx:eax.
  @inlinable package mutating func rdtsc() { emit(0x310F, count: 2) }

  /// `cpuid`: the processor's features by leaf eax and subleaf ecx.
  @inlinable package mutating func cpuid() { emit(0xA20F, count: 2) }

  /// `prefetcht0`: brings memory into all caches.
  @inlinable package mutating func prefetcht0(_ address: Address) {
    encode(.two(0x18), .w32, reg: 1, address)
  }

  /// `ldmxcsr`: the floating-point control and status register from memory (SDM volume 1, 10.2.3).
  @inlinable package mutating func ldmxcsr(_ source: Address) {
    encode(.two(0xAE), .w32, reg: 2, source)
  }

  /// `stmxcsr`: the floating-point control and status register to memory.
  @inlinable package mutating func stmxcsr(_ destination: Address) {
    encode(.two(0xAE), .w32, reg: 3, destination)
  }
}
