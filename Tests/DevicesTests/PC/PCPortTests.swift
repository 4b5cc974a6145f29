internal import Devices
internal import Testing

/// The devices with few ports.
@Suite("PC ports") struct PCPortTests {
  /// ACPI's registers, on a clock that stands until it is set.
  struct Power {
    let sink = PlatformSink()
    let clock = PlatformClock(now: 0)
    let requests = PlatformLog<PowerRequest>()
    let device: ACPIPowerManagement

    init() {
      device = ACPIPowerManagement(
        interrupt: sink.line, clock: { [clock] in clock.now }, request: { [requests] in requests.append($0) })
    }

    func write(_ offset: Int, _ value: UInt32) throws {
      try device.writePort(offset: offset, width: 1, value: value)
    }
  }

  @Test(
    arguments: [
      (0, 0x34, .powerOff(code: nil)), (0, 0x14, nil), (0, 0x30, nil), (0, 0x20, nil),
      (0, 0xFF34, .powerOff(code: nil)), (0, 0xF7, .powerOff(code: nil)), (4, 1, .reset), (4, 0, nil),
      (4, 2, nil), (1, 0x80, nil),
    ] as [(Int, UInt32, PowerRequest?)])
  func sleepAndReset(offset: Int, value: UInt32, expected: PowerRequest?) throws {
    let power = Power()
    try power.write(offset, value)
    #expect(power.requests.all == (expected.map { [$0] } ?? []))
    #expect(try power.device.readPort(offset: offset, width: 1) == 0)
  }

  /// As EDK2 switches off, and others do not: sleep type 0, then the bit that does it.
  @Test func firmwareSwitchesOff() throws {
    let power = Power()
    #expect(try power.device.readPort(offset: 4, width: 2) == 1, "ACPI is on")
    for value in [1, 0x1C01, 0x3C01] as [UInt32] {
      try power.device.writePort(offset: 4, width: 2, value: value)
    }
    #expect(power.requests.all.isEmpty)
    try power.device.writePort(offset: 4, width: 2, value: 0x2001)
    #expect(power.requests.all == [.powerOff(code: nil)])
  }

  @Test func powerButton() throws {
    let power = Power()
    #expect(!power.sink.level)
    power.device.pressPowerButton()
    power.device.pressPowerButton()
    #expect(power.sink.level)
    power.device.raise(.generationChanged)
    #expect(try power.device.readPort(offset: 2, width: 1) == 3)
    #expect(!power.sink.level)
    #expect(try power.device.readPort(offset: 2, width: 1) == 0)
    power.device.pressPowerButton()
    let other = Power()
    other.device.state = power.device.state
    #expect(other.sink.level && other.device.state == power.device.state)
    power.device.reset()
    #expect(!power.sink.level)
  }

  @Test func timerCountsAtItsFrequency() throws {
    let power = Power()
    for (now, ticks) in [
      (0, 0), (279, 0), (280, 1), (1_000_000_000, 3_579_545), (1_200_000_000_000, 486_704),
    ] as [(UInt64, UInt32)] {
      power.clock.set(now)
      #expect(try power.device.readPort(offset: 8, width: 4) == ticks)
    }
    power.clock.set(1_000_000_000)
    #expect(try power.device.readPort(offset: 9, width: 2) & 0xFFFF == 3_579_545 >> 8 & 0xFFFF)
    #expect(try power.device.readPort(offset: 11, width: 1) == 0)
    power.clock.set(.max)
    _ = try power.device.readPort(offset: 8, width: 4)
  }

  @Test func powerPortsThatOneCannotUse() {
    let power = Power()
    #expect(throws: BusFault.badWidth) { try power.device.writePort(offset: 0, width: 4, value: 0x34) }
    #expect(throws: BusFault.badWidth) { try power.device.readPort(offset: 2, width: 4) }
    #expect(throws: BusFault.badWidth) { try power.device.readPort(offset: 10, width: 4) }
    #expect(throws: BusFault.noRegister) { try power.device.readPort(offset: 3, width: 1) }
    #expect(throws: BusFault.forbidden) { try power.device.writePort(offset: 8, width: 4, value: 0) }
    #expect(throws: BusFault.forbidden) { try power.write(2, 1) }
    #expect(power.requests.all.isEmpty)
  }

  @Test func panic() throws {
    let reports = PlatformLog<PanicDevice.Events>()
    let device = PanicDevice { reports.append($0) }
    #expect(try device.readPort(offset: 0, width: 1) == 7)
    for value in [0, 1, 2, 4, 0xF8, 0xFF] as [UInt32] {
      try device.writePort(offset: 0, width: 1, value: value)
    }
    #expect(reports.all == [.panicked, .crashLoaded, .shutdown, [.panicked, .crashLoaded, .shutdown]])
    #expect(throws: BusFault.badWidth) { try device.writePort(offset: 0, width: 4, value: 1) }
    #expect(throws: BusFault.noRegister) { try device.readPort(offset: 1, width: 1) }
  }

