import Testing
import Translator

/// Loads and stores of generated code: what the view knows, what it does not, and what faults.
@Suite struct MemoryOperationTests {
  struct Access: Sendable, CustomTestStringConvertible {
    var operation: Operation
    var width: Int
    var isStore = false
    var isSigned = false
    var isBoxed = false
    var testDescription: String { "\(operation)" }

    static let all = [
      Access(operation: .load8, width: 1, isSigned: true), Access(operation: .load8Unsigned, width: 1),
      Access(operation: .load16, width: 2, isSigned: true), Access(operation: .load16Unsigned, width: 2),
      Access(operation: .load32, width: 4, isSigned: true), Access(operation: .load32Unsigned, width: 4),
      Access(operation: .load64, width: 8), Access(operation: .loadFloat32, width: 4, isBoxed: true),
      Access(operation: .store8, width: 1, isStore: true),
      Access(operation: .store16, width: 2, isStore: true),
      Access(operation: .store32, width: 4, isStore: true),
      Access(operation: .store64, width: 8, isStore: true),
    ]

    /// What a register holds after loading these bytes.
    func register(_ bytes: [UInt8]) -> UInt64 {
      let value = bytes.enumerated().reduce(0 as UInt64) {
        $0 | UInt64($1.element) << (8 * UInt64($1.offset))
      }
      if isBoxed { return value | 0xFFFF_FFFF_0000_0000 }
      guard isSigned else { return value }
      switch width {
      case 1: return UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: value)))
      case 2: return UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: value)))
      default: return UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: value)))
      }
    }
  }

  /// Guest pages whose host pages lie in another order, so that running on over a page's end shows.
  final class Memory {
    static let order = [2, 0, 3, 1]
    let host = UnsafeMutableRawPointer.allocate(byteCount: 4 * 4096, alignment: 4096)
    let base: UInt64
    init(base: UInt64) { self.base = base }
    deinit { host.deallocate() }

    func page(_ index: Int) -> UnsafeMutableRawPointer { host + Self.order[index] * 4096 }

    subscript(_ address: UInt64) -> UInt8 {
      get {
        let offset = Int(address &- base)
        return page(offset >> 12).load(fromByteOffset: offset & 0xFFF, as: UInt8.self)
      }
      set {
        let offset = Int(address &- base)
        page(offset >> 12).storeBytes(of: newValue, toByteOffset: offset & 0xFFF, as: UInt8.self)
      }
    }

    func fill(_ dice: inout Dice) {
      for offset in 0..<(4 * 4096) {
        host.storeBytes(
          of: UInt8(truncatingIfNeeded: dice.next() >> 11), toByteOffset: offset, as: UInt8.self)
      }
    }
  }

  /// Offsets from the memory's start: within a page, at both its ends, over its end.
  static let offsets: [UInt64] =
    [0, 1, 2, 3, 4, 7, 8, 100, 0x7FF] + Array(4096 - 9...4096 + 8) + Array(8192 - 8...8192)

  private func makeCPU() throws -> (ScratchCPU, PreparedLifter) {
    var options = CodeStore.Options()
    options.arenaSize = 4 << 20
    let code = try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins), options: options)
    return (try ScratchCPU(code: code), PreparedLifter())
  }

  /// Low memory, an address whose upper half matters, the last pages there are.
  static let bases: [UInt64] = [0x0, 0x40_0000, 0xFFFF_FFC0_1234_5000, 0xFFFF_FFFF_FFFF_C000]

  @Test(arguments: Access.all)
  func everyPlace(access: Access) throws {
    let (cpu, lifter) = try makeCPU()
    var dice = Dice(seed: 4)
    var pc: UInt64 = 0x1000_0000
    var failures: [String] = []
    for base in Self.bases {
      let memory = Memory(base: base)
      memory.fill(&dice)
      cpu.pages = [:]
      for index in 0..<4 { cpu.pages[base + UInt64(index) * 4096] = ScratchPage(host: memory.page(index)) }
      for data: UInt8 in access.isStore ? [0, 15, 14, 9, 3] : [0, 15, 14, 9, 3, 40] {
        for address: UInt8 in [15, 14, 9, 8, 3] where !(access.isStore && data == address) {
          for imm: Int64 in [0, 1, -1, 0x7FF, -0x800, 0x7FFF_FFFF] {
            pc += 0x100
            lifter.blocks = [
              pc: [
                access.isStore
                  ? Instruction(access.operation, a: address, b: data, imm: imm)
                  : Instruction(access.operation, destination: data, a: address, imm: imm),
                Instruction(.jump, imm: 0x40),
              ]
            ]
            let entry = cpu.find(pc, lifter: lifter).code
            for offset in Self.offsets {
              let place = base &+ offset
              let isCrossing = offset & 0xFFF > 4096 - UInt64(access.width)
              // Twice, first with an empty view: only what crosses pages needs the call-out again.
              cpu.view.clear()
              for round in 0..<2 {
                cpu.forgetCalls()
                var registers = (0..<64).map { _ in dice.next() }
                registers[0] = 0
                registers[Int(address)] = place &- UInt64(bitPattern: imm)
                cpu.registers = registers
                let before = (0..<access.width).map { memory[place + UInt64($0)] }
                let exit = cpu.code.run(entry, key: 0, context: cpu.context)
                let after = (0..<access.width).map { memory[place + UInt64($0)] }
                var stored = before
                if access.isStore {
                  stored = (0..<access.width).map {
                    UInt8(truncatingIfNeeded: registers[Int(data)] >> UInt64(8 * $0))
                  }
                } else if data != 0 {
                  registers[Int(data)] = access.register(before)
                }
                let calls = access.isStore ? cpu.storeCallOuts : cpu.loadCallOuts
                guard case .site = exit, after == stored, cpu.registers == registers,
                  calls == (round == 0 || isCrossing ? 1 : 0)
                else {
                  failures.append(
                    "data \(data) address \(address) imm \(imm) at \(String(place, radix: 16)) round \(round): "
                      + "\(exit), \(calls) call-outs, bytes \(before) to \(after), not \(stored)")
                  continue
                }
              }
            }
          }
        }
      }
    }
    #expect(failures.count == 0, "\(failures.prefix(3))")
  }

  /// A load whose address register is its destination.
  @Test(arguments: Access.all.filter { !$0.isStore })
  func destinationIsAddress(access: Access) throws {
    let (cpu, lifter) = try makeCPU()
    var dice = Dice(seed: 5)
    let memory = Memory(base: 0x40_0000)
    memory.fill(&dice)
    for index in 0..<4 { cpu.pages[0x40_0000 + UInt64(index) * 4096] = ScratchPage(host: memory.page(index)) }
    for register: UInt8 in [15, 14, 9, 8, 3] {
      let pc: UInt64 = 0x2000_0000 + UInt64(register) << 12
      lifter.blocks[pc] = [
        Instruction(access.operation, destination: register, a: register, imm: 8),
        Instruction(.jump, imm: 0x40),
      ]
      for offset in Self.offsets {
        cpu.view.clear()
        for _ in 0..<2 {
          cpu.context.registers[Int(register)] = 0x40_0000 + offset - 8
          _ = cpu.run(pc, lifter: lifter)
          let bytes = (0..<access.width).map { memory[0x40_0000 + offset + UInt64($0)] }
          #expect(cpu.context.registers[Int(register)] == access.register(bytes))
        }
      }
    }
  }

  /// A fault in the middle of a block: what came before has happened, what comes after has not, the
  /// program counter is the instruction's and execution goes on where the call-out says.
  @Test(arguments: Access.all, [UInt8(15), 9, 3, 0])
  func faults(access: Access, data: UInt8) throws {
    let (cpu, lifter) = try makeCPU()
    var dice = Dice(seed: 6)
    let memory = Memory(base: 0x40_0000)
    memory.fill(&dice)
    // The second page is missing, the third is read-only; the fourth is there.
    cpu.pages[0x40_0000] = ScratchPage(host: memory.page(0))
    cpu.pages[0x40_2000] = ScratchPage(
      host: memory.page(2), canRead: !access.isStore ? false : true, canWrite: false)
    cpu.pages[0x40_3000] = ScratchPage(host: memory.page(3))
    for address: UInt8 in [14, 4] {
      for pc: UInt64 in [0x3000_0000, 0xFFFF_FFFF_8000_0000] {
        let base = pc + UInt64(address) << 12
        lifter.blocks[base] = [
          Instruction(.add, destination: 10, a: 10, length: 2, imm: 1),
          Instruction(.constant, destination: 31, length: 4, imm: 77),
          access.isStore
            ? Instruction(access.operation, a: address, b: data, imm: 4)
            : Instruction(access.operation, destination: data, a: address, imm: 4),
          Instruction(.add, destination: 10, a: 10, imm: 100),
          Instruction(.constant, destination: 31, imm: 78),
          Instruction(.jump, imm: 0x40),
        ]
        for offset in [0x1000, 0x1FFF, 0x2000, 0x2800, 0x1000 - UInt64(access.width) / 2] {
          if access.width == 1, offset == 0x1000 - UInt64(access.width) / 2 { continue }
          let bytes = (0..<4 * 4096).map { memory.host.load(fromByteOffset: $0, as: UInt8.self) }
          cpu.forgetCalls()
          var registers = (0..<64).map { _ in dice.next() }
          registers[0] = 0
          registers[Int(address)] = 0x40_0000 + offset - 4
          cpu.registers = registers
          registers[10] &+= 1
          registers[31] = 77
          #expect(cpu.run(base, lifter: lifter) == .dispatch)
          #expect(cpu.context.programCounter == cpu.trapVector)
          #expect(cpu.fault?.pc == base + 6)
          #expect(cpu.fault?.isStore == access.isStore)
          #expect(cpu.fault?.address == 0x40_0000 + max(offset, 0x1000))
          #expect(cpu.fault?.registers == registers)
          #expect(cpu.registers == registers)
          #expect(bytes == (0..<4 * 4096).map { memory.host.load(fromByteOffset: $0, as: UInt8.self) })
        }
      }
    }
  }

  /// A view's entry answers for its own page alone: not for the one with the same place in the table, nor
  /// once it has been dropped.
  @Test func entriesAreTheirPagesOwn() throws {
    let (cpu, lifter) = try makeCPU()
    var dice = Dice(seed: 7)
    let memory = Memory(base: 0)
    memory.fill(&dice)
    let distance = UInt64(AddressView.entryCount) << AddressView.pageShift
    let address: UInt64 = 0x7_3000
    cpu.pages[address] = ScratchPage(host: memory.page(0))
    cpu.pages[address + distance] = ScratchPage(host: memory.page(1))
    let pc: UInt64 = 0x1000
    lifter.blocks[pc] = [Instruction(.load64, destination: 3, a: 4), Instruction(.jump, imm: 0x40)]
    func load(_ place: UInt64) -> UInt64 {
      cpu.context.registers[4] = place
      _ = cpu.run(pc, lifter: lifter)
      return cpu.context.registers[3]
    }
    let first = memory.page(0).load(as: UInt64.self)
    let second = memory.page(1).load(as: UInt64.self)
    for _ in 0..<3 {
      #expect(load(address) == first)
      #expect(load(address + distance) == second)
    }
    #expect(cpu.loadCallOuts == 6)
    #expect(load(address + distance) == second)
    #expect(cpu.loadCallOuts == 6)
    // Dropping the other page that shares the place changes nothing.
    cpu.view.drop(address)
    #expect(load(address + distance) == second)
    #expect(cpu.loadCallOuts == 6)
    cpu.view.drop(address + distance + 0xFFF)
    #expect(load(address + distance) == second)
    #expect(cpu.loadCallOuts == 7)
  }

  /// A store's entries that lead to a host page are dropped together, whatever guest page they are for.
  @Test func dropsWritesByHostPage() throws {
    let (cpu, _) = try makeCPU()
    let memory = Memory(base: 0)
    for page in 0..<100 as Range<UInt64> {
      cpu.view.fill(table: AddressView.writeTable, page << 12, host: memory.page(Int(page & 1)))
      cpu.view.fill(table: AddressView.readTable, page << 12, host: memory.page(Int(page & 1)))
    }
    cpu.view.dropWrites(toHostPage: memory.page(1))
    for page in 0..<100 as Range<UInt64> {
      let isDropped = page & 1 == 1
      #expect((cpu.view.hit(table: AddressView.writeTable, page << 12 | 8, size: 8) == nil) == isDropped)
      #expect(
        cpu.view.hit(table: AddressView.readTable, page << 12 | 8, size: 8) == memory.page(Int(page & 1)) + 8)
    }
  }
}
