package import Translator

/// One line of the ``InstructionTable``: how an instruction is encoded, written and carried out.
package struct InstructionRow: Sendable {
  /// The mnemonic, without ordering suffixes.
  package let name: String
  /// The values of the encoding's bits under ``mask``.
  package let match: UInt32
  /// The bits by which the instruction is told from others.
  package let mask: UInt32
  package let format: InstructionFormat
  package let operation: Operation
  /// What ``Instruction/info`` is where the encoding does not say; for `.system` the
  /// ``SystemOperation``.
  package let info: UInt8
  package let set: InstructionSet

  init(
    _ name: String, _ match: UInt32, _ format: InstructionFormat, _ operation: Operation,
    _ set: InstructionSet, info: UInt8 = 0, mask: UInt32? = nil
  ) {
    self.name = name
    self.match = match
    self.mask = mask ?? format.mask
    self.format = format
    self.operation = operation
    self.info = info
    self.set = set
  }

  init(
    _ name: String, _ match: UInt32, _ format: InstructionFormat, _ operation: SystemOperation,
    _ set: InstructionSet, mask: UInt32? = nil
  ) {
    self.init(name, match, format, .system, set, info: operation.rawValue, mask: mask)
  }
}

/// The extension that an instruction belongs to, by its name in a device tree's
/// `riscv,isa-extensions`; `privileged` stands for the privileged architecture.
package enum InstructionSet: String, CaseIterable, Sendable {
  case i, m, a, f, d, c
  case zicsr, zifencei, zihintpause, zicond
  case zba, zbb, zbs
  case zicbom, zicboz, zicbop
  case privileged, svinval
}
