internal import Devices
internal import Testing

/// The bridge by the figures of the specifications.
@Suite struct PCIHostBridgeTests {
  private static func machine(devices: Int = 1, hasMessages: Bool = true) throws -> PCIOwnMachine {
    try PCIOwnMachine(try (0..<devices).map { _ in try VirtioEntropy() }, hasMessages: hasMessages)
  }

  // MARK: - Configuration space

  /// PCI Express §7.2.2: a request is for bytes of one word. Whatever else is read is all ones.
  @Test func widthsAndAlignments() throws {
    let machine = try Self.machine()
    #expect(try machine.config(1, 0, 4) == 0x1044_1AF4)
    #expect(try machine.config(1, 1, 1) == 0x1A)
    #expect(try machine.config(1, 1, 2) == 0x441A, "two bytes of one word")
    #expect(machine.reports.lines.isEmpty)
    #expect(try machine.config(1, 3, 2) == 0xFFFF)
    #expect(try machine.config(1, 2, 4) == 0xFFFF_FFFF)
    #expect(try machine.config(1, 0, 8) == .max)
    #expect(machine.reports.lines.count == 3)
    try machine.setConfig(1, 0x3B, 4, 0)
    try machine.setConfig(1, 0x3C, 8, 0x55)
    #expect(try machine.config(1, 0x3C, 1) == 32 + 1, "nothing was written")
    #expect(machine.reports.lines.count == 5)
    // The end of a function, of a bus, of all buses.
    #expect(try machine.config(1, 0xFFC, 4) == 0)
    #expect(try machine.config(1, 0x100, 4) == 0, "no extended capabilities")
    #expect(try machine.read(0x3FFF_FFFC, 4) == 0xFFFF_FFFF)
    try machine.write(0x3FFF_FFFC, 4, 0)
    try machine.setConfig(31, 4, 2, 7)
    #expect(machine.reports.lines.count == 5, "looking for functions is nothing to report")
  }

  /// What may be read only stays, byte by byte.
  @Test func readOnlyBytes() throws {
    let machine = try Self.machine()
    let before = try (0..<64).map { try machine.config(1, 4 * $0, 4) }
    for register in 0..<64 where register != 1 { try machine.setConfig(1, 4 * register, 4, 0xFFFF_FFFF) }
    // Ranges, cache line, interrupt line, control of power, of PCI Express and of messages, and the access
    // capability's fields can be written; all else cannot.
    let place = try PCIVirtioDriver(machine, device: 1)
    let express = try #require(place.place(ofCapability: 0x10))
    let power = try #require(place.place(ofCapability: 0x01))
    let messages = try #require(place.place(ofCapability: 0x11))
    let access = try #require(place.structures[PCIVirtioDriver.Kind.access]).place
    let writable: Set = [
      0x0C, 0x10, 0x14, 0x3C, power + 4, express + 8, messages, access + 4, access + 8, access + 12,
      access + 16,
    ]
    for register in 0..<64 where !writable.contains(4 * register) && register != 1 {
      #expect(try machine.config(1, 4 * register, 4) == before[register], "0x\(4 * register)")
    }
    // A function-level reset was among what was written.
    #expect(try machine.config(1, 4, 2) == 0)
  }

  @Test(arguments: [true, false]) func sizingARange(isDecoding: Bool) throws {
    let machine = try Self.machine()
    try machine.setConfig(1, 4, 2, isDecoding ? 2 : 0)
    #expect(try machine.config(1, 0x10, 4) & 0xF == 0b100, "64 bits, not prefetchable")
    try machine.setConfig(1, 0x10, 4, 0xFFFF_FFFF)
    try machine.setConfig(1, 0x14, 4, 0xFFFF_FFFF)
    #expect(try machine.config(1, 0x10, 4) == 0xFFFF_8004, "32 KiB")
    #expect(try machine.config(1, 0x14, 4) == 0xFFFF_FFFF)
    for register in [0x18, 0x1C, 0x20, 0x24, 0x30] {
      try machine.setConfig(1, register, 4, 0xFFFF_FFFF)
      #expect(try machine.config(1, register, 4) == 0, "there is no more")
    }
    // Byte by byte.
    for byte in 0..<4 { try machine.setConfig(1, 0x10 + byte, 1, UInt64(0x44 + byte)) }
    #expect(try machine.config(1, 0x10, 4) == 0x4746_0004)
  }

