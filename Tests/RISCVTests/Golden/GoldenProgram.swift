import RISCV
import Translator

/// A few guest instructions whose way through the translator is kept as text.
struct GoldenProgram {
  var title: String
  /// Where it lies.
  var address: UInt64 = 0x1_0000
  var key: UInt64 = 0
  /// Whether supervisor mode runs it.
  var isSupervisor = false
  /// Whether the cold code is kept too.
  var showsCold = false
  var bytes: [UInt8]

  init(
    _ title: String, float: Bool = false, supervisor: Bool = false, cold: Bool = false,
    at address: UInt64 = 0x1_0000, _ body: (inout LockstepCode) -> Void
  ) {
    self.title = title
    self.address = address
    key = float ? BlockKeyBit.usesFloat : 0
    isSupervisor = supervisor
    showsCold = cold
    var code = LockstepCode(base: address)
    body(&code)
    bytes = code.finished()
  }

  /// The guest's code, the intermediate representation, and x86-64 code.
  func text() throws -> String {
    var lines = ["## \(title)", ""]
    var architecture = Lifter.architecture
    var options = CodeStore.Options()
    options.arenaSize = 256 << 10
    // The same code on every host.
    options.features = HostFeatures(
      bitCounts: true, flaglessShifts: true, fusedMultiplyAdd: true, threeOperands: true)
    options.profile = TranslationProfile(arenaSize: options.arenaSize, countsExecutions: false)

    let page = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    defer { page.deallocate() }
    page.initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    bytes.withUnsafeBytes {
      (page + Int(address & 0xFFF)).copyMemory(from: $0.baseAddress!, byteCount: $0.count)
    }
    let lifter = Lifter()
    let mode: UInt64 = isSupervisor ? 4 : 0
    architecture.blockLimit = count
    let instructions = UnsafeMutablePointer<Instruction>.allocate(capacity: count)
    defer { instructions.deallocate() }
    let lifted = lifter.lift(
      pc: address, page: UnsafeRawPointer(page), key: key | mode, into: instructions, room: count)

    let code = try CodeStore(architecture: architecture, options: options)
    let found = code.find(
      pc: address, number: 16, page: UnsafeRawPointer(page), key: key, mode: mode, lifter: lifter,
      isClaimed: { true })
    guard case .code = found, let listing = code.profiledBlocks(listings: 1).first?.listing else {
      return lines.joined(separator: "\n") + "no block\n"
    }
    lines += guestLines
    lines.append("")
    for index in 0..<lifted { lines.append("    \(instructions[index])") }
    lines.append("")
    for part in listing.parts {
      if part.isCold, !showsCold {
        lines.append("    (\(part.host.count) instructions of cold code)")
        continue
      }
      lines += part.host.map { "    " + $0 }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private var encodings: [(offset: Int, bits: UInt32, length: Int)] {
    var encodings: [(offset: Int, bits: UInt32, length: Int)] = []
    var offset = 0
    while offset < bytes.count {
      var bits = UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8
      let length = bits & 3 == 3 ? 4 : 2
      if length == 4 { bits |= UInt32(bytes[offset + 2]) << 16 | UInt32(bytes[offset + 3]) << 24 }
      encodings.append((offset, bits, length))
      offset += length
    }
    return encodings
  }

  private var count: Int { encodings.count }

  private var guestLines: [String] {
    encodings.map { one in
      let place = String(address + UInt64(one.offset), radix: 16)
      let digits = String(one.bits, radix: 16)
      let padded = String(repeating: "0", count: one.length * 2 - digits.utf8.count) + digits
      let text = Disassembler.text(one.bits, at: address + UInt64(one.offset)).replacing("\t", with: " ")
      return "    \(place): \(padded)\(one.length == 2 ? "    " : "") \(text)"
    }
  }
}

extension GoldenProgram {
  /// One instruction for each operation that the table of instructions leads to: with the destination and the
  /// first operand in host registers, the second in memory.
  static func operations(float: Bool) -> [GoldenProgram] {
    var seen: Set<Operation> = [.system]
    var programs: [GoldenProgram] = []
    for row in InstructionTable.words {
      // rd 10, rounding mode dynamic, rs1 11, rs2 16, rs3 12, wherever the instruction has such a field.
      let operands: UInt32 = 10 << 7 | 7 << 12 | 11 << 15 | 16 << 20 | 12 << 27
      let bits = row.match | operands & ~row.mask
      let operation = Decoder.decode(bits).operation
      guard operation == row.operation, isFloat(operation) == float, seen.insert(operation).inserted else {
        continue
      }
      programs.append(GoldenProgram("\(operation)", float: float) { $0.word(bits) })
    }
    return programs
  }

  private static func isFloat(_ operation: Operation) -> Bool {
    operation == .loadFloat32
      || (Operation.floatAdd32.rawValue...Operation.uint64ToFloat64.rawValue).contains(operation.rawValue)
  }
}
