/// Opcodes of one byte, and of two that work on general registers (Intel SDM volume 2, appendix A).
extension X86Disassembler {
  private static let arithmetic = ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"]
  private static let shifts = ["rol", "ror", "rcl", "rcr", "shl", "shr", "", "sar"]

  mutating func oneByte(_ opcode: UInt8) -> String? {
    let isByte = opcode & 1 == 0
    switch opcode {
    case 0x00...0x3D where opcode & 7 < 6:
      return arithmetic(Self.arithmetic[Int(opcode >> 3)], form: opcode & 7)
    case 0x50...0x57: return "push " + register(opcode & 7 | (rex & 1) << 3, .w64)
    case 0x58...0x5F: return "pop " + register(opcode & 7 | (rex & 1) << 3, .w64)
    case 0x63:
      let both = operands()
      return "movsxd \(register(both.reg, width)),\(general(both, .w32))"
    case 0x68: return "push " + constant(signed(bytes: 4), .w64)
    case 0x6A: return "push " + constant(signed(bytes: 1), .w64)
    case 0x69, 0x6B: return product(isShort: opcode == 0x6B)
    case 0x70...0x7F: return "j\(condition(opcode)) " + target(bytes: 1)
    case 0x80, 0x81, 0x83: return arithmeticConstant(opcode)
    case 0x84, 0x85: return pair("test", isByte: isByte)
    case 0x86, 0x87: return pair("xchg", isByte: isByte)
    case 0x88, 0x89: return pair("mov", isByte: isByte)
    case 0x8A, 0x8B: return reversedPair("mov", isByte: isByte)
    case 0x8D:
      let both = operands()
      return both.rm == nil ? "lea \(register(both.reg, width)),\(both.memory)" : nil
    case 0x8F: return "pop " + general(operands(), .w64)
    case 0x90...0x97: return exchange(opcode)
    case 0x98: return isWide ? "cdqe" : hasOperandSize ? "cbw" : "cwde"
    case 0x99: return isWide ? "cqo" : hasOperandSize ? "cwd" : "cdq"
    case 0xA4, 0xA5, 0xAA, 0xAB: return string(opcode)
    case 0xA8, 0xA9:
      let width = width(isByte: isByte)
      return "test \(register(0, width)),\(immediate(width))"
    case 0xB0...0xB7: return "mov \(register(opcode & 7 | (rex & 1) << 3, .w8)),\(immediate(.w8))"
    case 0xB8...0xBF: return moveConstant(opcode)
    case 0xC0, 0xC1, 0xD0...0xD3: return shift(opcode)
    case 0xC6, 0xC7:
      let width = width(isByte: isByte)
      let both = operands(trailing: min(width.bytes, 4))
      return both.reg & 7 == 0 ? "mov \(general(both, width)),\(immediate(width))" : nil
    case 0xE8: return "call " + target(bytes: 4)
    case 0xE9: return "jmp " + target(bytes: 4)
    case 0xEB: return "jmp " + target(bytes: 1)
    case 0xF6, 0xF7: return unary(isByte: isByte)
    case 0xFE, 0xFF: return stepOrJump(isByte: isByte)
    default: return Self.plain[opcode]
    }
  }

  private static let plain: [UInt8: String] = [
    0x9C: "pushf", 0x9D: "popf", 0x9E: "sahf", 0x9F: "lahf", 0xC3: "ret", 0xCC: "int3", 0xF4: "hlt",
    0xF5: "cmc", 0xF8: "clc", 0xF9: "stc", 0xFC: "cld",
  ]

  private mutating func arithmetic(_ name: String, form: UInt8) -> String {
    let width = width(isByte: form & 1 == 0)
    if form >= 4 { return "\(name) \(register(0, width)),\(immediate(width))" }
    return form < 2 ? pair(name, isByte: form == 0) : reversedPair(name, isByte: form == 2)
  }

