/// Opcodes that work on SSE registers, and those with a VEX prefix (Intel SDM volume 2, appendix A).
extension X86Disassembler {
  /// The mandatory prefix as a place in a list: none, 0x66, 0xF3, 0xF2.
  private var prefix: Int { repeats == 0xF3 ? 2 : repeats == 0xF2 ? 3 : hasOperandSize ? 1 : 0 }

  /// Instructions `name xmm,xmm/memory` by opcode: their names and memory's sizes for each prefix.
  private static let forms: [UInt8: [(name: String, size: String)?]] = {
    let (all, double, single) = ("XMMWORD", "QWORD", "DWORD")
    var forms: [UInt8: [(name: String, size: String)?]] = [
      0x10: [("movups", all), ("movupd", all), ("movss", single), ("movsd", double)],
      0x14: [("unpcklps", all), ("unpcklpd", all)],
      0x28: [("movaps", all), ("movapd", all)],
      0x2E: [("ucomiss", single), ("ucomisd", double)],
      0x2F: [("comiss", single), ("comisd", double)],
      0x54: [("andps", all), ("andpd", all)],
      0x55: [("andnps", all), ("andnpd", all)],
      0x56: [("orps", all), ("orpd", all)],
      0x57: [("xorps", all), ("xorpd", all)],
      0x5A: [nil, nil, ("cvtss2sd", single), ("cvtsd2ss", double)],
      0x6F: [nil, ("movdqa", all), ("movdqu", all)],
      0x7E: [nil, nil, ("movq", double)],
    ]
    for (opcode, name) in scalars {
      forms[opcode] = [nil, nil, (name + "ss", single), (name + "sd", double)]
    }
    let integers: [(UInt8, String)] = [
      (0x62, "punpckldq"), (0x6C, "punpcklqdq"), (0x76, "pcmpeqd"), (0xD4, "paddq"), (0xDB, "pand"),
      (0xDF, "pandn"), (0xEB, "por"), (0xEF, "pxor"), (0xFB, "psubq"),
    ]
    for (opcode, name) in integers { forms[opcode] = [nil, (name, all)] }
    return forms
  }()

  private static let scalars: [UInt8: String] = [
    0x51: "sqrt", 0x58: "add", 0x59: "mul", 0x5C: "sub", 0x5D: "min", 0x5E: "div", 0x5F: "max",
  ]

  private func form(_ opcode: UInt8) -> (name: String, size: String)? {
    guard let forms = Self.forms[opcode], prefix < forms.count else { return nil }
    return forms[prefix]
  }

  mutating func sse(_ opcode: UInt8) -> String? {
    if let form = form(opcode) {
      let both = operands()
      return "\(form.name) \(xmm(both.reg)),\(vector(both, form.size))"
    }
    switch opcode {
    case 0x11, 0x29, 0x7F: return vectorStore(opcode)
    case 0x2A, 0x2C, 0x2D: return conversion(opcode)
    case 0x50:
      let both = operands()
      return both.rm.map { "movmskp\(prefix == 1 ? "d" : "s") \(register(both.reg, .w32)),\(xmm($0))" }
    case 0x6E, 0x7E: return generalMove(isToGeneral: opcode == 0x7E)
    case 0x70, 0xC6:
      let both = operands(trailing: 1)
      let name = opcode == 0x70 ? "pshufd" : "shufps"
      return "\(name) \(xmm(both.reg)),\(vector(both, "XMMWORD")),\(byteText())"
    case 0x72, 0x73:
      let both = operands(trailing: 1)
      guard let rm = both.rm, let name = [2: "psrl", 6: "psll"][both.reg & 7] else { return nil }
      return "\(name)\(opcode == 0x72 ? "d" : "q") \(xmm(rm)),\(byteText())"
    case 0xC2:
      let both = operands(trailing: 1)
      let source = vector(both, prefix == 3 ? "QWORD" : "DWORD")
      let predicate = ["eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"][Int(next() & 7)]
      return "cmp\(predicate)s\(prefix == 3 ? "d" : "s") \(xmm(both.reg)),\(source)"
    case 0xD6:
      let both = operands()
      return "movq \(vector(both, "QWORD")),\(xmm(both.reg))"
    default: return nil
    }
  }

  private mutating func vectorStore(_ opcode: UInt8) -> String? {
    // The loads' opcodes are one less, or 0x10 less, and their names the same.
    guard let form = form(opcode == 0x7F ? 0x6F : opcode - 1) else { return nil }
    let both = operands()
    return "\(form.name) \(vector(both, form.size)),\(xmm(both.reg))"
  }