  @Test func firstWords() throws {
    let characters = PlatformLog<UInt8>()
    let device = DebugPort { characters.append($0) }
    #expect(try device.readPort(offset: 0, width: 1) == 0xE9)
    for character in "ok\n".utf8 { try device.writePort(offset: 0, width: 1, value: UInt32(character)) }
    #expect(characters.all == Array("ok\n".utf8))
    #expect(throws: BusFault.badWidth) { try device.readPort(offset: 0, width: 2) }
  }

  @Test func postCodes() throws {
    let device = POSTCodePort()
    try device.writePort(offset: 0, width: 1, value: 0x1A5)
    #expect(try device.readPort(offset: 0, width: 1) == 0xA5)
    let other = POSTCodePort()
    other.state = device.state
    #expect(other.state.code == 0xA5)
    device.reset()
    #expect(device.state.code == 0)
  }

  @Test func keyboardReset() throws {
    let requests = PlatformLog<PowerRequest>()
    let device = KeyboardResetPort { requests.append($0) }
    #expect(try device.readPort(offset: 0, width: 1) == 0xFF)
    for command in [0xD1, 0xFF, 0x60, 0xAA] as [UInt32] {
      try device.writePort(offset: 0, width: 1, value: command)
    }
    #expect(requests.all.isEmpty)
    try device.writePort(offset: 0, width: 1, value: 0xFE)
    #expect(requests.all == [.reset])
  }

  /// Linux asks for a hard reset and then does it, by the port amid those of the PCI bus.
  @Test func resetControl() throws {
    let requests = PlatformLog<PowerRequest>()
    let control = ResetControlPort { requests.append($0) }
    let machine = try PCIOwnMachine([])
    let bus = try PortBus([machine.bridge.portMapping(resetControl: control)], report: { _ in })
    bus.write(port: 0xCF8, width: 4, value: 0x8000_0000)
    #expect(bus.read(port: 0xCF9, width: 1) == 0)
    bus.write(port: 0xCF9, width: 1, value: 0xF2)
    #expect(requests.all.isEmpty)
    #expect(bus.read(port: 0xCF9, width: 1) == 2)
    let copy = ResetControlPort { requests.append($0) }
    copy.state = control.state
    #expect(copy.state == control.state)
    bus.write(port: 0xCF9, width: 1, value: 0x0E)
    #expect(requests.all == [.reset])
    bus.write(port: 0xCF9, width: 1, value: 0x0E)
    #expect(requests.all == [.reset], "only a bit that becomes set resets")
    #expect(bus.read(port: 0xCF8, width: 4) == 0x8000_0000)
    #expect(bus.read(port: 0xCFC, width: 4) == 0x0008_1B36)
    #expect(bus.read(port: 0xCF8, width: 1) == 0xFF)
    #expect(bus.read(port: 0xCF9, width: 2) == 0xFFFF)
    control.reset()
    #expect(control.state.control == 0)
  }

  @Test func serialPort() throws {
    let port = PlatformUARTTests.Port()
    let bus = try PortBus([PortBus.Mapping(base: 0x3F8, device: port.uart)], report: { _ in })
    bus.write(port: 0x3F8, width: 1, value: 0x41)
    #expect(port.sent.all == [0x41])
    #expect(bus.read(port: 0x3FD, width: 1) == 0x60)
    bus.write(port: 0x3FF, width: 1, value: 0x5A)
    #expect(bus.read(port: 0x3FF, width: 1) == 0x5A)
    #expect(bus.read(port: 0x3FE, width: 2) == 0xFFFF)
    #expect(bus.read(port: 0x3FF, width: 4) == 0xFFFF_FFFF)
    #expect(bus.read(port: 0x400, width: 1) == 0xFF)
  }

  /// What nobody answers reads as all ones, and writing there does nothing.
  @Test func absentPorts() throws {
    let reports = PlatformLog<String>()
    let bus = try PortBus([], report: { reports.append($0) })
    for (width, ones) in [(1, 0xFF), (2, 0xFFFF), (4, 0xFFFF_FFFF)] as [(Int, UInt32)] {
      for port in [0, 0x60, 0x3F8, 0xFFFF] as [UInt16] {
        #expect(bus.read(port: port, width: width) == ones)
        bus.write(port: port, width: width, value: 0)
      }
    }
    #expect(reports.all.count == 24)
  }
}
