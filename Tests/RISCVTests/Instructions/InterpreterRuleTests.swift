import RISCV
import Testing
import Translator

/// What the specification says and no oracle at hand shows: traps, reserved rounding modes, the
/// youngest extension, the note that floating-point state was written.
struct InterpreterRuleTests {
  private let state = TestContext()

  /// Carries out an instruction at 0x1000 and returns the next address.
  @discardableResult
  private func execute(_ bits: UInt32, memory bytes: Int = 64) throws(Trap) -> UInt64 {
    var memory = TestMemory(base: 0x2000, bytes: [UInt8](repeating: 0x80, count: bytes))
    var pc: UInt64 = 0x1000
    do {
      try Interpreter.execute(Decoder.decode(bits), pc: &pc, context: state.context, memory: &memory)
    } catch {
      #expect(pc == 0x1000)
      throw error
    }
    return pc
  }

  private var x: UnsafeMutablePointer<UInt64> { state.context.registers }

  @Test(arguments: [(5, 0), (5, 1), (0, 7), (1 << 63, 1 << 32), (UInt64.max, .max)] as [(UInt64, UInt64)])
  func conditionalZero(value: UInt64, condition: UInt64) throws {
    (x[5], x[6]) = (value, condition)
    try execute(0x0E62_D533)  // czero.eqz a0, t0, t1
    #expect(x[10] == (condition == 0 ? 0 : value))
    try execute(0x0E62_F533)  // czero.nez a0, t0, t1
    #expect(x[10] == (condition == 0 ? value : 0))
  }

  /// "If the least-significant word is 0, it has 32": the oracle of the other tests has it wrong.
  @Test func countTrailingZerosOfAnEmptyWord() throws {
    x[5] = 1 << 40
    try execute(0x6012_951B)  // ctzw a0, t0
    #expect(x[10] == 32)
  }

  @Test func registerZeroStaysZero() throws {
    (x[5], x[6]) = (1, 2)
    for row in InstructionTable.words where row.format == .r || row.format == .i {
      try execute(row.match | 5 << 15 | 6 << 20)
      #expect(x[0] == 0)
    }
  }

  @Test(arguments: [5, 6, 7] as [UInt64])
  func reservedDynamicRoundingModeIsIllegal(mode: UInt64) {
    state.fcsr = mode << 5
    // fadd.s, fsqrt.d, fmadd.d, fcvt.l.d and the exact fcvt.d.w, all dynamic
    for bits in [0x0031_70D3, 0x5A01_70D3, 0x2231_70C3, 0xC221_70D3, 0xD201_70D3] as [UInt32] {
      #expect(throws: Trap(cause: 2, value: UInt64(bits))) { try execute(bits) }
    }
    // A static mode does not look.
    #expect(throws: Never.self) { try execute(0x0031_00D3) }
    #expect(throws: Never.self) { try execute(0x2031_00D3) }
  }

  @Test(arguments: [0x0000_0000, 0xFFFF_FFFF, 0x0000_8002] as [UInt32])
  func illegalInstructionsTrap(bits: UInt32) {
    #expect(throws: Trap(cause: 2, value: UInt64(bits))) { try execute(bits) }
  }

  @Test func faultsLeaveEverythingAsItWas() {
    x[5] = 0x3000
    x[10] = 77
    #expect(throws: Trap(cause: 5, value: 0x3004)) { try execute(0x0042_B503) }  // ld a0, 4(t0)
    #expect(throws: Trap(cause: 7, value: 0x3004)) { try execute(0x00A2_B223) }  // sd a0, 4(t0)
    #expect(throws: Trap(cause: 7, value: 0x3000)) { try execute(0x00A2_B52F) }  // amoadd.d
    x[5] = 0x2001
    #expect(throws: Trap(cause: 6, value: 0x2001)) { try execute(0x00A2_A52F) }  // amoadd.w
    #expect(throws: Trap(cause: 4, value: 0x2001)) { try execute(0x1002_A52F) }  // lr.w
    #expect(throws: Trap(cause: 5, value: 0x3004)) {
      x[5] = 0x3000
      try execute(0x0042_B507)  // fld fa0, 4(t0)
    }
    #expect(x[10] == 77)
    #expect(x[42] == 0)
    #expect(!state.isFloatTouched)
  }

  /// Every instruction that writes a floating-point register or raises a flag, and no other.
  @Test func floatingPointStateIsNoted() throws {
    for row in InstructionTable.words + InstructionTable.compressed where row.operation != .system {
      var random = RandomBits(row.name)
      let bits = random.encoding(of: row)
      let i = Decoder.decode(bits)
      for raises in [false, true] {
        let state = TestContext()
        // Ones: nothing is inexact. Signaling NaNs: whatever computes raises invalid.
        for register in 32..<64 {
          state.context.registers[register] = row.name.hasSuffix(".s") ? ~0 << 32 | 0x3F80_0000 : 0x3FF0 << 48
          if raises {
            state.context.registers[register] =
              row.name.hasSuffix(".s") ? ~0 << 32 | 0x7F80_0001 : 0x7FF0 << 48 | 1
          }
        }
        for register in 1..<32 { state.context.registers[register] = 0x2000 }
        var memory = TestMemory(base: 0, bytes: [UInt8](repeating: 0, count: 0x4000))
        var pc: UInt64 = 0x1000
        try Interpreter.execute(i, pc: &pc, context: state.context, memory: &memory)
        let hasFlags = state.fcsr != 0
        #expect(state.isFloatTouched == (i.destination >= 32 || hasFlags), "\(row.name)")
        let usesFile = row.set == .f || row.set == .d
        #expect(i.usesFloatingPoint == usesFile, "\(row.name)")
        #expect(!hasFlags || raises && usesFile, "\(row.name)")
      }
    }
  }
}