  private mutating func conversion(_ opcode: UInt8) -> String? {
    let (letter, size) = prefix == 3 ? ("d", "QWORD") : ("s", "DWORD")
    let width = isWide ? Width.w64 : .w32
    let both = operands()
    if opcode == 0x2A { return "cvtsi2s\(letter) \(xmm(both.reg)),\(general(both, width))" }
    let name = opcode == 0x2C ? "cvtts\(letter)2si" : "cvts\(letter)2si"
    return "\(name) \(register(both.reg, width)),\(vector(both, size))"
  }

  private mutating func generalMove(isToGeneral: Bool) -> String? {
    guard prefix == 1 else { return nil }
    let both = operands()
    let (name, other) = isWide ? ("movq", general(both, .w64)) : ("movd", general(both, .w32))
    return isToGeneral ? "\(name) \(other),\(xmm(both.reg))" : "\(name) \(xmm(both.reg)),\(other)"
  }

  mutating func threeBytes38(_ opcode: UInt8) -> String? {
    switch opcode {
    case 0x29:
      let both = operands()
      return "pcmpeqq \(xmm(both.reg)),\(vector(both, "XMMWORD"))"
    case 0xF0, 0xF1: return swappedMove(isStore: opcode == 0xF1)
    default: return nil
    }
  }

  mutating func threeBytes3A(_ opcode: UInt8) -> String? {
    let both = operands(trailing: 1)
    let (letter, width) = isWide ? ("q", Width.w64) : ("d", .w32)
    switch opcode {
    case 0x0A: return "roundss \(xmm(both.reg)),\(vector(both, "DWORD")),\(byteText())"
    case 0x0B: return "roundsd \(xmm(both.reg)),\(vector(both, "QWORD")),\(byteText())"
    case 0x16: return "pextr\(letter) \(general(both, width)),\(xmm(both.reg)),\(byteText())"
    case 0x22: return "pinsr\(letter) \(xmm(both.reg)),\(general(both, width)),\(byteText())"
    default: return nil
    }
  }

  // MARK: - VEX

  mutating func vex(isShort: Bool) -> String? {
    var map: UInt8 = 1
    var last = next()
    // R, X and B are inverted; the short prefix has R alone.
    if isShort {
      rex = 0x40 | (last & 0x80 == 0 ? 4 : 0)
    } else {
      map = last & 0x1F
      rex = 0x40 | (~last >> 5) & 7
      last = next()
      if last & 0x80 != 0 { rex |= 8 }
    }
    let second = (~last >> 3) & 15
    let opcode = next()
    let width = isWide ? Width.w64 : .w32
    switch (map, last & 3, opcode) {
    case (1, 2...3, _):
      guard let name = Self.scalars[opcode] else { return nil }
      let isDouble = last & 3 == 3
      let both = operands()
      let operands = "\(xmm(both.reg)),\(xmm(second)),\(vector(both, isDouble ? "QWORD" : "DWORD"))"
      return "v\(name)s\(isDouble ? "d" : "s") \(operands)"
    case (2, 1, 0x99...0xBF): return fused(opcode, second)
    case (2, _, 0xF2...0xF7): return bitField(opcode, prefix: last & 3, second, width)
    case (3, 3, 0xF0):
      let both = operands(trailing: 1)
      return "rorx \(register(both.reg, width)),\(general(both, width)),\(byteText())"
    default: return nil
    }
  }

  private mutating func fused(_ opcode: UInt8, _ second: UInt8) -> String? {
    let kind = opcode & 15
    guard kind >= 9, kind & 1 == 1 else { return nil }
    let name = ["madd", "msub", "nmadd", "nmsub"][Int(kind - 9) / 2]
    let form = ["132", "213", "231"][Int(opcode >> 4) - 9]
    let both = operands()
    let third = vector(both, isWide ? "QWORD" : "DWORD")
    return "vf\(name)\(form)s\(isWide ? "d" : "s") \(xmm(both.reg)),\(xmm(second)),\(third)"
  }

  private mutating func bitField(_ opcode: UInt8, prefix: UInt8, _ second: UInt8, _ width: Width) -> String? {
    let both = operands()
    let (first, middle, last) = (register(both.reg, width), register(second, width), general(both, width))
    switch (opcode, prefix) {
    case (0xF2, 0): return "andn \(first),\(middle),\(last)"
    case (0xF5, 2): return "pext \(first),\(middle),\(last)"
    case (0xF5, 3): return "pdep \(first),\(middle),\(last)"
    case (0xF6, 3): return "mulx \(first),\(middle),\(last)"
    case (0xF5, 0): return "bzhi \(first),\(last),\(middle)"
    case (0xF7, _): return "\(["bextr", "shlx", "sarx", "shrx"][Int(prefix)]) \(first),\(last),\(middle)"
    default: return nil
    }
  }
}
