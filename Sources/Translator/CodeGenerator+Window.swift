internal import Assembler

/// Guest memory through the CPU's window: an access is the host's own, once its base is known to be in the
/// window or so near that it can only fault.
extension CodeGenerator {
  /// What an address that was compared may have been moved by, with room for displacements.
  private static let reach = Int32(AddressWindow.guardSize / 2 - 16)

  /// Where a load or store goes to, through the window or by the view's table, and what its slow path
  /// needs to know.
  mutating func locate(_ i: Instruction, table: Int, bytes: Int32, _ cold: inout Cold) -> Address {
    if usesWindow, i.a == 0, UInt64(bitPattern: i.imm) < AddressWindow.size {
      settle()
      cold.kind = cold.kind == .load ? .windowLoad : .windowStore
      cold.base = fresh()
      moveAddress(i, to: cold.base)
      cold.access32 = Int32(assembler.offset)
      return Address(base: cold.base)
    }
    guard usesWindow, let displacement = Int32(exactly: i.imm), abs(displacement) < Self.reach else {
      look(i, table: table, bytes: bytes, slow: cold.entry)
      return Address(base: .rcx)
    }
    cold.kind = cold.kind == .load ? .windowLoad : .windowStore
    settle()
    cold.base = fetch(i.a)
    cold.displacement = displacement
    if i.a != 0, inWindow & (1 << UInt32(i.a)) == 0 {
      assembler.cmp(.w64, cold.base, field(ContextLayout.windowSize))
      assembler.jump(.ae, to: cold.entry)
      inWindow |= 1 << UInt32(i.a)
      offWindow[Int(i.a)] = 0
    }
    cold.access32 = Int32(assembler.offset)
    return Address(base: cold.base, displacement: displacement)
  }

  /// Keeps note of addresses in the window after an instruction.
  mutating func followAddress(_ i: Instruction) {
    guard i.destination != 0 else { return }
    let bit = UInt32(1) << UInt32(i.destination)
    if i.operation == .add, i.b == 0, inWindow & (1 << UInt32(i.a)) != 0, abs(i.imm) < Int64(Self.reach) {
      let off = offWindow[Int(i.a)] + Int32(i.imm.magnitude)
      if off < Self.reach {
        inWindow |= bit
        offWindow[Int(i.destination)] = off
        return
      }
    }
    inWindow &= ~bit
  }

  /// The beginning of an access's slow path: its address in rcx.
  mutating func windowAddress(_ cold: Cold) {
    faults.append(FaultTable.Entry(access: cold.access32, slowPath: Int32(assembler.offset)))
    if cold.base != .rcx || cold.displacement != 0 {
      assembler.lea(.w64, .rcx, Address(base: cold.base, displacement: cold.displacement))
    }
  }
}