  @Test func rangesOfBothKinds() throws {
    final class Function: PCIFunction {
      let name = "test"
      let interface: PCIInterface
      init(_ ranges: [PCIBaseAddress]) {
        var description = PCIInterface.Description(
          PCIIdentity(vendorID: 1, deviceID: 2, classCode: 0xFF_0000))
        description.ranges = ranges
        interface = PCIInterface(description)
      }
      func reset() { interface.reset() }
      func read(range: Int, offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
        UInt64(range) << 60 | offset
      }
    }
    let function = Function([
      PCIBaseAddress(index: 0, kind: .memory32, size: 0x100),
      PCIBaseAddress(index: 1, kind: .memory64, size: 1 << 33),
      PCIBaseAddress(index: 3, kind: .memory32, size: 1 << 20),
    ])
    let plic = PLIC(contexts: [])
    let router = PCIInterruptRouter(lines: (0..<4).map { InterruptLine(sink: plic, input: 32 + $0) })
    let bridge = PCIHostBridge(
      map: PCIOwnMachine.map, interrupts: router, functions: [(PCIAddress(device: 5), function)])
    let bus = try MMIOBus(bridge.mappings(), report: { _ in })
    bridge.reset()
    func register(_ index: Int) -> UInt64 { bus.read(address: 0x3002_8010 + UInt64(4 * index), width: 4) }
    #expect(register(3) == 0x4000_0000, "the largest first")
    #expect(register(0) == 0x4010_0000)
    #expect(register(1) | register(2) << 32 == 0x4_0000_0004)
    #expect(bus.read(address: 0x4010_00F8, width: 8) == 0xF8)
    #expect(bus.read(address: 0x4000_0010, width: 8) == 3 << 60 | 0x10)
    #expect(bus.read(address: 0x5_FFFF_FFF8, width: 8) == 1 << 60 | 0x1_FFFF_FFF8)
    // Across the end of a range, and past it.
    #expect(bus.read(address: 0x4010_00FC, width: 8) == .max)
    #expect(bus.read(address: 0x4010_0100, width: 4) == 0xFFFF_FFFF)
    #expect(bus.read(address: 0x6_0000_0000, width: 4) == 0xFFFF_FFFF)
    // The upper half of the sizes of a range of 8 GiB.
    bus.write(address: 0x3002_8018, width: 4, value: 0xFFFF_FFFF)
    bus.write(address: 0x3002_8014, width: 4, value: 0xFFFF_FFFF)
    #expect(bus.read(address: 0x3002_8014, width: 4) == 4)
    #expect(bus.read(address: 0x3002_8018, width: 4) == 0xFFFF_FFFE)
  }

  /// Firmware's assignment is there after power-on, works, and gives way to another.
  @Test func addressesOfPowerOnAndOthers() throws {
    let machine = try Self.machine(devices: 3)
    for place in 1...3 {
      let base = try machine.config(place, 0x10, 4) & ~0xF | machine.config(place, 0x14, 4) << 32
      #expect(base == 0x4_0000_0000 + UInt64(place - 1) * 0x8000)
      #expect(try machine.config(place, 0x04, 2) == 2, "memory space, no bus master")
      #expect(try machine.config(place, 0x3C, 1) == UInt64(32 + place % 4))
      #expect(try machine.read(base + 0x12, 2) == 1, "one queue")
    }
    #expect(machine.moves.all == [1, 2, 3])
    #expect(machine.functions[0].notifyAddress(ofQueue: 0) == 0x4_0000_3000)
    #expect(machine.functions[0].notifyAddress(ofQueue: 1) == nil)
    // Elsewhere in the other window.
    try machine.setConfig(2, 0x14, 4, 0)
    try machine.setConfig(2, 0x10, 4, 0x7FFF_8000)
    #expect(try machine.read(0x7FFF_8012, 2) == 1)
    #expect(try machine.read(0x4_0000_8012, 2) == 0xFFFF, "no longer here")
    #expect(machine.functions[1].notifyAddress(ofQueue: 0) == 0x7FFF_B000)
    // Outside every window nobody gets there.
    try machine.setConfig(2, 0x10, 4, 0)
    #expect(try machine.read(0x7FFF_8012, 2) == 0xFFFF)
    // Two at one address: one of them answers, and nothing breaks.
    try machine.setConfig(2, 0x14, 4, 4)
    #expect(try machine.read(0x4_0000_0012, 2) == 1)
    // Off, and asleep.
    try machine.setConfig(1, 0x04, 2, 0)
    try machine.setConfig(2, 0x04, 2, 0)
    #expect(try machine.read(0x4_0000_0012, 2) == 0xFFFF)
    #expect(machine.functions[0].notifyAddress(ofQueue: 0) == nil)
    try machine.setConfig(1, 0x04, 2, 2)
    let power = try #require(try PCIVirtioDriver(machine, device: 1).place(ofCapability: 1))
    try machine.setConfig(1, power + 4, 2, 3)
    #expect(try machine.read(0x4_0000_0012, 2) == 0xFFFF, "in D3hot")
    #expect(try machine.config(1, 0, 2) == 0x1AF4, "but in configuration space")
    try machine.setConfig(1, power + 4, 2, 0)
    #expect(try machine.read(0x4_0000_0012, 2) == 1)
  }

