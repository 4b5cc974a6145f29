internal import Devices
internal import HostSystem
internal import Synchronization
internal import Testing

/// What firmware of its own finds on a board. That Debian's starts from it is shown by the nested tests.
@Suite("PC firmware") struct PCFirmwareTests {
  // MARK: - Configuration

  /// The bytes of an item, as firmware reads them.
  private func item(_ number: UInt32, _ count: Int, _ device: FirmwareConfiguration) throws -> [UInt8] {
    try device.writePort(offset: 0, width: 2, value: number)
    return try (0..<count).map { _ in UInt8(try device.readPort(offset: 1, width: 1)) }
  }

  @Test func itemsAndFiles() throws {
    let content = Mutex<[UInt8]>([1, 2, 3])
    let device = FirmwareConfiguration(
      processors: 5, files: [.init("etc/one") { content.withLock { $0 } }, .init("opt/empty") { [] }])
    #expect(try item(0, 5, device) == Array("QEMU".utf8) + [0], "and zeros behind the end")
    #expect(try item(1, 4, device) == [1, 0, 0, 0], "no transfers into memory")
    #expect(try item(5, 2, device) == [5, 0])
    let directory = try item(0x19, 4 + 2 * 64, device)
    #expect(directory[0..<12] == [0, 0, 0, 2, 0, 0, 0, 3, 0, 0x20, 0, 0])
    #expect(directory[12..<20] == ArraySlice(Array("etc/one".utf8) + [0]))
    #expect(directory[68..<76] == [0, 0, 0, 0, 0, 0x21, 0, 0])
    #expect(try item(0x20, 4, device) == [1, 2, 3, 0])
    content.withLock { $0 = [9] }
    #expect(try item(0x20, 2, device) == [9, 0], "as it is when it is selected")
    #expect(try item(0x1234, 2, device) == [0, 0])
    try device.writePort(offset: 0, width: 2, value: 0)
    device.reset()
    #expect(try device.readPort(offset: 1, width: 1) == 0)
    #expect(throws: BusFault.badWidth) { try device.readPort(offset: 1, width: 4) }
    #expect(throws: BusFault.forbidden) { try device.readPort(offset: 0, width: 2) }
    #expect(throws: BusFault.forbidden) { try device.writePort(offset: 1, width: 1, value: 0) }
  }

  // MARK: - Tables

