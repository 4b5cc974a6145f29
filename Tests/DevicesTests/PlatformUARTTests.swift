internal import Devices
internal import Testing

/// The serial port against the PC16550D data sheet, register by register.
@Suite("UART 16550") struct PlatformUARTTests {
  struct Port {
    let sink = PlatformSink()
    let sent = PlatformLog<UInt8>()
    let roomNotices = PlatformLog<Void>()
    let uart: UART16550

    init() {
      uart = UART16550(
        interrupt: sink.line, output: { [sent] in sent.append($0) },
        hasRoom: { [roomNotices] in roomNotices.append(()) })
    }

    func read(_ register: UInt64) throws -> UInt8 { UInt8(try uart.read(offset: register, width: 1)) }
    func write(_ register: UInt64, _ value: UInt8) throws {
      try uart.write(offset: register, width: 1, value: UInt64(value))
    }
  }

  private let data: UInt64 = 0
  private let ier: UInt64 = 1
  private let iir: UInt64 = 2
  private let fcr: UInt64 = 2
  private let lcr: UInt64 = 3
  private let mcr: UInt64 = 4
  private let lsr: UInt64 = 5
  private let msr: UInt64 = 6
  private let scr: UInt64 = 7

  /// The data sheet's table of what a master reset leaves.
  @Test func masterReset() throws {
    let port = Port()
    for register in [ier, lcr, mcr] { try port.write(register, 0x1F) }
    try port.write(fcr, 0xC1)
    _ = port.uart.receive([1, 2, 3])
    port.uart.reset()
    #expect(try port.read(ier) == 0)
    #expect(try port.read(iir) == 0x01)
    #expect(try port.read(lcr) == 0)
    #expect(try port.read(mcr) == 0)
    #expect(try port.read(lsr) == 0x60)
    #expect(try port.read(msr) == 0xB0)
    #expect(!port.sink.level)
  }

  @Test func sendsAtOnce() throws {
    let port = Port()
    for byte in "ok\n".utf8 { try port.write(data, byte) }
    #expect(port.sent.all == Array("ok\n".utf8))
    #expect(try port.read(lsr) == 0x60)
  }

  @Test func divisorLatchHidesTwoRegisters() throws {
    let port = Port()
    try port.write(ier, 0x05)
    try port.write(lcr, 0x83)
    try port.write(data, 0x0C)
    try port.write(ier, 0x34)
    #expect(try port.read(data) == 0x0C)
    #expect(try port.read(ier) == 0x34)
    try port.write(lcr, 0x03)
    #expect(try port.read(ier) == 0x05)
    #expect(port.uart.state.divisor == 0x340C)
    #expect(port.sent.all.isEmpty)
  }

  @Test(arguments: 0...255 as ClosedRange<UInt8>) func unusedBitsReadZero(value: UInt8) throws {
    let port = Port()
    try port.write(ier, value)
    try port.write(mcr, value)
    try port.write(scr, value)
    #expect(try port.read(ier) == value & 0x0F)
    #expect(try port.read(mcr) == value & 0x1F)
    #expect(try port.read(scr) == value)
    try port.write(lcr, value)
    #expect(try port.read(lcr) == value)
  }

  @Test func statusRegistersCannotBeWritten() throws {
    let port = Port()
    #expect(throws: BusFault.forbidden) { try port.write(lsr, 0) }
    #expect(throws: BusFault.forbidden) { try port.write(msr, 0) }
    #expect(throws: BusFault.noRegister) { try port.read(8) }
    #expect(throws: BusFault.badWidth) { try port.uart.read(offset: 0, width: 4) }
  }

  // MARK: - Receiving

  @Test func withoutFIFOOneCharacterFits() throws {
    let port = Port()
    #expect(port.uart.receive([65, 66]) == 1)
    #expect(port.uart.receive([66]) == 0)
    #expect(try port.read(lsr) == 0x61)
    #expect(port.roomNotices.all.isEmpty)
    #expect(try port.read(data) == 65)
    #expect(port.roomNotices.all.count == 1)
    #expect(try port.read(lsr) == 0x60)
    #expect(port.uart.receive([66]) == 1)
    #expect(try port.read(data) == 66)
    #expect(port.roomNotices.all.count == 1)
  }

