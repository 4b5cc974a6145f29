internal import Glibc
internal import GuestMemory
internal import Synchronization
internal import Translator

/// Whether two harts that ran the same guest on different engines are in the same state.
extension Hart {
  /// Whether all that the guest can tell of this hart is as on `other`.
  package func matches(_ other: Hart) -> Bool {
    noteFloatUse()
    other.noteFloatUse()
    let mine = context
    let theirs = other.context
    return memcmp(mine.registers, theirs.registers, 64 * 8) == 0
      && mine.programCounter == theirs.programCounter
      && memcmp(state, other.state, MemoryLayout<HartState>.size) == 0
      && mine.word(ContextLayout.floatFlags).pointee == theirs.word(ContextLayout.floatFlags).pointee
      && mine.word(ContextLayout.instructionsRetired).pointee
        == theirs.word(ContextLayout.instructionsRetired).pointee
      && pendingInterrupts == other.pendingInterrupts
      && deadline.load(ordering: .relaxed) == other.deadline.load(ordering: .relaxed)
      && reservation == other.reservation
  }

  /// What ``matches(_:)`` compares, a line for each thing that differs.
  package func differences(from other: Hart) -> [String] {
    zip(description, other.description).filter { $0.1 != $1.1 }.map { mine, theirs in
      "\(mine.0) is \(hex(mine.1)), on the other engine \(hex(theirs.1))"
    }
  }

  fileprivate func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  private var description: [(String, UInt64)] {
    noteFloatUse()
    var lines: [(String, UInt64)] = [("pc", context.programCounter)]
    for number in 0..<32 { lines.append(("x\(number)", context.registers[number])) }
    for number in 0..<32 { lines.append(("f\(number)", context.registers[32 + number])) }
    let state = state.pointee
    lines += [
      ("privilege", state.privilege), ("sstatus", state.status), ("stvec", state.trapVector),
      ("sscratch", state.scratch), ("sepc", state.exceptionPC), ("scause", state.cause),
      ("stval", state.trapValue), ("sie", state.interruptEnable), ("satp", state.translation),
      ("scounteren", state.counterEnable), ("senvcfg", state.environment), ("stimecmp", state.timeCompare),
      ("fflags", UInt64(context.half(ContextLayout.floatFlags).pointee)),
      ("frm", UInt64(context.half(ContextLayout.floatRounding).pointee)),
      ("instret", context.word(ContextLayout.instructionsRetired).pointee),
      ("sip", pendingInterrupts), ("deadline", deadline.load(ordering: .relaxed)),
      ("reserved address", reservation.address), ("reserved value", reservation.value),
    ]
    return lines
  }

  /// The reservation, its address from the start of memory; all ones when there is none.
  private var reservation: (address: UInt64, value: UInt64) {
    let host = context.word(ContextLayout.reservationAddress).pointee
    guard host != .max else { return (.max, 0) }
    let base = UInt64(UInt(bitPattern: memory.regions[0].host))
    return (host &- base, context.word(ContextLayout.reservationValue).pointee)
  }
}

extension Hart {
  /// The instructions from a virtual address on, as the hart would fetch them now, disassembled.
  package func listing(at address: UInt64, count: Int) -> [String] {
    var lines: [String] = []
    var pc = address
    for _ in 0..<count {
      guard let low = try? fetchHalf(pc) else {
        lines.append("\(hex(pc)): cannot be fetched")
        break
      }
      var bits = UInt32(low)
      if low & 3 == 3 {
        guard let high = try? fetchHalf(pc &+ 2) else { break }
        bits |= UInt32(high) << 16
      }
      lines.append("\(hex(pc)): " + Disassembler.text(bits, at: pc).replacing("\t", with: " "))
      pc &+= low & 3 == 3 ? 4 : 2
    }
    return lines
  }
}