  /// `name rm,reg`.
  private mutating func pair(_ name: String, isByte: Bool) -> String {
    let width = width(isByte: isByte)
    let both = operands()
    return "\(name) \(general(both, width)),\(register(both.reg, width))"
  }

  /// `name reg,rm`.
  private mutating func reversedPair(_ name: String, isByte: Bool) -> String {
    let width = width(isByte: isByte)
    let both = operands()
    return "\(name) \(register(both.reg, width)),\(general(both, width))"
  }

  private mutating func arithmeticConstant(_ opcode: UInt8) -> String {
    let width = width(isByte: opcode == 0x80)
    let bytes = opcode == 0x81 ? min(width.bytes, 4) : 1
    let both = operands(trailing: bytes)
    return "\(Self.arithmetic[Int(both.reg & 7)]) \(general(both, width)),"
      + constant(signed(bytes: bytes), width)
  }

  private mutating func product(isShort: Bool) -> String {
    let bytes = isShort ? 1 : min(width.bytes, 4)
    let both = operands(trailing: bytes)
    return "imul \(register(both.reg, width)),\(general(both, width)),"
      + constant(signed(bytes: bytes), width)
  }

  private mutating func exchange(_ opcode: UInt8) -> String {
    let other = opcode & 7 | (rex & 1) << 3
    if other == 0, rex == 0 { return repeats == 0xF3 ? "pause" : hasOperandSize ? "xchg ax,ax" : "nop" }
    return "xchg \(register(other, width)),\(register(0, width))"
  }

  private func string(_ opcode: UInt8) -> String {
    let width = width(isByte: opcode & 1 == 0)
    let repetition = repeats == 0 ? "" : "rep "
    let (destination, size) = ("es:[rdi]", Self.pointer(width))
    return opcode < 0xA8
      ? "\(repetition)movs \(size)\(destination),\(size)ds:[rsi]"
      : "\(repetition)stos \(size)\(destination),\(register(0, width))"
  }

  private mutating func moveConstant(_ opcode: UInt8) -> String {
    let destination = register(opcode & 7 | (rex & 1) << 3, width)
    if isWide { return "movabs \(destination),\(constant(signed(bytes: 8), .w64))" }
    return "mov \(destination),\(immediate(width))"
  }

  private mutating func shift(_ opcode: UInt8) -> String? {
    let width = width(isByte: opcode & 1 == 0)
    let both = operands(trailing: opcode < 0xD0 ? 1 : 0)
    let count = opcode < 0xD0 ? byteText() : opcode < 0xD2 ? "1" : "cl"
    let name = Self.shifts[Int(both.reg & 7)]
    return name.isEmpty ? nil : "\(name) \(general(both, width)),\(count)"
  }

  private mutating func unary(isByte: Bool) -> String? {
    let width = width(isByte: isByte)
    // Only `test` has an immediate, and only its operand may be counted from behind it.
    let isTest = place < code.count && code[place] & 0x38 == 0
    let both = operands(trailing: isTest ? min(width.bytes, 4) : 0)
    let operand = general(both, width)
    if isTest { return "test \(operand),\(immediate(width))" }
    let name = ["", "", "not", "neg", "mul", "imul", "div", "idiv"][Int(both.reg & 7)]
    return name.isEmpty ? nil : "\(name) \(operand)"
  }

  private mutating func stepOrJump(isByte: Bool) -> String? {
    let both = operands()
    switch both.reg & 7 {
    case 0: return "inc " + general(both, width(isByte: isByte))
    case 1: return "dec " + general(both, width(isByte: isByte))
    case 2 where !isByte: return "call " + general(both, .w64)
    case 4 where !isByte: return "jmp " + general(both, .w64)
    case 6 where !isByte: return "push " + general(both, .w64)
    default: return nil
    }
  }

  // MARK: - Two bytes

