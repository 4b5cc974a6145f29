import RISCV
import Testing
import Translator

struct DecoderTests {
  @Test func tableIsSane() {
    for rows in [InstructionTable.words, InstructionTable.compressed] {
      #expect(rows.count <= 256)
      #expect(Set(rows.map(\.name)).count == rows.count)
      for row in rows {
        #expect(row.match & ~row.mask == 0, "\(row.name)")
        #expect((row.match & 3 == 3) != row.format.isCompressed, "\(row.name)")
        if row.operation == .system { #expect(SystemOperation(rawValue: row.info) != nil, "\(row.name)") }
      }
    }
    let used = Set((InstructionTable.words + InstructionTable.compressed).map(\.operation))
    #expect(
      Set(Operation.allCases).subtracting(used) == [
        // What accesses to control registers become in blocks.
        .illegal, .floatReadFlags, .floatReadRounding, .floatExchangeFlags, .controlRead, .controlExchange,
        .refetch, .interruptsOff, .interruptsOn, .interruptsRestore, .statusExchange, .statusSet,
        .statusClear,
      ])
    let system = Set(InstructionTable.words.filter { $0.operation == .system }.map(\.info))
    #expect(system == Set(SystemOperation.allCases.map(\.rawValue)))
  }

  /// Buckets must lead where a search of the whole table leads.
  @Test func decodesAsTheTableSays() {
    var random = RandomBits(seed: 3)
    for number in 0..<400_000 {
      var bits = number < 0x10000 ? UInt32(number) : UInt32(truncatingIfNeeded: random.next())
      if number % 3 == 0, number >= 0x10000 {
        let row = InstructionTable.words[random.below(InstructionTable.words.count)]
        bits = bits & ~row.mask | row.match
      }
      let instruction = Decoder.decode(bits)
      let isCompressed = bits & 3 != 3
      #expect(instruction.length == (isCompressed ? 2 : 4))
      let rows = isCompressed ? InstructionTable.compressed : InstructionTable.words
      let expected = rows.first { bits & $0.mask == $0.match }
      if let row = InstructionTable.row(of: instruction) {
        #expect(row.name == expected?.name)
        #expect(instruction.operation == row.operation)
        #expect((instruction.destination | instruction.a | instruction.b | instruction.c) < 64)
      } else {
        #expect(instruction.operation == .illegal)
        #expect(instruction.imm == Int64(isCompressed ? bits & 0xFFFF : bits))
      }
    }
  }

  /// Encodings that the specification reserves, or leaves to extensions that are not ours.
  @Test(
    arguments: [
      0x0000,  // all zeros
      0x0004,  // c.addi4spn without immediate
      0x8000,  // quadrant 0, reserved
      0x2001,  // c.addiw without register
      0x6101,  // c.addi16sp without immediate
      0x6081,  // c.lui without immediate (Zcmop)
      0x6001,  // both
      0x9C41, 0x9C61,  // reserved arithmetic (Zcb)
      0x4002,  // c.lwsp without register
      0x6002,  // c.ldsp without register
      0x8002,  // c.jr without register
      0xFFFF_FFFF,
      0x0000_007F,  // longer than 32 bits
      0x0020_0073,  // uret
      0x6200_0073,  // hfence.gvma
      0x00C5_D053,  // fadd.s, rounding mode 5
      0x00C5_E053,  // 6
      0x0400_0053,  // half precision
      0x0600_0053,  // quadruple precision
      0x4030_0053,  // fcvt.s.q
      0x2805_4033,  // xperm8 (Zbkx)
      0x0210_101B,  // slliw by 33
      0x6065_901B,  // Zbb, not assigned
      0x0000_0057,  // vector
    ] as [UInt32])
  func isIllegal(bits: UInt32) {
    #expect(Decoder.decode(bits).operation == .illegal, "\(Disassembler.text(bits, at: 0))")
  }

  /// Hints have no effect, and are no exceptions.
  @Test(
    arguments: [
      0x0001, 0x0005,  // c.nop, with an immediate
      0x0081,  // c.addi by 0
      0x4005,  // c.li to x0
      0x6005,  // c.lui to x0
      0x800A, 0x900A,  // c.mv and c.add to x0
      0x0006, 0x0082,  // c.slli of x0, by 0
      0x8001, 0x8401,  // c.srli and c.srai by 0
      0x0010_6013, 0x0020_2013,  // prefetch.r, slti to x0
    ] as [UInt32])
  func isHint(bits: UInt32) {
    let instruction = Decoder.decode(bits)
    #expect(instruction.operation != .illegal && instruction.operation != .system)
    let memory = TestMemory(base: 0, bytes: [])
    let before = TestContext(random: 4)
    let after = TestContext(random: 4)
    var pc: UInt64 = 0x1000
    var unused = memory
    #expect(throws: Never.self) {
      try Interpreter.execute(instruction, pc: &pc, context: after.context, memory: &unused)
    }
    #expect(pc == 0x1000 + UInt64(instruction.length))
    #expect(after.registers == before.registers)
  }

  @Test func systemInstructionsSayWhatTheHartNeeds() {
    let csrrs = Decoder.decode(0x1000_2573)  // csrrs a0, sstatus, zero
    #expect(csrrs.operation == .system)
    #expect(csrrs.info == SystemOperation.csrReadSet.rawValue)
    #expect((csrrs.destination, csrrs.a, csrrs.imm) == (10, 0, 0x100))
    let csrrwi = Decoder.decode(0xC01F_D073)  // csrrwi zero, time, 31
    #expect(csrrwi.info == SystemOperation.csrReadWriteImmediate.rawValue)
    #expect((csrrwi.destination, csrrwi.a, csrrwi.imm) == (0, 31, 0xC01))
    let sfence = Decoder.decode(0x12B5_0073)  // sfence.vma a0, a1
    #expect(sfence.info == SystemOperation.sfenceVMA.rawValue)
    #expect((sfence.a, sfence.b) == (10, 11))
    let cboZero = Decoder.decode(0x0045_200F)  // cbo.zero (a0)
    #expect(cboZero.info == SystemOperation.cboZero.rawValue)
    #expect(cboZero.a == 10)
    let ebreak = Decoder.decode(0x9002)  // c.ebreak
    #expect(ebreak.info == SystemOperation.ebreak.rawValue)
    #expect(ebreak.length == 2)
  }

  @Test func orderingBits() {
    func ordering(_ bits: UInt32) -> Ordering { Ordering(rawValue: Decoder.decode(bits).info) }
    #expect(ordering(0x0000_202F) == [])  // amoadd.w
    #expect(ordering(0x0400_202F) == .acquire)
    #expect(ordering(0x0200_202F) == .release)
    #expect(ordering(0x0600_202F) == [.acquire, .release])
    #expect(ordering(0x0FF0_000F) == [.acquire, .release, .storeLoad])  // fence
    #expect(ordering(0x8330_000F) == [.acquire, .release])  // fence.tso
    #expect(ordering(0x0120_000F) == .storeLoad)  // fence w, r
    #expect(ordering(0x0230_000F) == [.acquire, .release])  // fence r, rw
    #expect(ordering(0x0310_000F) == [.acquire, .release])  // fence rw, w
    #expect(ordering(0x0110_000F) == .release)  // fence w, w
    #expect(ordering(0x0220_000F) == .acquire)  // fence r, r
  }
}
