internal import Assembler

/// What the scratch registers hold between instructions.
///
/// A guest register without a host register of its own has its home in the context. What an instruction makes for
/// such a register stays in a scratch register, where the next instructions find it, and goes home when something
/// may look there, or never, if it is overwritten before.
struct ScratchRegisters {
  /// The guest registers whose values rax, rcx and rdx hold, 0 for none.
  var held: InlineArray<3, UInt8> = [0, 0, 0]
  /// Of each, whether its value is not at home yet: a bit each.
  var dirty: UInt8 = 0
  /// Not to be given out while an instruction is generated: a bit each.
  var busy: UInt8 = 0
  /// The one to give up next.
  var next: UInt8 = 0

  static func isScratch(_ register: Register) -> Bool { register.code < 3 }

  /// The scratch register that holds a guest register's value.
  func holder(_ guest: UInt8) -> Register? {
    guard guest != 0 else { return nil }
    if held[0] == guest { return .rax }
    if held[1] == guest { return .rcx }
    return held[2] == guest ? .rdx : nil
  }

  func isDirty(_ register: Register) -> Bool { dirty & (1 << register.code) != 0 }
}

/// What the host's flags say, beside what the instruction that set them was for.
enum FlagsMeaning {
  case nothing
  /// ZF and SF are those of a guest register's value.
  case value(UInt8)
  /// A guest register is 1 if the condition holds, else 0.
  case condition(UInt8, Condition)
}

extension CodeGenerator {
  /// The host register that has the guest register's value, or nil: it is at home.
  @inline(__always) func location(_ register: UInt8) -> Register? {
    host(register) ?? scratch.holder(register)
  }

  /// Sends home what is not there. The values stay where they are; the flags too.
  mutating func settle() {
    guard scratch.dirty != 0 else { return }
    for number in 0..<3 as Range<UInt8> where scratch.dirty & (1 << number) != 0 {
      assembler.mov(.w64, home(scratch.held[Int(number)]), Register(code: number))
    }
    scratch.dirty = 0
  }

  /// Sends home what is not there and makes the scratch registers free.
  mutating func release() {
    settle()
    scratch.held = [0, 0, 0]
  }

  /// What the scratch registers hold is no longer so. It must be at home.
  mutating func forgetScratch() { scratch.held = [0, 0, 0] }

  /// Keeps a register from being given out by ``fresh()``.
  @inline(__always) mutating func occupy(_ register: Register?) {
    if let register, ScratchRegisters.isScratch(register) { scratch.busy |= 1 << register.code }
  }

  /// A scratch register to overwrite, not a busy one. If it held a value, this is still in it.
  mutating func fresh() -> Register {
    var best: UInt8 = 3
    for number in 0..<3 as Range<UInt8> where scratch.busy & (1 << number) == 0 {
      if scratch.held[Int(number)] == 0 {
        best = number
        break
      }
      // Of those that hold something rather one that is at home too, and not the last that was given out.
      if best == 3 || rank(number) < rank(best) { best = number }
    }
    precondition(best < 3, "an instruction needs more than three scratch registers")
    let register = Register(code: best)
    if scratch.isDirty(register) {
      assembler.mov(.w64, home(scratch.held[Int(best)]), register)
      scratch.dirty &= ~(1 << best)
    }
    scratch.held[Int(best)] = 0
    scratch.next = best == 2 ? 0 : best + 1
    return register
  }

  private func rank(_ number: UInt8) -> UInt8 {
    (scratch.dirty & (1 << number) != 0 ? 4 : 0) + (number + 3 - scratch.next) % 3
  }

  /// Notes that a register has the value of a guest register that has no host register, as its home has.
  mutating func hold(_ guest: UInt8, in register: Register) {
    scratch.held[Int(register.code)] = guest
  }

  /// Notes that a guest register is overwritten elsewhere than in a scratch register.
  @inline(__always) mutating func dropHeld(_ guest: UInt8) {
    guard let register = scratch.holder(guest) else { return }
    scratch.held[Int(register.code)] = 0
    scratch.dirty &= ~(1 << register.code)
  }

  /// Gives a guest register the value of a host register: its own, or a scratch register, which becomes its place.
  mutating func define(_ guest: UInt8, in work: Register) {
    scratch.busy = 0
    forget(guest)
    if let host = host(guest) {
      if host != work { assembler.mov(.w64, host, work) }
      return
    }
    dropHeld(guest)
    guard ScratchRegisters.isScratch(work) else {
      assembler.mov(.w64, home(guest), work)
      return
    }
    scratch.held[Int(work.code)] = guest
    scratch.dirty |= 1 << work.code
  }

  /// Where to make a guest register's new value out of another's: its host register, the scratch register that
  /// has the other's value if that may go, or a free one.
  mutating func place(for guest: UInt8, outOf source: UInt8) -> Register {
    if let host = host(guest) { return host }
    if let place = scratch.holder(source), source == guest || !scratch.isDirty(place),
      scratch.busy & (1 << place.code) == 0
    {
      return place
    }
    return fresh()
  }

  /// As ``place(for:outOf:)``, with the source's value put there.
  mutating func copy(_ source: UInt8, for guest: UInt8, _ width: Width = .w64) -> Register {
    let from = location(source)
    let work = place(for: guest, outOf: source)
    if let from {
      if from != work { assembler.mov(width, work, from) }
    } else if source == 0 {
      assembler.mov(.w32, work, 0)
    } else {
      assembler.mov(width, work, home(source))
    }
    return work
  }

  /// A host register with the guest register's value; if it was at home, it is kept for the next instructions.
  mutating func fetch(_ guest: UInt8) -> Register {
    if let place = location(guest) { return place }
    let work = fresh()
    if guest == 0 {
      assembler.mov(.w32, work, 0)
    } else {
      assembler.mov(.w64, work, home(guest))
      hold(guest, in: work)
    }
    return work
  }
}