  mutating func twoBytes(_ opcode: UInt8) -> String? {
    switch opcode {
    case 0x0B: return "ud2"
    case 0x18:
      let both = operands()
      return both.reg & 7 == 1 && both.rm == nil ? "prefetcht0 BYTE PTR " + both.memory : nil
    case 0x1F: return "nop " + general(operands(), width)
    case 0x31: return "rdtsc"
    case 0x40...0x4F: return reversedPair("cmov" + condition(opcode), isByte: false)
    case 0x80...0x8F: return "j\(condition(opcode)) " + target(bytes: 4)
    case 0x90...0x9F: return "set\(condition(opcode)) " + general(operands(), .w8)
    case 0xA2: return "cpuid"
    case 0xA3: return pair("bt", isByte: false)
    case 0xAB: return pair("bts", isByte: false)
    case 0xB3: return pair("btr", isByte: false)
    case 0xBB: return pair("btc", isByte: false)
    case 0xA4, 0xA5: return doubleShift("shld", byConstant: opcode == 0xA4)
    case 0xAC, 0xAD: return doubleShift("shrd", byConstant: opcode == 0xAC)
    case 0xAE: return fenceOrControl()
    case 0xAF: return reversedPair("imul", isByte: false)
    case 0xB0, 0xB1: return pair("cmpxchg", isByte: opcode == 0xB0)
    case 0xB6, 0xBE: return extend(opcode == 0xB6 ? "movzx" : "movsx", from: .w8)
    case 0xB7, 0xBF: return extend(opcode == 0xB7 ? "movzx" : "movsx", from: .w16)
    case 0xB8: return repeats == 0xF3 ? reversedPair("popcnt", isByte: false) : nil
    case 0xBA:
      let both = operands(trailing: 1)
      let name = ["bt", "bts", "btr", "btc"][Int(both.reg & 3)]
      return both.reg & 4 == 0 ? nil : "\(name) \(general(both, width)),\(byteText())"
    case 0xBC: return reversedPair(repeats == 0xF3 ? "tzcnt" : "bsf", isByte: false)
    case 0xBD: return reversedPair(repeats == 0xF3 ? "lzcnt" : "bsr", isByte: false)
    case 0xC0, 0xC1: return pair("xadd", isByte: opcode == 0xC0)
    case 0xC7:
      let both = operands()
      guard both.reg & 7 == 1, both.rm == nil else { return nil }
      return isWide ? "cmpxchg16b OWORD PTR " + both.memory : "cmpxchg8b QWORD PTR " + both.memory
    case 0xC8...0xCF: return "bswap " + register(opcode & 7 | (rex & 1) << 3, width)
    case 0x38: return threeBytes38(next())
    case 0x3A: return threeBytes3A(next())
    default: return sse(opcode)
    }
  }

  private mutating func extend(_ name: String, from: Width) -> String {
    let both = operands()
    return "\(name) \(register(both.reg, width)),\(general(both, from))"
  }

  private mutating func doubleShift(_ name: String, byConstant: Bool) -> String {
    let both = operands(trailing: byConstant ? 1 : 0)
    let operands = "\(general(both, width)),\(register(both.reg, width))"
    return "\(name) \(operands),\(byConstant ? byteText() : "cl")"
  }

  private mutating func fenceOrControl() -> String? {
    let both = operands()
    if both.rm != nil { return [5: "lfence", 6: "mfence", 7: "sfence"][both.reg & 7] }
    return [2: "ldmxcsr DWORD PTR ", 3: "stmxcsr DWORD PTR "][both.reg & 7].map { $0 + both.memory }
  }

  /// `movbe`, which the general registers have among the three-byte opcodes.
  mutating func swappedMove(isStore: Bool) -> String? {
    let both = operands()
    guard both.rm == nil else { return nil }
    let (register, memory) = (register(both.reg, width), general(both, width))
    return isStore ? "movbe \(memory),\(register)" : "movbe \(register),\(memory)"
  }
}