  /// Carrying out the commands gives what building the tables for the place gives.
  @Test func tablesCanBeMoved() throws {
    var board = try ACPIBoard().description
    board.generationID = nil
    let tables = ACPITables.build(for: board, at: 0)
    let place: UInt64 = 0x7FB7_3000
    var file = tables.loaderFile
    let commands = tables.loaderCommands
    #expect(commands.count % 128 == 0)
    func number(_ bytes: ArraySlice<UInt8>) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }
    var kinds: [Int] = []
    for start in stride(from: 0, to: commands.count, by: 128) {
      let command = commands[start..<start + 128]
      func field(_ offset: Int, _ size: Int = 4) -> Int {
        number(command[start + offset..<start + offset + size])
      }
      kinds.append(field(0))
      #expect(command[start + 4..<start + 20] == ArraySlice(Array("etc/acpi/tables".utf8) + [0]))
      switch field(0) {
      case 1: #expect(field(60) == 4096 && field(64, 1) == 1)
      case 2:
        let (offset, size) = (field(116), field(120, 1))
        let value = UInt64(number(file[offset..<offset + size])) + place
        for byte in 0..<size { file[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
      case 3:
        let (result, first, count) = (field(60), field(64), field(68))
        file[result] = 0
        file[result] = 0 &- file[first..<first + count].reduce(0, &+)
      default: Issue.record("command \(field(0))")
      }
    }
    #expect(kinds.first == 1 && kinds == kinds.sorted(), "pointers before what sums them up")
    #expect(file == ACPITables.build(for: board, at: place).bytes)
  }

  // MARK: - Flash memory

  private final class Flash: Sendable {
    let memory: Mapping
    let device: FlashMemory
    let shown = PlatformLog<Bool>()
    let kept = PlatformLog<Range<Int>>()

    init() throws {
      memory = try Mapping.map(size: 3 * 4096)
      memory.base.initializeMemory(as: UInt8.self, repeating: 0xFF, count: memory.size)
      device = FlashMemory(
        contents: memory, showContents: { [shown] in shown.append($0) },
        keep: { [kept] offset, bytes in kept.append(offset..<offset + bytes.count) })
    }

    func read(_ offset: UInt64, _ width: Int = 1) throws -> UInt64 {
      try device.read(offset: offset, width: width)
    }
    func write(_ offset: UInt64, _ value: UInt64, _ width: Int = 1) throws {
      try device.write(offset: offset, width: width, value: value)
    }
  }

  /// The steps by which EDK2 tells flash memory from RAM and ROM.
  @Test func firmwareKnowsIt() throws {
    let flash = try Flash()
    try flash.write(0x100, 0x50)
    #expect(try flash.read(0x100) == 0xFF, "no RAM")
    try flash.write(0x100, 0x70)
    #expect(try flash.read(0x100) == 0, "no ROM: a status that was cleared")
    try flash.write(0x100, 0x10)
    try flash.write(0x100, 0xFF)
    try flash.write(0x100, 0x70)
    #expect(try flash.read(0x100) == 0x80, "done, and no error")
    try flash.write(0x100, 0xFF)
    #expect(try flash.read(0x100) == 0xFF)
  }

  @Test func bytesAndBlocks() throws {
    let flash = try Flash()
    for (place, byte) in [(0x1000, 0x0F), (0x1001, 0x55), (0x1000, 0xF3)] as [(UInt64, UInt64)] {
      try flash.write(place, 0x40)
      try flash.write(place, byte)
    }
    #expect(flash.kept.all.isEmpty, "while it is not read")
    try flash.write(0x1001, 0xFF)
    #expect(try flash.read(0x1000, 4) == 0xFFFF_5503, "programming clears bits")
    #expect(flash.kept.all == [0x1000..<0x1002])
    #expect(flash.shown.all == [false, true])
    try flash.write(0x1234, 0x20)
    try flash.write(0x1234, 0xD0)
    try flash.write(0x1234, 0xFF)
    #expect(try flash.read(0x1000, 8) == .max, "erasing sets them")
    #expect(flash.kept.all.last == 0x1000..<0x2000)
    // Unconfirmed, and then reset in the middle of something.
    try flash.write(0, 0x20)
    try flash.write(0, 0x00)
    #expect(try flash.read(0) == 0xB0)
    try flash.write(0, 0x50)
    try flash.write(0, 0x10)
    flash.device.reset()
    try flash.write(0, 0x00)
    #expect(try flash.read(0) == 0xFF, "a command, no byte")
  }

  /// What one holds and is doing, another goes on with, and writes down what it did not hold.
  @Test func flashGoesOn() throws {
    let flash = try Flash()
    try flash.write(0x1004, 0x40)
    try flash.write(0x1004, 0x5A)
    try flash.write(0x1004, 0xFF)
    try flash.write(0x2FFF, 0x10)
    let state = flash.device.state
    #expect(state.mode == .program && state.blocks.map(\.number) == [1])
    let other = try Flash()
    other.memory.base.storeBytes(of: 7, as: UInt8.self)
    other.device.state = state
    #expect(other.device.state == state)
    #expect(other.kept.all == [0..<0x2000], "one block erased, one filled")
    #expect(other.shown.all == [false])
    try other.write(0x2FFF, 0x01)
    try other.write(0, 0xFF)
    #expect(try other.read(0x2FFF) == 0x01)
    #expect(try other.read(0x1000, 8) == 0xFFFF_FF5A_FFFF_FFFF && other.read(0, 8) == .max)
    #expect(other.kept.all.last == 0x2FFF..<0x3000 && other.shown.all == [false, true])
    // The same once more is nothing to write down.
    let count = other.kept.all.count
    other.device.state = other.device.state
    #expect(other.kept.all.count == count)
    // What no flash memory can have held.
    for spoilt in [
      FlashMemory.State.Block(number: 3, words: .init(repeating: 0, count: 512)),
      .init(number: -1, words: .init(repeating: 0, count: 512)), .init(number: 0, words: [0]),
    ] {
      other.device.state = .init(mode: .array, status: 0xFF, blocks: [spoilt])
      #expect(other.device.state == .init(mode: .array, status: 0xB0, blocks: []))
    }
  }

  @Test func itemsGoOn() throws {
    let told = FirmwareConfiguration(processors: 2, files: [.init("etc/a") { [1, 2, 3, 4] }])
    try told.writePort(offset: 0, width: 2, value: 0x20)
    #expect(try told.readPort(offset: 1, width: 1) == 1)
    let other = FirmwareConfiguration(processors: 2, files: [])
    other.state = told.state
    #expect(try (0..<4).map { _ in try other.readPort(offset: 1, width: 1) } == [2, 3, 4, 0])
    for place in [Int.min, 5, .max] {
      other.state = .init(content: [9], place: place)
      #expect(try other.readPort(offset: 1, width: 1) == (place < 0 ? 9 : 0))
    }
  }

  // MARK: - Bridges

  /// EDK2's constants for the Q35: where the configuration space goes, and where it finds ACPI's registers.
  @Test func bridgesAreThoseOfTheQ35() throws {
    let plic = PLIC(contexts: [])
    let router = PCIInterruptRouter(lines: (0..<4).map { InterruptLine(sink: plic, input: $0) })
    let bridge = PCIHostBridge(
      map: .init(ecam: 0xE000_0000, memory32: 0x8000_0000..<0xFC00_0000, movesECAM: true),
      identity: PCIHostBridge.q35Identity, interrupts: router,
      functions: [(LPCBridge.address, LPCBridge(powerManagement: 0x600))])
    let bus = try MMIOBus(bridge.mappings(buses: 256), report: { _ in })
    let ports = try PortBus([bridge.portMapping], report: { _ in })
    func setRegister(_ device: UInt32, _ register: UInt32, _ value: UInt32) {
      ports.write(port: 0xCF8, width: 4, value: 1 << 31 | device << 11 | register)
      ports.write(port: 0xCFC, width: 4, value: value)
    }
    bridge.reset()
    let lpc: UInt64 = 0x1F << 15
    #expect(bus.read(address: 0xE000_0000, width: 4) == 0x29C0_8086)
    #expect(bus.read(address: 0xE000_0000 + lpc + 0x0A, width: 2) == 0x0601)
    #expect(bus.read(address: 0xE000_0000 + lpc + 0x40, width: 4) == 0x601)
    #expect(bus.read(address: 0xE000_0000 + lpc + 0x44, width: 1) & 0x80 != 0)
    setRegister(0x1F, 0x40, 0xB001)
    #expect(bus.read(address: 0xE000_0000 + lpc + 0x40, width: 4) == 0x601, "it stays")
    // As Debian 12's firmware does: off, the upper half, the lower half with the size of 256 buses.
    setRegister(0, 0x60, 0)
    #expect(bridge.ecam == nil && bus.read(address: 0xE000_0000, width: 4) == 0xFFFF_FFFF)
    setRegister(0, 0x64, 0)
    setRegister(0, 0x60, 0xB000_0001)
    #expect(bridge.ecam == 0xB000_0000..<0xC000_0000)
    #expect(bus.read(address: 0xB000_0000, width: 4) == 0x29C0_8086)
    #expect(bus.read(address: 0xE000_0000, width: 4) == 0xFFFF_FFFF)
    bus.write(address: 0xB000_0060, width: 4, value: 0xB000_0005)
    #expect(bridge.ecam == 0xB000_0000..<0xB400_0000, "64 buses")
    // Beyond what the window decodes; and back.
    setRegister(0, 0x64, 0xF)
    #expect(bus.read(address: 0xB000_0000, width: 4) == 0xFFFF_FFFF)
    bridge.reset()
    #expect(bridge.ecam == 0xE000_0000..<0xF000_0000)
  }
}
