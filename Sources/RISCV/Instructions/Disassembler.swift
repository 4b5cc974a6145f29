internal import Translator

/// From encodings to assembly text, in the manner of `objdump -M no-aliases,numeric`.
package enum Disassembler {
  /// The instruction in the low bits of `bits`, as one line: mnemonic, a tab, operands.
  ///
  /// `address` is where the instruction is: targets are written as absolute addresses. What the
  /// decoder takes for illegal is a `.2byte` or `.4byte` directive; sixteen zeros, illegal for ever, are
  /// `c.unimp`.
  package static func text(_ bits: UInt32, at address: UInt64) -> String {
    let instruction = Decoder.decode(bits)
    guard let row = InstructionTable.row(of: instruction) else {
      let value = UInt64(bitPattern: instruction.imm)
      if instruction.length == 2 && value == 0 { return "c.unimp" }
      return ".\(instruction.length)byte\t\(hex(value))"
    }
    let encoding = Encoding(bits)
    let name = row.name + suffix(of: row.format, encoding)
    let operands = operands(of: row.format, instruction, encoding, at: address)
    return operands.isEmpty ? name : name + "\t" + operands.joined(separator: ",")
  }

  /// The ordering bits of atomic memory operations.
  private static func suffix(of format: InstructionFormat, _ encoding: Encoding) -> String {
    guard format == .atomic || format == .loadReserved else { return "" }
    return ["", ".rl", ".aq", ".aqrl"][Int(encoding.ordering)]
  }

  private static func operands(
    of format: InstructionFormat, _ i: Instruction, _ encoding: Encoding, at address: UInt64
  ) -> [String] {
    let destination = register(i.destination)
    let a = register(i.a)
    let b = register(i.b)
    let memory = "\(i.imm)(\(a))"
    let shift = hex(UInt64(bitPattern: i.imm))
    let upper = hex(UInt64(bitPattern: i.imm) >> 12 & 0xF_FFFF)
    let target = hex(address &+ UInt64(bitPattern: i.imm))
    let rounding = Self.rounding(encoding.roundingMode)
    switch format {
    case .fixed, .cFixed: return []
    case .r, .rShiftAdd, .float, .floatCompare: return [destination, a, b]
    case .rUnary, .floatMoveToInteger, .floatMoveFromInteger: return [destination, a]
    case .i: return [destination, a, "\(i.imm)"]
    case .iShift, .iShift32: return [destination, a, shift]
    case .iLoad, .iFloatLoad, .clWord, .clDouble, .clFloatDouble, .ciLoadWordSP, .ciLoadDoubleSP,
      .ciFloatLoadDoubleSP:
      return [destination, memory]
    case .s, .sFloat, .csWord, .csDouble, .csFloatDouble, .cssWord, .cssDouble, .cssFloatDouble:
      return [b, memory]
    case .b: return [a, b, target]
    case .u, .ciUpper: return [destination, upper]
    case .j: return [destination, target]
    case .fence: return [accesses(encoding.field(24, 4)), accesses(encoding.field(20, 4))]
    case .csr: return [destination, ControlRegisterName.text(encoding.csr), a]
    case .csrImmediate: return [destination, ControlRegisterName.text(encoding.csr), "\(i.a)"]
    case .fenceVMA: return [a, b]
    case .cacheBlock: return ["(\(a))"]
    case .prefetch: return [memory]
    case .atomic: return [destination, b, "(\(a))"]
    case .loadReserved: return [destination, "(\(a))"]
    case .r4: return [destination, a, b, register(i.c)] + rounding
    case .floatRounded: return [destination, a, b] + rounding
    case .floatUnary, .floatToInteger, .floatFromInteger: return [destination, a] + rounding
    case .floatUnaryExact, .floatFromIntegerExact:
      return [destination, a] + (encoding.roundingMode == 0 ? [] : rounding)
    case .ciwAddSP: return [destination, a, "\(i.imm)"]
    case .ci, .ciNotZero, .ciLoad, .ciAddSP, .cbAnd: return [destination, "\(i.imm)"]
    case .ciShift, .cbShift: return [destination, shift]
    case .ca, .crMove, .crAdd: return [destination, b]
    case .cj: return [target]
    case .cbBranch: return [a, target]
    case .crJump: return [a]
    }
  }

  private static func register(_ number: UInt8) -> String {
    number < 32 ? "x\(number)" : "f\(number - 32)"
  }

  private static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  /// The rounding mode as a last operand; the dynamic one is not written.
  private static func rounding(_ mode: UInt8) -> [String] {
    let names = ["rne", "rtz", "rdn", "rup", "rmm"]
    return mode < names.count ? [names[Int(mode)]] : []
  }

  /// A fence's set of accesses.
  private static func accesses(_ set: UInt32) -> String {
    let letters = zip(["i", "o", "r", "w"], [8, 4, 2, 1] as [UInt32])
    let text = letters.filter { set & $0.1 != 0 }.map(\.0).joined()
    return text.isEmpty ? "unknown" : text
  }
}
