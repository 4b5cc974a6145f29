import RISCV
import Testing
import Translator

/// Every instruction of user programs against QEMU's user emulation: registers, flags, memory and
/// control flow, thousands of operand sets each.
@Suite(.enabled(if: Tool.qemu.isInstalled, "needs qemu-riscv64"))
struct InterpreterTests {
  /// All rows but the hart's own instructions and an extension younger than the oracle.
  static let rows = (InstructionTable.words + InstructionTable.compressed)
    .filter { $0.operation != .system && $0.set != .zicond }.map(\.name)

  @Test(arguments: rows)
  func agreesWithQEMU(name: String) throws {
    let row = try #require(
      (InstructionTable.words + InstructionTable.compressed).first { $0.name == name })
    let program = InstructionProgram(row: row)
    let output = try Tool.qemu.run(
      ["-cpu", "rv64,zba=true,zbb=true,zbs=true"], on: program.file.bytes)
    try #require(
      output.count == program.sites.count * InstructionProgram.outputPerSite + program.memory.count)
    var memory = TestMemory(base: InstructionProgram.memoryBase, bytes: program.memory)
    var mismatches: [String] = []
    for (number, site) in program.sites.enumerated() {
      let start = number * InstructionProgram.outputPerSite
      mismatches += run(
        site, of: program, memory: &memory,
        expected: output[start..<start + InstructionProgram.outputPerSite])
    }
    let changes = zip(memory.bytes, output.suffix(program.memory.count)).enumerated().filter { $1.0 != $1.1 }
    mismatches += changes.prefix(4).map { "memory at \($0): \($1.0), not \($1.1)" }
    #expect(mismatches.isEmpty, "\(mismatches.count): \(mismatches.prefix(8).joined(separator: "\n"))")
  }

  /// Runs a site here and returns what is not as in the output.
  private func run(
    _ site: InstructionProgram.Site, of program: InstructionProgram, memory: inout TestMemory,
    expected: ArraySlice<UInt8>
  ) -> [String] {
    let words = expected.withUnsafeBytes { bytes in
      (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
    }
    let state = TestContext()
    let x = state.context.registers
    for register in 0..<64 { x[register] = site.registers[register] }
    let i = site.instruction
    var mismatches: [String] = []
    for (number, operands) in site.cases.enumerated() {
      state.fcsr = operands.fcsr
      if i.c != 0 { x[Int(i.c)] = operands.operands[2] }
      if i.b != 0 { x[Int(i.b)] = operands.operands[1] }
      if i.a != 0 { x[Int(i.a)] = operands.operands[0] }
      var pc = site.address
      var outcome = ""
      do {
        if site.reserves {
          _ =
            program.row.operation == .storeConditional32
            ? UInt64(try memory.loadReserved(x[Int(i.a)], as: UInt32.self))
            : try memory.loadReserved(x[Int(i.a)], as: UInt64.self)
        }
        try Interpreter.execute(i, pc: &pc, context: state.context, memory: &memory)
      } catch {
        outcome = "\(error)"
      }
      let ours = InstructionProgram.Result(destination: x[Int(i.destination)], fcsr: state.fcsr, next: pc)
      var theirs = InstructionProgram.Result(
        destination: words[number * 3], fcsr: words[number * 3 + 1], next: words[number * 3 + 2])
      if !program.isControlFlow { theirs.next = site.address + UInt64(i.length) }
      if ours == theirs && outcome.isEmpty { continue }
      let text = Disassembler.text(site.bits, at: site.address)
      let inputs = (operands.operands + [operands.fcsr]).map { String($0, radix: 16) }
      mismatches.append("\(text) of \(inputs): \(ours) \(outcome), not \(theirs)")
    }
    for register in 0..<64 where !site.harness.contains(register) {
      let theirs = words[InstructionProgram.casesPerSite * 3 + register]
      if x[register] != theirs {
        mismatches.append(
          "\(Disassembler.text(site.bits, at: site.address)): register \(register) is \(x[register]), not \(theirs)"
        )
      }
    }
    return mismatches
  }
}
