import Assembler
import Testing

/// Our own disassembler against what objdump, too, makes of the same code: the cases' texts.
@Suite struct DisassemblerTests {
  @Test(arguments: EncodingTests.groups.map(\.name))
  func saysWhatObjdumpSays(group: String) throws {
    let results = try #require(EncodingTests.results[group])
    var wrong = 0
    for result in results {
      let lines = result.bytes.withUnsafeBytes { X86Disassembler.lines($0) }
      if lines.map(\.text) == [result.expected], lines[0].length == result.bytes.count { continue }
      wrong += 1
      if wrong <= 20 { Issue.record("\(result.expected): \(lines.map(\.text))") }
    }
    #expect(wrong == 0)
  }

  /// Jumps, places relative to the instruction pointer, padding: objdump reads the same piece of code.
  @Test func jumpsAndPadding() throws {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    let (before, after) = (assembler.newLabel(), assembler.newLabel())
    assembler.bind(before)
    for condition in Condition.allCases {
      assembler.jump(condition, to: after)
      assembler.jump(condition, to: before)
    }
    assembler.call(after)
    assembler.jump(to: after)
    assembler.lea(.r9, after)
    assembler.cmp(.w32, Address(after), 0x1234)
    assembler.cmp(.w8, Address(after), 5)
    assembler.mov(.w16, Address(after), 0x77)
    assembler.test(.w64, Address(after), 0x77)
    assembler.neg(.w64, Address(after))
    assembler.imul(.w32, .rcx, Address(after), 1000)
    assembler.shl(.w64, Address(after), by: 3)
    assembler.rorx(.w64, .rax, Address(after), by: 9)
    assembler.roundsd(.xmm3, Address(after), .down)
    assembler.vfmadd213sd(.xmm8, .xmm2, Address(after))
    for count in 1...20 { assembler.nop(count) }
    assembler.bind(after)
    assembler.alignField(after: 7)
    #expect((assembler.offset + 7) & 7 <= 4)
    _ = assembler.jmpPatchable(to: 0x4_0000)
    assembler.jcc(.p, to: 0x123)
    let code = UnsafeRawBufferPointer(rebasing: buffer[..<assembler.offset])
    let mine = X86Disassembler.lines(code).map { Line(offset: $0.offset, text: $0.text) }
    let theirs = try Binutils.disassemble(code)
    #expect(theirs.count > 60)
    #expect(mine == theirs)
    // Names take the places' numbers.
    let named = X86Disassembler.lines(code) { $0 == assembler.offset(of: after) ? "after" : nil }
    #expect(named.contains { $0.text == "call after" })
    #expect(named.contains { $0.text == "lea r9,[after]" })
  }

  /// Bytes that are no code of ours, or cut off, are data; nothing is read beyond the end.
  @Test func anyBytes() {
    var dice: UInt64 = 1
    for _ in 0..<20_000 {
      let bytes = (0..<16).map { _ -> UInt8 in
        dice = dice &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: dice >> 40)
      }
      let lines = bytes.withUnsafeBytes { X86Disassembler.lines($0) }
      #expect(lines.reduce(0) { $0 + $1.length } == 16)
    }
    let cut: [UInt8] = [0x48, 0x8B, 0x84]
    #expect(cut.withUnsafeBytes { X86Disassembler.lines($0) }.allSatisfy { $0.text.hasPrefix(".byte") })
  }
}
