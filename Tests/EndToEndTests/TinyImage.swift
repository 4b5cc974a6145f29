/// A riscv64 kernel of a few instructions, which obeys characters on the serial port: a Linux `Image` in form
/// (Documentation/arch/riscv/boot-image-header.rst), entered in S-mode with translation off.
enum TinyImage {
  private enum Register {
    static let zero: UInt32 = 0
    /// The serial port.
    static let port: UInt32 = 5
    static let character: UInt32 = 6
    static let wanted: UInt32 = 7
    static let value: UInt32 = 28
    /// The system controller, whose word is an order.
    static let system: UInt32 = 29
    static let count: UInt32 = 30
  }

  /// Writes `hello\n`, then each character that it is sent, but for its orders: `q` switches off, `f` does so and
  /// says that it failed with code 3, `r` restarts, `x` writes 100,000 times `x` and a line's end.
  static let file: [UInt8] = {
    var code: [UInt32] = [
      lui(Register.port, 0x10000), lui(Register.system, 0x100),
    ]
    for byte in "hello\n".utf8 {
      code += [addi(Register.value, Register.zero, Int32(byte)), sb(Register.value, Register.port)]
    }
    let loop = code.count
    code += [
      lbu(Register.character, Register.port, 5), andi(Register.character, Register.character, 1),
      beq(Register.character, Register.zero, -8), lbu(Register.character, Register.port, 0),
    ]
    // What each order does, behind a jump over it.
    func order(_ character: Character, _ body: [UInt32]) {
      code += [
        addi(Register.wanted, Register.zero, Int32(character.asciiValue ?? 0)),
        bne(Register.character, Register.wanted, Int32(4 * (body.count + 1))),
      ]
      code += body
    }
    func tell(_ upper: UInt32, _ lower: Int32) -> [UInt32] {
      [
        lui(Register.value, upper), addi(Register.value, Register.value, lower),
        sw(Register.value, Register.system), jal(0),
      ]
    }
    order("q", tell(0x5, 0x555))
    order("f", tell(0x33, 0x333))  // 0x3333 for a failure, and the code above it
    order("r", tell(0x7, 0x777))
    order(
      "x",
      [
        lui(Register.count, 100_000 >> 12), addi(Register.count, Register.count, 100_000 & 0xFFF),
        sb(Register.character, Register.port), addi(Register.count, Register.count, -1),
        bne(Register.count, Register.zero, -8), addi(Register.character, Register.zero, 10),
      ])
    code.append(sb(Register.character, Register.port))
    code.append(jal(Int32(4 * (loop - code.count))))

    var file = [UInt8](repeating: 0, count: 8192)
    func store(_ value: UInt32, at offset: Int) {
      for index in 0..<4 { file[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
    store(jal(64), at: 0)
    store(0x20_0000, at: 8)  // text_offset
    store(0x4000, at: 16)  // image_size
    file.replaceSubrange(0x30..<0x35, with: Array("RISCV".utf8))
    file.replaceSubrange(0x38..<0x3C, with: Array("RSC\u{5}".utf8))
    for (index, word) in code.enumerated() { store(word, at: 64 + 4 * index) }
    return file
  }()

  // MARK: - Encodings (The RISC-V Instruction Set Manual, volume I, "RV32/64G Instruction Set Listings")

  private static func lui(_ rd: UInt32, _ upper: UInt32) -> UInt32 { upper << 12 | rd << 7 | 0x37 }
  private static func immediate(
    _ rd: UInt32, _ rs1: UInt32, _ value: Int32, _ function: UInt32, _ opcode: UInt32
  ) -> UInt32 {
    UInt32(bitPattern: value) << 20 | rs1 << 15 | function << 12 | rd << 7 | opcode
  }
  private static func addi(_ rd: UInt32, _ rs1: UInt32, _ value: Int32) -> UInt32 {
    immediate(rd, rs1, value, 0, 0x13)
  }
  private static func andi(_ rd: UInt32, _ rs1: UInt32, _ value: Int32) -> UInt32 {
    immediate(rd, rs1, value, 7, 0x13)
  }
  private static func lbu(_ rd: UInt32, _ rs1: UInt32, _ offset: Int32) -> UInt32 {
    immediate(rd, rs1, offset, 4, 0x03)
  }
  private static func sb(_ rs2: UInt32, _ rs1: UInt32) -> UInt32 { rs2 << 20 | rs1 << 15 | 0x23 }
  private static func sw(_ rs2: UInt32, _ rs1: UInt32) -> UInt32 { rs2 << 20 | rs1 << 15 | 2 << 12 | 0x23 }
  private static func beq(_ rs1: UInt32, _ rs2: UInt32, _ offset: Int32) -> UInt32 {
    branch(rs1, rs2, offset, 0)
  }
  private static func bne(_ rs1: UInt32, _ rs2: UInt32, _ offset: Int32) -> UInt32 {
    branch(rs1, rs2, offset, 1)
  }
  private static func branch(_ rs1: UInt32, _ rs2: UInt32, _ offset: Int32, _ function: UInt32) -> UInt32 {
    let bits = UInt32(bitPattern: offset)
    let high = (bits >> 12 & 1) << 31 | (bits >> 5 & 0x3F) << 25
    return high | rs2 << 20 | rs1 << 15 | function << 12 | (bits >> 1 & 0xF) << 8 | (bits >> 11 & 1) << 7
      | 0x63
  }
  /// `j`.
  private static func jal(_ offset: Int32) -> UInt32 {
    let bits = UInt32(bitPattern: offset)
    return (bits >> 20 & 1) << 31 | (bits >> 1 & 0x3FF) << 21 | (bits >> 11 & 1) << 20
      | (bits >> 12 & 0xFF) << 12 | 0x6F
  }
}
