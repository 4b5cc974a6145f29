/// From x86-64 code back to text: of every instruction that ``X86Assembler`` emits, in the manner of
/// `objdump -M intel` with single blanks. It is for people who look at generated code on a host without
/// other tools, and for tests; it does not know the rest of the instruction set.
package struct X86Disassembler {
  /// An instruction of a piece of code.
  package struct Line: Equatable, Sendable {
    /// Bytes from the start of the code.
    package let offset: Int
    package let length: Int
    /// Mnemonic and operands, or a `.byte` directive for what is not known.
    package let text: String
  }

  /// The instructions of `code`, one after the other. `name` may say what lies at an offset from the code's
  /// start that is jumped to or, relative to the instruction pointer, accessed; otherwise it is a number.
  package static func lines(
    _ code: UnsafeRawBufferPointer, name: (_ offset: Int) -> String? = { _ in nil }
  ) -> [Line] {
    withoutActuallyEscaping(name) { name in
      var lines: [Line] = []
      var offset = 0
      while offset < code.count {
        var one = X86Disassembler(code: code, start: offset, name: name)
        let text = one.instruction()
        if let text, !one.isCut {
          lines.append(Line(offset: offset, length: one.place - offset, text: text))
          offset = one.place
        } else {
          lines.append(Line(offset: offset, length: 1, text: ".byte \(hex(UInt64(code[offset])))"))
          offset += 1
        }
      }
      return lines
    }
  }

  // MARK: - The instruction at hand

  let code: UnsafeRawBufferPointer
  let name: (Int) -> String?
  /// The next byte.
  var place: Int
  /// The code ended within the instruction.
  var isCut = false
  /// Prefixes: REX (0: none), and whether there was 0x66, 0xF2 or 0xF3.
  var rex: UInt8 = 0
  var hasOperandSize = false
  var repeats: UInt8 = 0
  /// What memory operands begin with: the segment's name, where it is given.
  var segment = ""
  /// Bytes of immediates behind an operand that is relative to the instruction's end.
  var trailing = 0

  private init(code: UnsafeRawBufferPointer, start: Int, name: @escaping (Int) -> String?) {
    self.code = code
    self.name = name
    place = start
  }

  private mutating func instruction() -> String? {
    var locks = ""
    while place < code.count {
      let byte = next()
      switch byte {
      case 0xF0: locks = "lock "
      case 0x2E: locks = "cs "
      case 0x65: segment = "gs:"
      case 0x66: hasOperandSize = true
      case 0xF2, 0xF3: repeats = byte
      case 0x40...0x4F:
        rex = byte
        return text(next()).map { locks + $0 }
      default: return text(byte).map { locks + $0 }
      }
    }
    return nil
  }

  private mutating func text(_ opcode: UInt8) -> String? {
    switch opcode {
    case 0x0F: twoBytes(next())
    case 0xC4, 0xC5: vex(isShort: opcode == 0xC5)
    default: oneByte(opcode)
    }
  }

  // MARK: - Bytes

  mutating func next() -> UInt8 {
    guard place < code.count else {
      isCut = true
      return 0
    }
    place += 1
    return code[place - 1]
  }

  private mutating func integer(bytes: Int) -> UInt64 {
    (0..<bytes).reduce(0) { $0 | UInt64(next()) << UInt64(8 * $1) }
  }

  /// An integer of `bytes` bytes, sign-extended.
  mutating func signed(bytes: Int) -> Int64 {
    let spare = UInt64(64 - 8 * bytes)
    return Int64(bitPattern: integer(bytes: bytes) << spare) >> Int64(spare)
  }

  mutating func byteText() -> String { Self.hex(UInt64(next())) }

  // MARK: - Widths and registers

  var isWide: Bool { rex & 8 != 0 }

  /// The width of operands that are not bytes.
  var width: Width { isWide ? .w64 : hasOperandSize ? .w16 : .w32 }

  func width(isByte: Bool) -> Width { isByte ? .w8 : width }

  static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  /// A constant as an operand of a width has it.
  func constant(_ value: Int64, _ width: Width) -> String {
    let bits = UInt64(bitPattern: value)
    return Self.hex(width == .w64 ? bits : bits & (1 << UInt64(8 * width.bytes) - 1))
  }

  /// An immediate of a width, four bytes at most.
  mutating func immediate(_ width: Width) -> String {
    constant(signed(bytes: min(width.bytes, 4)), width)
  }

  private static let families = ["a", "c", "d", "b", "sp", "bp", "si", "di"]

  func register(_ number: UInt8, _ width: Width) -> String {
    if number >= 8 { return "r\(number)" + ["b", "w", "d", ""][Int(width.code)] }
    let family = Self.families[Int(number)]
    let name = number < 4 ? family + "x" : family
    switch width {
    case .w8:
      // Without REX four to seven are the upper bytes of the first registers.
      if number >= 4, rex == 0 { return Self.families[Int(number) - 4] + "h" }
      return family + "l"
    case .w16: return name
    case .w32: return "e" + name
    case .w64: return "r" + name
    }
  }

  func xmm(_ number: UInt8) -> String { "xmm\(number)" }

  static func pointer(_ width: Width) -> String {
    ["BYTE PTR ", "WORD PTR ", "DWORD PTR ", "QWORD PTR "][Int(width.code)]
  }

  // MARK: - ModRM

  /// What a ModRM byte names: a register's number and the other operand.
  struct Operands {
    var reg: UInt8
    /// The other operand's register, nil for memory.
    var rm: UInt8?
    /// The text of the memory operand, without its size.
    var memory: String
  }

  /// Reads the ModRM byte and what belongs to it. `trailing` bytes of immediates follow.
  mutating func operands(trailing: Int = 0) -> Operands {
    self.trailing = trailing
    let modRM = next()
    let reg = (modRM >> 3) & 7 | (rex & 4) << 1
    let low = modRM & 7
    let mod = modRM >> 6
    if mod == 3 { return Operands(reg: reg, rm: low | (rex & 1) << 3, memory: "") }
    return Operands(reg: reg, rm: nil, memory: memory(mod: mod, low: low))
  }

  private mutating func memory(mod: UInt8, low: UInt8) -> String {
    if mod == 0, low == 5 {
      let distance = Int(signed(bytes: 4))
      return name(place + trailing + distance).map { "\(segment)[\($0)]" }
        ?? "\(segment)[rip\(Self.sum(Int64(distance)))]"
    }
    var base: UInt8? = low | (rex & 1) << 3
    var index: UInt8?
    var scale = 0
    if low == 4 {
      let sib = next()
      scale = 1 << Int(sib >> 6)
      let number = (sib >> 3) & 7 | (rex & 2) << 2
      if number != 4 { index = number }
      base = mod == 0 && sib & 7 == 5 ? nil : sib & 7 | (rex & 1) << 3
    }
    let bytes = mod == 1 ? 1 : mod == 2 || base == nil ? 4 : 0
    let displacement = signed(bytes: max(bytes, 1), when: bytes > 0)
    guard base != nil || index != nil else {
      return (segment.isEmpty ? "ds:" : segment) + Self.hex(UInt64(bitPattern: displacement))
    }
    var text = base.map { register($0, .w64) } ?? ""
    if let index { text += (text.isEmpty ? "" : "+") + register(index, .w64) + "*\(scale)" }
    return segment + "[" + text + (bytes > 0 ? Self.sum(displacement) : "") + "]"
  }

  private mutating func signed(bytes: Int, when isThere: Bool) -> Int64 { isThere ? signed(bytes: bytes) : 0 }

  private static func sum(_ value: Int64) -> String {
    (value < 0 ? "-0x" : "+0x") + String(value.magnitude, radix: 16)
  }

  /// The operand that may be memory, as a general register of a width.
  func general(_ operands: Operands, _ width: Width) -> String {
    operands.rm.map { register($0, width) } ?? Self.pointer(width) + operands.memory
  }

  /// The operand that may be memory, as an SSE register; `size` names memory's.
  func vector(_ operands: Operands, _ size: String) -> String {
    operands.rm.map(xmm) ?? "\(size) PTR \(operands.memory)"
  }

  /// Where a jump leads that a distance of `bytes` bytes follows.
  mutating func target(bytes: Int) -> String {
    let distance = Int(signed(bytes: bytes))
    return name(place + distance) ?? Self.hex(UInt64(bitPattern: Int64(place + distance)))
  }

  func condition(_ opcode: UInt8) -> String {
    ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"][Int(opcode & 15)]
  }
}