  @Test func multifunctionDevices() throws {
    let plic = PLIC(contexts: [])
    let router = PCIInterruptRouter(lines: (0..<4).map { InterruptLine(sink: plic, input: 32 + $0) })
    let memory = try PCIOwnMachine.makeMemory()
    let places = [PCIAddress(device: 2), PCIAddress(device: 2, function: 7), PCIAddress(device: 3)]
    let bridge = PCIHostBridge(
      map: PCIOwnMachine.map, interrupts: router,
      functions: try places.map {
        let device = VirtioPCITransport(
          device: try VirtioEntropy(), memory: memory, interrupt: router.interruptLine(of: $0), messages: nil,
          report: { _ in })
        return ($0, device)
      })
    bridge.reset()
    defer { bridge.stop() }
    let bus = try MMIOBus(bridge.mappings(), report: { _ in })
    #expect(bus.read(address: 0x3001_000E, width: 1) == 0x80)
    #expect(bus.read(address: 0x3001_7000, width: 2) == 0x1AF4)
    #expect(bus.read(address: 0x3001_8000 + 0x0E, width: 1) == 0)
  }

  // MARK: - Ports (PCI 3.0 §3.2.2.3.2)

  @Test func portsAreAnotherFace() throws {
    let machine = try Self.machine(devices: 2)
    let reports = Reports()
    let ports = try PortBus([machine.bridge.portMapping], report: { reports.add($0) })
    // What Linux looks for: the register holds what it may.
    ports.write(port: 0xCF8, width: 4, value: 0x8000_0000)
    #expect(ports.read(port: 0xCF8, width: 4) == 0x8000_0000)
    ports.write(port: 0xCF8, width: 4, value: .max)
    #expect(ports.read(port: 0xCF8, width: 4) == 0x80FF_FFFC)
    for place in 0..<3 as Range<UInt32> {
      for register in stride(from: 0, to: 256, by: 4) as StrideTo<UInt32> {
        ports.write(port: 0xCF8, width: 4, value: 0x8000_0000 | place << 11 | register)
        let word = UInt32(try machine.config(Int(place), Int(register), 4))
        #expect(ports.read(port: 0xCFC, width: 4) == word)
        #expect(ports.read(port: 0xCFE, width: 2) == word >> 16)
        #expect(ports.read(port: 0xCFF, width: 1) == word >> 24)
      }
    }
    ports.write(port: 0xCF8, width: 4, value: 0x8000_0000 | 1 << 11 | 0x3C)
    ports.write(port: 0xCFC, width: 1, value: 0x0B)
    #expect(try machine.config(1, 0x3C, 2) == 0x010B)
    // Absent functions and buses.
    for address in [0x8000_F800, 0x8001_0800] as [UInt32] {
      ports.write(port: 0xCF8, width: 4, value: address)
      #expect(ports.read(port: 0xCFC, width: 4) == .max)
      ports.write(port: 0xCFC, width: 4, value: 0)
    }
    #expect(reports.lines.isEmpty)
    // Bytes of the address, words across its end, and data while it is off are nobody's.
    #expect(ports.read(port: 0xCF9, width: 1) == 0xFF)
    #expect(ports.read(port: 0xCFA, width: 4) == .max)
    #expect(ports.read(port: 0xCFE, width: 4) == .max)
    #expect(ports.read(port: 0xCFD, width: 4) == .max)
    ports.write(port: 0xCF8, width: 4, value: 1 << 11)
    #expect(ports.read(port: 0xCFC, width: 4) == .max)
    ports.write(port: 0xCFC, width: 4, value: 0)
    #expect(ports.read(port: 0x60, width: 1) == 0xFF)
    #expect(reports.lines.count == 7)
    machine.bridge.reset()
    #expect(ports.read(port: 0xCF8, width: 4) == 0)
  }

  // MARK: - Interrupts

  /// Two pins on one wire: it is high while either is.
  @Test func wiresAreShared() throws {
    let sinks = (0..<4).map { _ in PlatformSink() }
    let router = PCIInterruptRouter(lines: sinks.map(\.line))
    let one = router.interruptLine(of: PCIAddress(device: 1))
    let five = router.interruptLine(of: PCIAddress(device: 5, function: 7))
    let four = router.interruptLine(of: PCIAddress(device: 4))
    one.setLevel(true)
    #expect(sinks.map(\.level) == [false, true, false, false])
    one.setLevel(true)
    five.setLevel(true)
    one.setLevel(false)
    #expect(sinks[1].level)
    four.setLevel(true)
    #expect(sinks.map(\.level) == [true, true, false, false])
    five.setLevel(false)
    five.setLevel(false)
    #expect(sinks.map(\.level) == [true, false, false, false])
  }

  @Test func boardWithoutMessagesHasNone() throws {
    let machine = try Self.machine(hasMessages: false)
    let driver = try PCIVirtioDriver(machine, device: 1)
    #expect(driver.place(ofCapability: 0x11) == nil)
    try driver.assign(at: 0x4000_0000)
    try driver.setCommon(0x10, 2, 0)
    #expect(try driver.common(0x10, 2) == 0xFFFF, "no vector to be had")
    #expect(try machine.read(0x4000_4000, 4) == 0xFFFF_FFFF)
  }
}
