import Assembler
import Testing

/// Where jumps lead, according to objdump.
@Suite struct LabelTests {
  /// Assembles at executable address 0 and disassembles.
  private func listing(_ body: (inout X86Assembler) -> Void) throws -> [String] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    body(&assembler)
    #expect(!assembler.state.failed)
    return try Binutils.disassemble(UnsafeRawBufferPointer(rebasing: buffer[..<assembler.offset]))
      .map { "\(String($0.offset, radix: 16)): \($0.text)" }
  }

  @Test func forwardJumpsShareALabel() throws {
    let lines = try listing {
      let label = $0.newLabel()
      $0.jump(to: label)
      $0.jumpShort(.ne, to: label)
      $0.jump(.g, to: label)
      $0.call(label)
      $0.jumpShort(to: label)
      $0.lea(.r9, label)
      $0.cmp(.w32, Address(label), 0x1234)
      $0.cmp(.w8, Address(label), 5)
      $0.mov(.w16, Address(label), 0x77)
      $0.movsd(.xmm1, Address(label))
      $0.shl(.w64, Address(label), by: 3)
      $0.rorx(.w64, .rax, Address(label), by: 9)
      $0.vfmadd213sd(.xmm8, .xmm2, Address(label))
      #expect($0.pendingFixups == 13)
      #expect($0.state.failed)
      $0.bind(label)
      #expect($0.pendingFixups == 0)
      #expect($0.offset(of: label) == $0.offset)
      $0.ret()
    }
    // Each instruction's end and what it adds to that make 0x58, where ret is.
    #expect(
      lines
        == [
          "0: jmp 0x58", "5: jne 0x58", "7: jg 0x58", "d: call 0x58", "12: jmp 0x58",
          "14: lea r9,[rip+0x3d]", "1b: cmp DWORD PTR [rip+0x33],0x1234",
          "25: cmp BYTE PTR [rip+0x2c],0x5", "2c: mov WORD PTR [rip+0x23],0x77",
          "35: movsd xmm1,QWORD PTR [rip+0x1b]", "3d: shl QWORD PTR [rip+0x13],0x3",
          "45: rorx rax,QWORD PTR [rip+0x9],0x9", "4f: vfmadd213sd xmm8,xmm2,QWORD PTR [rip+0x0]",
          "58: ret",
        ].map { $0 })
  }

  @Test(arguments: [0, 1, 100, 125, 126, 127, 128, 200, 1000])
  func backwardJumpsAreShortWhereTheyCan(distance: Int) throws {
    let lines = try listing {
      let label = $0.newLabel()
      $0.bind(label)
      for _ in 0..<distance { $0.nop() }
      $0.jump(to: label)
    }
    #expect(lines.last == "\(String(distance, radix: 16)): jmp 0x0")
    let conditional = try listing {
      let label = $0.newLabel()
      $0.bind(label)
      for _ in 0..<distance { $0.nop() }
      $0.jump(.le, to: label)
      #expect($0.offset == distance + (distance + 2 <= 128 ? 2 : 6))
      $0.call(label)
      $0.lea(.rbx, label)
    }
    #expect(conditional[distance] == "\(String(distance, radix: 16)): jle 0x0")
    #expect(conditional[distance + 1].hasSuffix("call 0x0"))
  }

  @Test(arguments: 120..<135)
  func shortJumpsReachAsFarAsTheyCan(distance: Int) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    let forward = assembler.newLabel()
    assembler.jumpShort(.e, to: forward)
    for _ in 0..<distance { assembler.nop() }
    assembler.bind(forward)
    #expect(assembler.state.outOfReach == (distance > 127))
    #expect(assembler.state.failed == (distance > 127))

    assembler.rewind(to: 0)
    #expect(!assembler.state.failed)
    let backward = assembler.newLabel()
    assembler.bind(backward)
    for _ in 0..<distance { assembler.nop() }
    assembler.jumpShort(to: backward)
    #expect(assembler.state.outOfReach == (distance + 2 > 128))

    // A chain of short jumps of which the first cannot reach the label, wherever that is.
    assembler.rewind(to: 0)
    let chained = assembler.newLabel()
    assembler.jumpShort(to: chained)
    for _ in 0..<distance { assembler.nop() }
    assembler.jumpShort(to: chained)
    assembler.bind(chained)
    #expect(assembler.state.outOfReach == (distance + 2 > 127))
    #expect(assembler.pendingFixups == 0)
  }

  @Test func labelsRunOut() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0, labelCapacity: 3)
    for _ in 0..<3 { assembler.bind(assembler.newLabel()) }
    #expect(!assembler.state.failed)
    for _ in 0..<3 {
      let label = assembler.newLabel()
      assembler.jump(to: label)
      assembler.bind(label)
    }
    #expect(assembler.state.labelsExhausted && assembler.state.failed && !assembler.state.overflowed)
    assembler.rewind(to: 0)
    #expect(!assembler.state.failed)
    for _ in 0..<3 { assembler.bind(assembler.newLabel()) }
    #expect(!assembler.state.failed)
  }

  @Test func resettingForgetsLabels() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0, labelCapacity: 1)
    for _ in 0..<10 {
      let label = assembler.newLabel()
      #expect(assembler.isBound(label) == false)
      #expect(assembler.offset(of: label) == nil)
      assembler.jump(to: label)
      assembler.bind(label)
      #expect(assembler.isBound(label) == true)
      assembler.resetLabels()
    }
    #expect(!assembler.state.failed)
  }
}
