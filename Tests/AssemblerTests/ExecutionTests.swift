import Assembler
import HostSystem
import Synchronization
import Testing

/// Code that really runs, in memory mapped twice: the processor is the oracle.
@Suite struct ExecutionTests {
  @Test func loopsBackward() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let loop = assembler.newLabel()
    assembler.zero(.rax)
    assembler.bind(loop)
    assembler.add(.w64, .rax, .rdi)
    assembler.dec(.w64, .rdi)
    assembler.jump(.ne, to: loop)
    assembler.ret()
    try #require(!assembler.state.failed)
    #expect(memory.function()(100, 0) == 5050)
  }

  /// Steps of the Collatz sequence, with near, short, forward and backward jumps.
  @Test(arguments: [1, 2, 3, 27, 97, 871, 6171] as [Int64])
  func branchesForwardAndBackward(start: Int64) throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let (loop, even, done, next) = (
      assembler.newLabel(), assembler.newLabel(), assembler.newLabel(), assembler.newLabel()
    )
    assembler.zero(.rax)
    assembler.bind(loop)
    assembler.cmp(.w64, .rdi, 1)
    assembler.jump(.e, to: done)
    assembler.inc(.w64, .rax)
    assembler.test(.w8, .rdi, 1)
    assembler.jumpShort(.e, to: even)
    assembler.lea(.w64, .rdi, Address(base: .rdi, index: .rdi, scale: .x2, displacement: 1))
    assembler.jump(to: next)
    assembler.bind(even)
    assembler.shr(.w64, .rdi, by: 1)
    assembler.bind(next)
    assembler.nop(200)
    assembler.jump(to: loop)
    assembler.bind(done)
    assembler.ret()
    try #require(!assembler.state.failed)

    var (value, steps) = (start, Int64(0))
    while value != 1 {
      value = value % 2 == 0 ? value / 2 : value * 3 + 1
      steps += 1
    }
    #expect(memory.function()(start, 0) == steps)
  }

  @Test func callsItself() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let (fibonacci, leaf) = (assembler.newLabel(), assembler.newLabel())
    assembler.bind(fibonacci)
    assembler.mov(.w64, .rax, .rdi)
    assembler.cmp(.w64, .rdi, 2)
    assembler.jumpShort(.l, to: leaf)
    assembler.push(.rdi)
    assembler.dec(.w64, .rdi)
    assembler.call(fibonacci)
    assembler.pop(.rdi)
    assembler.push(.rax)
    assembler.sub(.w64, .rdi, 2)
    assembler.call(fibonacci)
    assembler.pop(.rcx)
    assembler.add(.w64, .rax, .rcx)
    assembler.bind(leaf)
    assembler.ret()
    try #require(!assembler.state.failed)
    #expect(memory.function()(20, 0) == 6765)
  }

  @Test func readsConstantsBehindTheCode() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let (constant, scratch) = (assembler.newLabel(), assembler.newLabel())
    // The immediate behind the operand moves what the operand counts from.
    assembler.mov(.w64, .rax, Address(constant))
    assembler.lea(.rcx, constant)
    assembler.add(.w64, .rax, Address(base: .rcx, displacement: 8))
    assembler.cmp(.w32, Address(scratch), 0x1122_3344)
    assembler.setcc(.e, .rdx)
    assembler.cmp(.w8, Address(scratch), 0x44)
    assembler.setcc(.e, .rsi)
    assembler.cmp(.w16, Address(scratch), 0x3344)
    assembler.setcc(.e, .rdi)
    assembler.and(.w8, .rdx, .rsi)
    assembler.and(.w8, .rdx, .rdi)
    assembler.movzx(.rdx, .rdx, from: .w8)
    assembler.add(.w64, .rax, .rdx)
    assembler.ret()
    assembler.align(to: 8)
    assembler.bind(constant)
    assembler.emit(quad: 1000)
    assembler.emit(quad: 200)
    assembler.bind(scratch)
    assembler.emit(word: 0x1122_3344)
    try #require(!assembler.state.failed)
    #expect(memory.function()(0, 0) == 1201)

    // The same constant from elsewhere, by its address.
    let start = assembler.offset
    let offset = try #require(assembler.offset(of: constant) as Int?)
    let address = try #require(assembler.ripRelative(to: memory.address(offset)) as Address?)
    assembler.imul(.w64, .rax, address, 3)
    assembler.add(.w64, .rax, address.offset(by: 8))
    assembler.ret()
    try #require(!assembler.state.failed)
    #expect(memory.function(at: start)(0, 0) == 3200)
  }

  @Test func callsSwift() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let double: @convention(c) (Int64) -> Int64 = { $0 * 2 }
    let target = UInt64(UInt(bitPattern: unsafeBitCast(double, to: UnsafeRawPointer.self)))
    assembler.sub(.w64, .rsp, 8)
    assembler.call(to: target)
    assembler.add(.w64, .rsp, 8)
    // Not taken, then taken, as a tail call.
    assembler.mov(.w64, .rdi, .rax)
    assembler.cmp(.w64, .rdi, .rdi)
    assembler.jcc(.ne, to: 0x1234_5678_9ABC_DEF0)
    assembler.jcc(.e, to: target)
    assembler.ud2()
    let start = assembler.offset
    assembler.jmp(to: target)
    try #require(!assembler.state.failed)
    #expect(memory.function()(21, 0) == 84)
    #expect(memory.function(at: start)(21, 0) == 42)
  }

  @Test func redirectsJumps() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    assembler.nop(3)
    let start = assembler.offset
    let field = assembler.jmpPatchable()
    var targets: [UInt64] = []
    for value: Int64 in 0..<4 {
      targets.append(assembler.executableAddress)
      assembler.mov(.w64, .rax, value)
      assembler.ret()
    }
    try #require(!assembler.state.failed)
    #expect(memory.function(at: start)(0, 0) == 0)
    for (value, target) in targets.enumerated() {
      #expect(
        X86Assembler.patch(
          field: memory.writable.base + field, executableField: memory.address(field), target: target))
      #expect(memory.function(at: start)(0, 0) == Int64(value))
    }
  }

  /// What a thread that runs redirected code shares with the one that redirects it.
  private final class Race: Sendable {
    let stop = Atomic<Bool>(false)
    let calls = Atomic<Int>(0)
    let strange = Atomic<Int>(0)
  }

  @Test func redirectsJumpsThatRun() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let start = assembler.offset
    // Two fields in one unit of eight bytes, nearly: each is redirected for itself.
    let first = assembler.jmpPatchable()
    var firstTargets: [UInt64] = [assembler.executableAddress]
    assembler.mov(.w32, .rax, 1)
    let second = assembler.jmpPatchable()
    firstTargets.append(assembler.executableAddress)
    assembler.mov(.w32, .rax, 2)
    assembler.jmp(to: memory.address(second) - 1)
    var secondTargets: [UInt64] = []
    for value: Int32 in [10, 20] {
      secondTargets.append(assembler.executableAddress)
      assembler.add(.w32, .rax, value)
      assembler.ret()
    }
    #expect(assembler.setField(second, to: secondTargets[0]) == true)
    try #require(!assembler.state.failed)

    let race = Race()
    nonisolated(unsafe) let function = memory.function(at: start)  // immutable code pointer
    let thread = try Thread.start(name: "runner") {
      while !race.stop.load(ordering: .relaxed) {
        let result = function(0, 0)
        race.calls.add(1, ordering: .relaxed)
        if ![11, 12, 21, 22].contains(result) { race.strange.add(1, ordering: .relaxed) }
      }
    }
    var rounds = 0
    // At least so many, and until the other thread has run.
    while rounds < 100_000 || race.calls.load(ordering: .relaxed) < 1000 {
      _ = X86Assembler.patch(
        field: memory.writable.base + first, executableField: memory.address(first),
        target: firstTargets[rounds & 1])
      _ = X86Assembler.patch(
        field: memory.writable.base + second, executableField: memory.address(second),
        target: secondTargets[rounds >> 1 & 1])
      rounds += 1
    }
    race.stop.store(true, ordering: .relaxed)
    thread.join()
    #expect(race.strange.load(ordering: .relaxed) == 0)
    #expect(
      X86Assembler.target(ofField: memory.writable.base + first, executableField: memory.address(first))
        == firstTargets[(rounds - 1) & 1])
  }

  /// Which operand is which, where the mnemonic alone does not say.
  @Test func fusesWhatItSays() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let (a, b, c) = (3.0, 5.0, 7.0)
    var starts: [(offset: Int, expected: Double)] = []
    for operation in FusedOperation.allCases {
      for form in FusedForm.allCases {
        let (x, y, z) =
          switch form {
          case .f132: (a, c, b)
          case .f213: (b, a, c)
          case .f231: (b, c, a)
          }
        let expected =
          switch operation {
          case .madd: x * y + z
          case .msub: x * y - z
          case .nmadd: -(x * y) + z
          case .nmsub: -(x * y) - z
          }
        starts.append((assembler.offset, expected))
        assembler.fma(operation, form, .double, .xmm0, .xmm1, .xmm2)
        assembler.ret()
      }
    }
    try #require(!assembler.state.failed)
    for (offset, expected) in starts {
      #expect(memory.doubleFunction(at: offset)(a, b, c) == expected)
    }
  }

  @Test func multipliesAndShiftsWithBMI() throws {
    let memory = try CodeMemory()
    var assembler = memory.assembler()
    let (x, y) = (Int64(bitPattern: 0xFEDC_BA98_7654_3210), Int64(bitPattern: 0x8123_4567_89AB_CDEF))
    let (high, low) = UInt64(bitPattern: x).multipliedFullWidth(by: UInt64(bitPattern: y))
    assembler.mov(.w64, .rdx, .rdi)
    assembler.mulx(.w64, high: .rax, low: .rcx, .rsi)
    assembler.ret()
    let lowStart = assembler.offset
    assembler.mov(.w64, .rdx, .rdi)
    assembler.mulx(.w64, high: .rcx, low: .rax, .rsi)
    assembler.ret()
    let andnStart = assembler.offset
    assembler.andn(.w64, .rax, .rdi, .rsi)
    assembler.ret()
    let shiftStart = assembler.offset
    assembler.sarx(.w64, .rax, .rdi, count: .rsi)
    assembler.ret()
    try #require(!assembler.state.failed)
    #expect(memory.function()(x, y) == Int64(bitPattern: high))
    #expect(memory.function(at: lowStart)(x, y) == Int64(bitPattern: low))
    #expect(memory.function(at: andnStart)(x, y) == ~x & y)
    #expect(memory.function(at: shiftStart)(x, 9) == x >> 9)
  }
}