  @Test func fifoTakesSixteenAndAsksForMoreWhenEmpty() throws {
    let port = Port()
    try port.write(fcr, 0x01)
    let bytes = Array(0..<40 as Range<UInt8>)
    var next = port.uart.receive(bytes)
    #expect(next == 16)
    var notices = 0
    var read: [UInt8] = []
    while try port.read(lsr) & 1 == 1 {
      read.append(try port.read(data))
      guard port.roomNotices.all.count > notices else { continue }
      notices += 1
      #expect(read.count == next)
      next += port.uart.receive(Array(bytes[next...]))
    }
    #expect(read == bytes)
    #expect(notices == 2)
  }

  @Test(arguments: [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)] as [(UInt8, Int)])
  func triggerLevels(control: UInt8, level: Int) throws {
    let port = Port()
    try port.write(fcr, control)
    try port.write(ier, 0x01)
    for count in 1...16 {
      #expect(port.uart.receive([UInt8(count)]) == 1)
      #expect(port.sink.level)
      // Below the trigger level the characters' time-out says that there is something.
      #expect(try port.read(iir) == (count >= level ? 0xC4 : 0xCC))
    }
    for left in (0...15).reversed() {
      _ = try port.read(data)
      #expect(try port.read(iir) == (left >= level ? 0xC4 : left > 0 ? 0xCC : 0xC1))
    }
    #expect(!port.sink.level)
  }

  @Test func fifoResetsAndToggles() throws {
    let port = Port()
    try port.write(fcr, 0x01)
    _ = port.uart.receive([1, 2, 3])
    try port.write(fcr, 0x02)  // without the enable bit: FIFOs off, and emptied by that
    #expect(try port.read(iir) == 0x01)
    #expect(try port.read(lsr) == 0x60)
    try port.write(fcr, 0x01)
    _ = port.uart.receive([1, 2, 3])
    try port.write(fcr, 0x05)  // the transmitter's alone
    #expect(try port.read(lsr) == 0x61)
    try port.write(fcr, 0x03)
    #expect(try port.read(lsr) == 0x60)
    #expect(port.uart.receive([UInt8](repeating: 0, count: 20)) == 16)
    try port.write(fcr, 0x03)
    #expect(port.roomNotices.all.count == 1)
  }

  @Test func breakIsReportedWithItsCharacter() throws {
    let port = Port()
    try port.write(fcr, 0x01)
    try port.write(ier, 0x05)
    _ = port.uart.receive([65])
    #expect(port.uart.receiveBreak())
    _ = port.uart.receive([66])
    #expect(try port.read(iir) == 0xC4)
    #expect(try port.read(lsr) == 0xE1)  // an error in the FIFO, not yet at its top
    #expect(try port.read(data) == 65)
    #expect(try port.read(iir) == 0xC6)
    #expect(try port.read(lsr) == 0xF1)
    #expect(try port.read(lsr) == 0x61)
    #expect(try port.read(iir) == 0xC4)
    #expect(try port.read(data) == 0)
    #expect(try port.read(data) == 66)
    #expect(!port.sink.level)
  }

  // MARK: - Interrupts

  /// All causes at once, and each taken away by what the data sheet's table of interrupts says.
  @Test func interruptsInOrderOfPriority() throws {
    let port = Port()
    port.uart.setModemInputs([])
    #expect(port.uart.receiveBreak())
    #expect(!port.sink.level)
    try port.write(ier, 0x0F)
    #expect(port.sink.level)
    #expect(try port.read(iir) == 0x06)
    #expect(try port.read(iir) == 0x06)
    #expect(try port.read(lsr) == 0x71)
    #expect(try port.read(iir) == 0x04)
    #expect(try port.read(data) == 0)
    #expect(try port.read(iir) == 0x02)  // reading takes this one away
    #expect(try port.read(iir) == 0x00)
    #expect(port.sink.level)
    #expect(try port.read(msr) == 0x0B)
    #expect(try port.read(iir) == 0x01)
    #expect(!port.sink.level)
  }

  @Test func transmitterInterrupt() throws {
    let port = Port()
    try port.write(ier, 0x02)
    #expect(port.sink.level)
    #expect(try port.read(iir) == 0x02)
    #expect(!port.sink.level)
    try port.write(ier, 0x02)  // it was on already
    #expect(!port.sink.level)
    try port.write(data, 65)
    #expect(port.sink.level)
    try port.write(ier, 0x00)
    #expect(!port.sink.level)
    try port.write(ier, 0x02)
    #expect(port.sink.level)
  }

  @Test func disabledCausesAreNotIdentified() throws {
    let port = Port()
    try port.write(ier, 0x02)
    _ = port.uart.receive([65])
    #expect(try port.read(iir) == 0x02)
    #expect(try port.read(iir) == 0x01)
    try port.write(ier, 0x01)
    #expect(try port.read(iir) == 0x04)
  }

  // MARK: - Modem

  @Test func modemChanges() throws {
    let port = Port()
    try port.write(ier, 0x08)
    port.uart.setModemInputs([.clearToSend, .dataSetReady, .carrierDetect, .ringIndicator])
    #expect(!port.sink.level)  // a ring that begins is no change; its end is
    port.uart.setModemInputs([.clearToSend, .dataSetReady])
    #expect(port.sink.level)
    #expect(try port.read(msr) == 0x3C)
    #expect(!port.sink.level)
    #expect(try port.read(msr) == 0x30)
  }

  @Test(arguments: 0...15 as ClosedRange<UInt8>) func loopbackOfModemLines(outputs: UInt8) throws {
    let port = Port()
    try port.write(mcr, 0x10 | outputs)
    // DTR → DSR, RTS → CTS, OUT1 → RI, OUT2 → DCD.
    let expected: UInt8 =
      (outputs & 1) << 5 | (outputs & 2) << 3 | (outputs & 4) << 4 | (outputs & 8) << 4
    #expect(try port.read(msr) & 0xF0 == expected)
    try port.write(mcr, outputs)
    #expect(try port.read(msr) & 0xF0 == 0xB0)
  }

  @Test func loopbackOfCharacters() throws {
    let port = Port()
    try port.write(fcr, 0x01)
    try port.write(mcr, 0x10)
    try port.write(ier, 0x05)
    #expect(port.uart.receive([1]) == 0)  // the line is cut off
    for byte in 1...16 as ClosedRange<UInt8> { try port.write(data, byte) }
    #expect(try port.read(iir) == 0xC4)
    try port.write(data, 17)
    #expect(try port.read(iir) == 0xC6)
    #expect(try port.read(lsr) == 0x63)
    for byte in 1...16 as ClosedRange<UInt8> { #expect(try port.read(data) == byte) }
    #expect(port.sent.all.isEmpty)
    #expect(port.roomNotices.all.isEmpty)
    try port.write(mcr, 0)
    #expect(port.roomNotices.all.count == 1)
  }

  @Test func overrunWithoutFIFOKeepsTheNewest() throws {
    let port = Port()
    try port.write(mcr, 0x10)
    try port.write(data, 1)
    try port.write(data, 2)
    #expect(try port.read(lsr) == 0x63)
    #expect(try port.read(data) == 2)
    #expect(try port.read(lsr) == 0x60)
  }

  // MARK: - State

  @Test func stateMovesToAnotherPort() throws {
    let port = Port()
    try port.write(fcr, 0x81)
    try port.write(ier, 0x0D)
    try port.write(lcr, 0x1B)
    try port.write(mcr, 0x0B)
    try port.write(scr, 0x5A)
    _ = port.uart.receive([1, 2, 3])
    _ = port.uart.receiveBreak()
    port.uart.setModemInputs(.dataSetReady)

    let other = Port()
    other.uart.state = port.uart.state
    #expect(other.uart.state == port.uart.state)
    #expect(other.sink.level)
    for register in [ier, iir, lcr, mcr, lsr, msr, scr, data, data, data, lsr, data, lsr, iir] {
      let expected = try port.read(register)
      #expect(try other.read(register) == expected)
    }
  }

  @Test func aStrangeStateIsBroughtIntoRange() throws {
    let port = Port()
    var state = port.uart.state
    state.interruptEnable = UART16550.InterruptEnable(rawValue: 0xFF)
    state.modemControl = UART16550.ModemControl(rawValue: 0xFF)
    state.receiver = (0..<100).map {
      UART16550.ReceivedCharacter(byte: $0, errors: UART16550.LineStatus(rawValue: 0xFF))
    }
    port.uart.state = state
    #expect(try port.read(ier) == 0x0F)
    #expect(try port.read(mcr) == 0x1F)
    #expect(port.uart.state.receiver.count == 1)
    #expect(port.uart.state.receiver[0].errors.rawValue == 0x1C)
  }
}
