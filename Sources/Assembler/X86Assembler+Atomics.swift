// Atomic operations and fences (Intel SDM volume 3, 9.1 and 9.2).
extension X86Assembler {
  /// `lock`: makes the next instruction atomic, one of `add`, `or`, `adc`, `sbb`, `and`, `sub`,
  /// `xor`, `inc`, `dec`, `neg`, `not`, `bts`, `btr`, `btc`, `xadd` and `cmpxchg` on memory.
  @inlinable package mutating func lock() { emit(0xF0, count: 1) }

  /// `xchg`: exchanges two registers.
  @inlinable package mutating func xchg(_ width: Width, _ first: Register, _ second: Register) {
    // The short form is for rax and another one: of eax with itself it would be a nop, which does
    // not clear the upper half.
    if (first == .rax) != (second == .rax) && width != .w8 {
      encode(.one(0x90), width, opcodeRegister: first.code | second.code)
    } else {
      encode(
        .one(0x86, width), width, reg: second.code, rm: first.code,
        forced: needsREX(width, first, second))
    }
  }

  /// `xchg`: exchanges memory and a register, atomically even without `lock`.
  @inlinable package mutating func xchg(_ width: Width, _ first: Address, _ second: Register) {
    encode(.one(0x86, width), width, reg: second.code, first, forced: needsREX(width, second))
  }

  /// `xadd`: adds the register to memory, and gives it what was there.
  @inlinable package mutating func xadd(_ width: Width, _ destination: Address, _ source: Register) {
    encode(.two(0xC0, width), width, reg: source.code, destination, forced: needsREX(width, source))
  }

  /// `cmpxchg`: where memory equals rax, stores the register and sets the zero flag; otherwise loads
  /// rax.
  @inlinable package mutating func cmpxchg(_ width: Width, _ destination: Address, _ source: Register) {
    encode(.two(0xB0, width), width, reg: source.code, destination, forced: needsREX(width, source))
  }

  /// `cmpxchg8b`: the same for eight bytes, with edx:eax and ecx:ebx.
  @inlinable package mutating func cmpxchg8b(_ destination: Address) {
    encode(.two(0xC7), .w32, reg: 1, destination)
  }

  /// `cmpxchg16b`: the same for sixteen aligned bytes, with rdx:rax and rcx:rbx.
  @inlinable package mutating func cmpxchg16b(_ destination: Address) {
    encode(.two(0xC7), .w64, reg: 1, destination)
  }

  // MARK: - Fences

  /// `mfence`: orders all loads and stores.
  @inlinable package mutating func mfence() { emit(0xF0_AE0F, count: 3) }

  /// `lfence`: waits until all earlier instructions have completed.
  @inlinable package mutating func lfence() { emit(0xE8_AE0F, count: 3) }

  /// `sfence`: orders stores.
  @inlinable package mutating func sfence() { emit(0xF8_AE0F, count: 3) }

  /// `pause`: says that a loop waits for another thread.
  @inlinable package mutating func pause() { emit(0x90F3, count: 2) }
}
