package import Translator

extension Instruction {
  /// Whether the instruction is illegal while `mstatus.FS` is off: it reads or writes a floating-point
  /// register. (Accesses to `fflags`, `frm` and `fcsr` are, too; they are the hart's to check.)
  package var usesFloatingPoint: Bool { (destination | a | b) >= 32 }
}
