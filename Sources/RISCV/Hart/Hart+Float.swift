internal import Translator

/// Whether translated code has floating-point state in the host's registers.
///
/// That costs something whenever translated code is left or calls out, and most programs do without floating
/// point for long although Linux has it on in all of them, and for a few instructions of each of its traps. So a
/// hart takes programs in user mode for free of it until they show otherwise, and again when some traps have
/// passed since; and so supervisor mode with each trap.
extension Hart {
  /// The key of the blocks that the hart may run.
  var blockKey: UInt64 {
    guard !isFloatOff, privilege == .user ? floatCredit > 0 : isSupervisorFloat else {
      return BlockKey.floatOff
    }
    // Ties away from zero, and the reserved modes.
    let isHost = context.half(ContextLayout.floatRounding).pointee < 4
    return isHost ? BlockKey.floatOn : BlockKey.untranslated
  }

  /// A trap enters supervisor mode.
  func noteTrapForFloat() {
    isSupervisorFloat = false
    if floatCredit > 0 { floatCredit -= 1 }
  }

  /// Of what is illegal in the current block: whether it is a floating-point instruction that shows the program
  /// to use floating point, and nothing worse. It has to be translated anew, with another key.
  func noteFloatBegins(_ instruction: Instruction) -> Bool {
    guard !isFloatOff, blockKey == BlockKey.floatOff,
      Self.usesFloat(Decoder.decode(UInt32(truncatingIfNeeded: instruction.imm)))
    else { return false }
    if privilege == .user { floatCredit = floatPatience } else { isSupervisorFloat = true }
    // The code has counted it, and will again.
    if cluster.countsInstructions { context.word(ContextLayout.instructionsRetired).pointee &-= 1 }
    return true
  }
}
