import Assembler
import Testing

/// Jumps out of the buffer, alignment, and fields that are redirected, according to objdump.
@Suite struct PatchingTests {
  private static let base: UInt64 = 0x10_0000_0000

  /// Assembles after `skip` nops, and disassembles what follows those at executable address 0.
  private func listing(skip: Int, _ body: (inout X86Assembler) -> Void) throws -> [Line] {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    for _ in 0..<skip { assembler.nop() }
    body(&assembler)
    #expect(!assembler.state.failed)
    let code = UnsafeRawBufferPointer(rebasing: buffer[..<assembler.offset])
    return try Array(Binutils.disassemble(code).dropFirst(skip))
  }

  @Test func jumpsToAddresses() throws {
    let lines = try listing(skip: 0) {
      $0.jmp(to: 0x1000)
      $0.call(to: 0x8000_0009)
      $0.jcc(.p, to: 0x7FFF_FFFF)
      // One byte beyond the reach of each.
      $0.call(to: 0x1_0000_0000, scratch: .r11)
      $0.jmp(to: 0x1234_5678_9ABC, scratch: .rdx)
      $0.jcc(.b, to: 0xFFFF_FFFF_0000_0000, scratch: .r9)
      $0.jmp(to: UInt64(bitPattern: -0x7FFF_FF00))
    }
    #expect(
      lines.map(\.text) == [
        "jmp 0x1000", "call 0x80000009", "jp 0x7fffffff", "movabs r11,0x100000000",
        "call r11", "movabs rdx,0x123456789abc", "jmp rdx", "jae 0x38",
        "movabs r9,0xffffffff00000000", "jmp r9", "jmp 0xffffffff80000100",
      ])
  }

  @Test(arguments: [0, 0x10, 0x7FFF_F000, -0x7FFF_F000] as [Int64])
  func ripRelativeOperands(distance: Int64) throws {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { memory.deallocate() }
    let base = PatchingTests.base
    var assembler = X86Assembler(buffer: memory, executableBase: base)
    assembler.nop(17)
    let target = base &+ UInt64(bitPattern: distance)
    let address = try #require(assembler.ripRelative(to: target) as Address?)
    assembler.mov(.w64, .rax, address)
    assembler.mov(.w32, address, 0x1122_3344)
    assembler.cmp(.w8, address.offset(by: 8), 1)
    assembler.mov(.w16, address, 7)
    assembler.andpd(.xmm9, address)
    let code = UnsafeRawBufferPointer(rebasing: memory[..<assembler.offset])
    let lines = try Array(Binutils.disassemble(code).dropFirst(2))
    try #require(lines.count == 5)
    for (index, line) in lines.enumerated() {
      let end = index + 1 < lines.count ? lines[index + 1].offset : assembler.offset
      let expected = Int64(distance) + (index == 2 ? 8 : 0) - Int64(end)
      let text = "[rip+\(hex(expected, .w64))]"
      #expect(line.text.contains(text), "\(line)")
    }
  }

  @Test func ripRelativeOperandsBeyondReachAreRefused() {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { memory.deallocate() }
    let base = PatchingTests.base
    let assembler = X86Assembler(buffer: memory, executableBase: base)
    #expect(assembler.ripRelative(to: base + 0x7FFF_FFFF) != nil)
    #expect(assembler.ripRelative(to: base + 0x8000_0000) == nil)
    #expect(assembler.ripRelative(to: base - 0x8000_0000 + 4096) != nil)
    #expect(assembler.ripRelative(to: base - 0x8000_0000 + 4095) == nil)
    #expect(assembler.ripRelative(to: 0) == nil)
  }

  @Test(arguments: 0..<16)
  func patchableFieldsStayInEightBytes(skip: Int) throws {
    var fields: [Int] = []
    let lines = try listing(skip: skip) {
      fields.append($0.jmpPatchable())
      fields.append($0.jccPatchable(.s))
      fields.append($0.callPatchable(to: 0x4000))
      fields.append($0.leaPatchable(.r14, to: 0x5000))
      fields.append($0.leaPatchable(.rcx))
      fields.append($0.jmpPatchable(to: 0))
      #expect($0.setField(fields[1], to: 0x123) == true)
      #expect($0.setField(fields[1], to: 0x1_0000_0000) == false)
      #expect($0.setField(-1, to: 0) == false)
      #expect($0.setField(4096 - 3, to: 0) == false)
    }
    for field in fields { #expect(field / 8 == (field + 3) / 8) }
    let code = lines.filter { !$0.text.contains("nop") && $0.text != "xchg ax,ax" }
    let jump = "jmp 0x\(String(fields[0] + 4, radix: 16))"
    #expect(
      code.map { $0.text.prefix { $0 != "[" } } == [
        Substring(jump), "js 0x123", "call 0x4000", "lea r14,", "lea rcx,", "jmp 0x0",
      ])
    #expect(code[3].text == "lea r14,[rip+0x\(String(0x5000 - fields[3] - 4, radix: 16))]")
    #expect(code[4].text == "lea rcx,[rip+0x0]")
    // The field ends the instruction, and no more than one nop is before each.
    for (field, line) in zip(fields, code) {
      let opcode = line.text.hasPrefix("js") ? 2 : line.text.hasPrefix("lea") ? 3 : 1
      #expect(line.offset == field - opcode)
    }
    #expect(lines.count - code.count <= code.count)
  }

  @Test func fieldsOutOfReachAreReported() {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
    defer { memory.deallocate() }
    var assembler = X86Assembler(buffer: memory, executableBase: 0)
    _ = assembler.jmpPatchable(to: 0x8000_0000)
    #expect(!assembler.state.outOfReach)
    _ = assembler.jmpPatchable(to: 0x1_0000_0000)
    #expect(assembler.state.outOfReach && assembler.state.failed)
  }

  @Test(arguments: [1, 2, 4, 8, 16, 32, 64])
  func alignsTheExecutableAddress(alignment: Int) throws {
    for skip in [0, 1, 7, 8, 15, 33, 63, 64] {
      let lines = try listing(skip: skip) {
        $0.align(to: alignment)
        #expect($0.offset % alignment == 0)
        #expect($0.offset - skip < alignment)
        #expect($0.executableAddress == UInt64($0.offset))
        $0.ret()
      }
      #expect(lines.last?.text == "ret")
    }
  }

  @Test func nopsAreNopsOfAnyLength() throws {
    for bytes in 1..<64 {
      guard bytes < 20 || bytes % 9 == 0 else { continue }
      let lines = try listing(skip: 0) {
        $0.nop(bytes)
        #expect($0.offset == bytes)
      }
      #expect(lines.count == (bytes + 8) / 9)
      for line in lines {
        #expect(line.text.contains("nop") || line.text == "xchg ax,ax", "\(bytes): \(line)")
      }
    }
  }

  @Test(arguments: 0..<5)
  func patchingChangesTheFieldAlone(position: Int) {
    let unit = UnsafeMutableRawPointer.allocate(byteCount: 8, alignment: 8)
    defer { unit.deallocate() }
    unit.storeBytes(of: 0x1122_3344_5566_7788, as: UInt64.self)
    let field = unit + position
    let address = PatchingTests.base + UInt64(position)
    for target in [address, address + 0x8000_0003, address - 0x7FFF_FFFC] {
      #expect(X86Assembler.patch(field: field, executableField: address, target: target))
      #expect(X86Assembler.target(ofField: field, executableField: address) == target)
    }
    #expect(!X86Assembler.patch(field: field, executableField: address, target: address + 0x8000_0004))
    #expect(!X86Assembler.patch(field: field, executableField: address, target: address - 0x7FFF_FFFD))
    let before = UInt64(0x1122_3344_5566_7788)
    let mask = UInt64(UInt32.max) << UInt64(position * 8)
    #expect(unit.load(as: UInt64.self) & ~mask == before & ~mask)
  }
}
