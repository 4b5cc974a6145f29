package import Translator

/// What an instruction with the operation `.system` does: its `info` holds one of these.
///
/// Such instructions reach beyond registers and memory into the hart's privileged state, so the hart
/// carries them out.
package enum SystemOperation: UInt8, CaseIterable, Sendable {
  case ecall, ebreak
  case sret, mret
  case wfi
  /// A spin loop's hint: nothing, or a chance to let another hart run.
  case pause
  /// Orders this hart's later instruction fetches after its earlier stores.
  case fenceI

  // MARK: Address translation; `a` holds the register of the address, `b` that of the ASID, 0 for all

  case sfenceVMA, sinvalVMA, sfenceWInval, sfenceInvalIR

  // MARK: Control and status registers; `imm` is the register's number
  //
  // The old value goes to `destination`; with destination 0, `csrReadWrite` does not read. The operand
  // is register `a`, of the immediate forms the number `a` itself. With `a` 0 the set and clear forms
  // do not write.

  case csrReadWrite, csrReadSet, csrReadClear
  case csrReadWriteImmediate, csrReadSetImmediate, csrReadClearImmediate

  // MARK: Cache blocks; `a` holds the register of an address within the block

  case cboInvalidate, cboClean, cboFlush, cboZero
}

extension SystemOperation {
  /// Whether execution goes on behind a system instruction in the same block, as long as nothing comes
  /// in between: those that access control registers.
  package static func goesOn(_ instruction: Instruction) -> Bool {
    switch SystemOperation(rawValue: instruction.info) {
    case .csrReadWrite, .csrReadSet, .csrReadClear, .csrReadWriteImmediate, .csrReadSetImmediate,
      .csrReadClearImmediate:
      true
    default: false
    }
  }
}
