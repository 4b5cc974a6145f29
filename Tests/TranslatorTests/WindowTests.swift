import Glibc
import HostSystem
import Testing
import Translator

/// Windows, and generated code that goes through them.
@Suite(.serialized) struct WindowTests {
  static let pageCount = 64

  /// A memory file whose pages each hold their number in every byte, mapped for the test to look at.
  struct Memory {
    let file: Descriptor
    let mapping: Mapping

    init() throws {
      file = try Descriptor.memory(name: "window-test")
      try file.truncate(to: Int64(WindowTests.pageCount << 12))
      mapping = try Mapping.map(size: WindowTests.pageCount << 12, descriptor: file)
      for page in 0..<WindowTests.pageCount { memset(mapping.base + page << 12, Int32(page), 4096) }
    }

    func page(_ number: Int) -> UnsafeMutableRawPointer { mapping.base + number << 12 }
  }

  /// A CPU whose blocks go through a window on a memory.
  struct Machine {
    let memory: Memory
    let window: AddressWindow
    let cpu: ScratchCPU
    let lifter = PreparedLifter()

    init() throws {
      memory = try Memory()
      window = try AddressWindow(file: memory.file, pageCount: WindowTests.pageCount)
      let code = try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins))
      try #require(code.canUseWindows)
      cpu = try ScratchCPU(code: code)
      AddressWindow.activate(window)
    }

    /// Has a guest page known to call-outs, and to the window if that is asked for.
    func enter(_ address: UInt64, number: Int, inWindow: Bool, canWrite: Bool = true) {
      cpu.pages[address] = ScratchPage(host: memory.page(number), canWrite: canWrite)
      if inWindow {
        #expect(window.map(Int(address >> 12), number: number, count: 1, forWriting: canWrite))
      }
    }

    func run(_ instructions: [Instruction], at pc: UInt64) -> CodeStore.Exit {
      lifter.blocks[pc] = instructions
      return cpu.run(pc, mode: BlockKeyBit.usesWindow, lifter: lifter)
    }
  }

  static let end = Instruction(.system)

  @Test func mapsAndForgets() throws {
    let memory = try Memory()
    let window = try AddressWindow(file: memory.file, pageCount: Self.pageCount)
    func byte(_ page: Int) -> UInt8 { (window.base + page << 12).load(as: UInt8.self) }
    #expect(window.map(100, number: 3, count: 4, forWriting: false))
    #expect((0..<4).map { byte(100 + $0) } == [3, 4, 5, 6])
    #expect(window.isMapped(103, forWriting: false) && !window.isMapped(103, forWriting: true))
    #expect(!window.isMapped(104, forWriting: false))
    // Shown for writing at one place only.
    #expect(window.map(200, number: 3, count: 1, forWriting: true))
    #expect(window.map(300, number: 3, count: 1, forWriting: true))
    #expect(!window.isMapped(200, forWriting: false) && window.isMapped(300, forWriting: true))
    (window.base + 300 << 12).storeBytes(of: 77, as: UInt8.self)
    #expect(memory.page(3).load(as: UInt8.self) == 77 && byte(100) == 77)
    window.dropWrites(toPage: 3)
    #expect(!window.isMapped(300, forWriting: false) && window.isMapped(100, forWriting: false))
    window.drop(101 << 12)
    window.drop(.max)
    #expect(!window.isMapped(101, forWriting: false) && window.isMapped(102, forWriting: false))
    window.clear()
    #expect(!window.isMapped(102, forWriting: false) && window.mappings == 0)
  }

  @Test func loadsAndStores() throws {
    let machine = try Machine()
    machine.enter(0x12_3456_7000, number: 7, inWindow: true)
    machine.cpu.context.registers[15] = 0x12_3456_7010
    machine.cpu.context.registers[20] = 0x12_3456_7020
    machine.cpu.context.registers[14] = 0x1122_3344_5566_7788
    // Bases in a host register and in memory.
    let exit = machine.run(
      [
        Instruction(.store64, a: 15, b: 14, imm: -8), Instruction(.store8, a: 20, b: 14, imm: 1),
        Instruction(.store32, a: 20, b: 0, imm: 8), Instruction(.load64, destination: 5, a: 15, imm: -8),
        Instruction(.load8, destination: 6, a: 20, imm: 1),
        Instruction(.load16, destination: 7, a: 20, imm: 0),
        Instruction(.load32Unsigned, destination: 8, a: 20, imm: 6), Self.end,
      ], at: 0x1000)
    #expect(exit == .dispatch)
    let x = machine.cpu.context.registers
    #expect(x[5] == 0x1122_3344_5566_7788)
    #expect(x[6] == UInt64(bitPattern: -0x78))
    #expect(x[7] == UInt64(bitPattern: Int64(Int16(bitPattern: 0x8807))))
    #expect(x[8] == 0x0707)
    #expect(machine.cpu.loadCallOuts == 0 && machine.cpu.storeCallOuts == 0)
  }

  @Test func faultsGoToTheSlowPath() throws {
    let machine = try Machine()
    machine.enter(0x5000, number: 1, inWindow: false)
    machine.enter(0x6000, number: 2, inWindow: true, canWrite: true)
    machine.enter(0x7000, number: 3, inWindow: true, canWrite: false)
    machine.cpu.context.registers[10] = 0x5FFC
    let exit = machine.run(
      [
        Instruction(.load64, destination: 11, a: 10),  // on two pages, one of which is not mapped
        Instruction(.add, destination: 12, a: 10, imm: 4),
        Instruction(.load8Unsigned, destination: 13, a: 12),  // mapped
        Instruction(.store8, a: 10, b: 13),  // not mapped
        Self.end,
      ], at: 0x2000)
    #expect(exit == .dispatch)
    #expect(machine.cpu.context.registers[11] == 0x0202_0202_0101_0101)
    #expect(machine.cpu.context.registers[13] == 2)
    #expect(machine.memory.page(1).load(fromByteOffset: 0xFFC, as: UInt8.self) == 2)
    #expect(machine.cpu.loadCallOuts == 1 && machine.cpu.storeCallOuts == 1)

    // The guest's own fault, with exact state.
    machine.cpu.forgetCalls()
    machine.cpu.context.registers[10] = 0x7000
    _ = machine.run(
      [
        Instruction(.add, destination: 11, a: 0, imm: 5), Instruction(.store32, a: 10, b: 11, imm: 16),
        Self.end,
      ], at: 0x3000)
    let fault = try #require(machine.cpu.fault)
    #expect(fault.address == 0x7010 && fault.isStore && fault.pc == 0x3004 && fault.registers[11] == 5)
    #expect(machine.memory.page(3).load(fromByteOffset: 16, as: UInt32.self) == 0x0303_0303)
  }

  /// Whatever a program takes for an address, nothing of the host is reached.
  @Test(arguments: [
    AddressWindow.size, AddressWindow.size - 8, AddressWindow.size + 1 << 20, 1 << 46, 1 << 47, 1 << 63,
    0 &- 1 << 38, 0 &- 8, 0 &- 4096, .max, 0x7FFF_FFFF_F000, 0xFFFF_FFFF_FF60_0000,
  ])
  func staysInside(base: UInt64) throws {
    let machine = try Machine()
    for displacement in [-2048, -8, 0, 1, 8, 2047] as [Int64] {
      for isStore in [false, true] {
        machine.cpu.forgetCalls()
        machine.cpu.context.registers[9] = base
        let access =
          isStore
          ? Instruction(.store64, a: 9, b: 9, imm: displacement)
          : Instruction(.load64, destination: 12, a: 9, imm: displacement)
        _ = machine.run(
          [access, Instruction(.load64, destination: 12, a: 9), Self.end],
          at: 0x8000 + UInt64(displacement + 2048) * 16 + (isStore ? 8 << 16 : 0))
        #expect(machine.cpu.fault?.address == base &+ UInt64(bitPattern: displacement))
        #expect(machine.cpu.loadCallOuts + machine.cpu.storeCallOuts == 1)
      }
    }
  }

  /// An address that was found to be inside may move, but not out of reach.
  @Test func movingAddress() throws {
    let machine = try Machine()
    machine.enter(0x9000, number: 9, inWindow: true)
    machine.cpu.context.registers[9] = 0x9000
    var block = [Instruction(.load8Unsigned, destination: 12, a: 9)]
    // Nothing in the window's guard, wherever it lies, is reached without a comparison.
    for _ in 0..<40 {
      block.append(Instruction(.add, destination: 9, a: 9, imm: 1 << 18))
      block.append(Instruction(.add, destination: 9, a: 9, imm: -(1 << 18)))
      block.append(Instruction(.load8Unsigned, destination: 12, a: 9))
    }
    block.append(Instruction(.add, destination: 13, a: 9, imm: 1 << 19))
    block.append(Instruction(.load8Unsigned, destination: 12, a: 13))
    _ = machine.run(Array(block.prefix(90)) + [Self.end], at: 0xA000)
    #expect(machine.cpu.fault == nil && machine.cpu.context.registers[12] == 9)
    #expect(machine.cpu.loadCallOuts == 0)
  }
}
