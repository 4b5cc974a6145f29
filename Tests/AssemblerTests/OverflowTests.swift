import Assembler
import Testing

/// Buffers that are too small: reported, and never written beyond.
@Suite struct OverflowTests {
  /// A bit of everything that writes, with jumps in all directions.
  private static func emitAll(_ assembler: inout X86Assembler, _ step: (inout X86Assembler) -> Void) {
    let back = assembler.newLabel()
    let near = assembler.newLabel()
    let short = assembler.newLabel()
    assembler.bind(back)
    let memory = Address(base: .r13, index: .r12, scale: .x8, displacement: .max)
    for round in 0..<4 {
      assembler.mov(.w64, .r15, Int64.max)
      step(&assembler)
      assembler.mov(.w64, memory, Int32.max)
      step(&assembler)
      assembler.jump(.ne, to: near)
      assembler.jump(to: back)
      step(&assembler)
      let field = assembler.jccPatchable(.g)
      _ = assembler.setField(field, to: assembler.executableAddress)
      step(&assembler)
      assembler.cmp(.w16, Address(near), 0x1234)
      assembler.vfnmsub231ss(.xmm15, .xmm14, memory)
      step(&assembler)
      assembler.jcc(.o, to: 0xFFFF_0000_0000_0000)
      assembler.push(1)
      step(&assembler)
      assembler.align(to: 64)
      step(&assembler)
      assembler.emit(quad: 0x1122_3344_5566_7788)
      assembler.emit(word: 0x99AA_BBCC)
      assembler.emit(byte: 0xDD)
      step(&assembler)
      if round == 3 {
        assembler.jumpShort(to: short)
        assembler.jumpShort(.e, to: short)
        assembler.rorx(.w64, .r9, memory, by: 63)
        assembler.bind(short)
        step(&assembler)
        assembler.nop(150)
      }
    }
    assembler.bind(near)
    assembler.ret()
  }

  @Test func writesNothingBeyondTheBuffer() {
    let size = 2048
    let margin = 64
    let all = UnsafeMutableRawBufferPointer.allocate(byteCount: size + 2 * margin, alignment: 64)
    defer { all.deallocate() }

    /// Runs the emission in a buffer of `count` bytes; its offset, failure and content.
    func run(_ count: Int) -> (offset: Int, overflowed: Bool, bytes: [UInt8]) {
      all.initializeMemory(as: UInt8.self, repeating: 0xA5)
      let buffer = UnsafeMutableRawBufferPointer(rebasing: all[margin..<margin + count])
      var assembler = X86Assembler(buffer: buffer, executableBase: 0x4000_0000)
      var last = 0
      OverflowTests.emitAll(&assembler) {
        #expect($0.offset >= last && $0.offset <= count)
        #expect($0.remaining >= 0)
        last = $0.offset
      }
      #expect(assembler.state.overflowed == assembler.state.failed || !assembler.state.overflowed)
      #expect(all[..<margin].allSatisfy { $0 == 0xA5 })
      #expect(all[(margin + count)...].allSatisfy { $0 == 0xA5 })
      return (assembler.offset, assembler.state.overflowed, Array(buffer[..<assembler.offset]))
    }

    let reference = run(size)
    #expect(!reference.overflowed)
    var fitted = 0
    for count in 64..<size {
      let result = run(count)
      if result.overflowed {
        #expect(count <= reference.offset + 32)
        #expect(fitted == 0)
      } else {
        fitted += 1
        #expect(result.bytes == reference.bytes)
        #expect(count > reference.offset)
      }
    }
    #expect(fitted > 0)
  }

  @Test func goesOnAfterRewinding() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    assembler.push(.rbx)
    let start = assembler.offset
    for _ in 0..<100_000 { assembler.mov(.w64, .rax, Int64.min) }
    #expect(assembler.state.overflowed && assembler.state.failed)
    #expect(assembler.remaining == 0)
    #expect(assembler.reserve(1) == false)
    assembler.rewind(to: start)
    #expect(!assembler.state.failed && assembler.offset == 1)
    assembler.ret()
    #expect(buffer[0] == 0x53 && buffer[1] == 0xC3)
  }

  @Test func reserveTellsWhatFits() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    let room = assembler.remaining
    #expect(assembler.reserve(room) == true)
    #expect(assembler.reserve(room + 1) == false)
    #expect(!assembler.state.overflowed)
    for _ in 0..<room { assembler.nop() }
    #expect(!assembler.state.overflowed && assembler.remaining == 0)
    assembler.nop()
    #expect(assembler.state.overflowed)
  }

  @Test func appendsWhatFits() {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128, alignment: 64)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    assembler.nop()
    let bytes = (1...100).map { UInt8($0) }
    bytes.withUnsafeBytes { bytes in
      let place = assembler.append(UnsafeRawBufferPointer(rebasing: bytes[..<80]))
      #expect(place == buffer.baseAddress! + 1 && assembler.offset == 81 && !assembler.state.failed)
      #expect(Array(buffer[1..<81]) == Array(bytes[..<80]) && buffer[81] == 0)
      #expect(assembler.append(UnsafeRawBufferPointer(rebasing: bytes[..<20])) == nil)
      #expect(assembler.state.overflowed && buffer[81] == 0)
    }
  }

  @Test func retargetsToAnotherBuffer() {
    let buffers = (0..<2).map { _ in
      UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 64)
    }
    defer { for buffer in buffers { buffer.deallocate() } }
    var assembler = X86Assembler(buffer: buffers[0], executableBase: 0x1000)
    assembler.nop(500)
    #expect(assembler.state.overflowed)
    assembler.retarget(buffer: buffers[1], executableBase: 0x2000)
    #expect(!assembler.state.failed && assembler.offset == 0)
    #expect(assembler.executableAddress == 0x2000 && assembler.executableAddress(of: 5) == 0x2005)
    assembler.ret()
    #expect(buffers[1][0] == 0xC3)
  }
}
