internal import Devices
internal import GuestMemory
internal import Testing

@Suite("I/O APIC") struct IOAPICTests {
  struct Board {
    let messages = PCMessages()
    /// What was told of routes: the input, and the message's data or nil.
    let routes = PlatformLog<(Int, UInt32?)>()
    let controller: IOAPIC

    init() {
      controller = IOAPIC(messages: messages) { [routes] in routes.append(($0, $1?.data)) }
    }

    func read(_ register: UInt64) throws -> UInt32 {
      try controller.write(offset: 0, width: 4, value: register)
      return UInt32(try controller.read(offset: 0x10, width: 4))
    }

    func write(_ register: UInt64, _ value: UInt32) throws {
      try controller.write(offset: 0, width: 4, value: register)
      try controller.write(offset: 0x10, width: 4, value: UInt64(value))
    }

    func entry(_ input: UInt64) throws -> UInt64 {
      UInt64(try read(0x10 + 2 * input)) | UInt64(try read(0x11 + 2 * input)) << 32
    }

    /// As drivers do: the high half first, so that what is unmasked is whole.
    func setEntry(_ input: UInt64, _ value: UInt64) throws {
      try write(0x11 + 2 * input, UInt32(value >> 32))
      try write(0x10 + 2 * input, UInt32(truncatingIfNeeded: value))
    }
  }

  static let masked: UInt64 = 1 << 16
  static let level: UInt64 = 1 << 15
  static let remote: UInt64 = 1 << 14

  @Test func afterPowerOn() throws {
    let board = Board()
    #expect(try board.read(0) == 0)
    #expect(try board.read(1) == 0x0017_0020)
    for input in 0..<24 as Range<UInt64> { #expect(try board.entry(input) == Self.masked) }
    #expect(try board.read(0x40) == .max)
    try board.write(0, 0xFFFF_FFFF)
    #expect(try board.read(0) == 0x0F00_0000 && board.read(2) == 0x0F00_0000)
    try board.write(1, 0)
    #expect(try board.read(1) == 0x0017_0020)
  }

  @Test func entriesKeepWhatExists() throws {
    let board = Board()
    try board.setEntry(3, .max & ~Self.level)
    #expect(try board.entry(3) == 0xFF00_0000_0001_2FFF)
    try board.setEntry(23, .max)
    #expect(try board.entry(23) == 0xFF00_0000_0001_AFFF)
  }

  @Test func edgeSendsOnce() throws {
    let board = Board()
    try board.setEntry(4, 0x0300_0000_0000_0034)
    board.controller.setInput(4, level: true)
    board.controller.setInput(4, level: true)
    #expect(board.messages.take() == [MSIMessage(address: 0xFEE0_3000, data: 0x34)])
    board.controller.endOfInterrupt(vector: 0x34)
    board.controller.setInput(4, level: false)
    #expect(board.messages.take().isEmpty)
    board.controller.setInput(4, level: true)
    #expect(board.messages.take().count == 1)
    #expect(board.routes.all.isEmpty)
  }

  @Test func edgeOnAMaskedInputIsIgnored() throws {
    let board = Board()
    try board.setEntry(4, Self.masked | 0x34)
    board.controller.setInput(4, level: true)
    try board.setEntry(4, 0x34)
    #expect(board.messages.take().isEmpty)
  }

  @Test func levelIsSentUntilItFalls() throws {
    let board = Board()
    try board.setEntry(9, Self.level | 0x0200_0000_0000_0851)
    let message = MSIMessage(address: 0xFEE0_2004, data: 0xC051)
    board.controller.setInput(9, level: true)
    #expect(board.messages.take() == [message])
    #expect(try board.entry(9) & Self.remote != 0)
    board.controller.setInput(9, level: false)
    board.controller.setInput(9, level: true)
    #expect(board.messages.take().isEmpty)
    board.controller.endOfInterrupt(vector: 0x50)
    #expect(board.messages.take().isEmpty)
    board.controller.endOfInterrupt(vector: 0x51)
    #expect(board.messages.take() == [message])
    board.controller.setInput(9, level: false)
    try board.controller.write(offset: 0x40, width: 4, value: 0x51)
    #expect(board.messages.take().isEmpty)
    #expect(try board.entry(9) & Self.remote == 0)
    #expect(board.routes.all.map(\.0) == [9] && board.routes.all.map(\.1) == [0xC051])
  }

  @Test func maskedLevelIsSentWhenItIsUnmasked() throws {
    let board = Board()
    try board.setEntry(9, Self.masked | Self.level | 0x51)
    board.controller.setInput(9, level: true)
    #expect(board.messages.take().isEmpty)
    try board.setEntry(9, Self.level | 0x51)
    #expect(board.messages.take().count == 1)
  }

  /// Linux masks a level while its handler's thread runs and ends the interrupt meanwhile. Its end must be
  /// heard, and must not send the level again.
  @Test func endWhileMasked() throws {
    let board = Board()
    try board.setEntry(9, Self.level | 0x51)
    board.controller.setInput(9, level: true)
    try board.setEntry(9, Self.masked | Self.level | 0x51)
    #expect(board.routes.all.map(\.1) == [0xC051])
    _ = board.messages.take()
    board.controller.endOfInterrupt(vector: 0x51)
    #expect(board.messages.take().isEmpty)
    #expect(try board.entry(9) & Self.remote == 0)
    try board.setEntry(9, Self.level | 0x51)
    #expect(board.messages.take().count == 1)
  }

  /// How drivers end what is in service without the register for that.
  @Test func turningToEdgesEndsService() throws {
    let board = Board()
    try board.setEntry(9, Self.level | 0x51)
    board.controller.setInput(9, level: true)
    try board.setEntry(9, Self.masked | 0x51)
    #expect(try board.entry(9) == Self.masked | 0x51)
    try board.setEntry(9, Self.level | 0x51)
    #expect(board.messages.take().count == 2)
    #expect(board.routes.all.map(\.1) == [0xC051, nil, 0xC051])
  }

  @Test(
    arguments: [
      (0x041, (0xFEE0_0000, 0x041)), (0x141, (0xFEE0_0000, 0x141)), (0x4FF, (0xFEE0_0000, 0x4FF)),
      (0x8400, (0xFEE0_0000, 0x400)), (0x500, (0xFEE0_0000, 0x500)), (0x10F, nil), (0x00F, nil),
      (0x241, nil), (0x341, nil), (0x641, nil), (0x741, nil), (0x800F, nil),
    ] as [(UInt64, (UInt64, UInt32)?)])
  func deliveryModes(entry: UInt64, expected: (UInt64, UInt32)?) throws {
    let board = Board()
    try board.setEntry(1, entry)
    board.controller.setInput(1, level: true)
    let messages = expected.map { [MSIMessage(address: $0.0, data: $0.1)] } ?? []
    #expect(board.messages.take() == messages)
    #expect(try board.entry(1) == entry)
  }

  @Test func resetMasksAndForgets() throws {
    let board = Board()
    try board.setEntry(9, Self.level | 0x51)
    board.controller.setInput(9, level: true)
    board.controller.reset()
    #expect(try board.entry(9) == Self.masked)
    #expect(board.routes.all.map(\.1) == [0xC051, nil])
    _ = board.messages.take()
    try board.setEntry(9, Self.level | 0x51)
    #expect(board.messages.take().count == 1, "the wire is still high")
  }

  @Test func stateMoves() throws {
    let board = Board()
    try board.setEntry(9, Self.level | 0x51)
    try board.setEntry(4, 0x34)
    board.controller.setInput(9, level: true)
    let other = Board()
    other.controller.state = board.controller.state
    #expect(other.controller.state == board.controller.state)
    #expect(other.messages.take().isEmpty, "what was sent is not sent again")
    #expect(other.routes.all.map(\.0) == [9])
    other.controller.endOfInterrupt(vector: 0x51)
    #expect(other.messages.take().count == 1)
    other.controller.setInput(4, level: true)
    #expect(other.messages.take().count == 1)
  }

  @Test func stateOfChanceIsBroughtIntoRange() throws {
    var state = Board().controller.state
    state.entries = [.max, 1 << 14, 0x51] + [UInt64](repeating: .max, count: 40)
    state.inputs = .max
    state.identifier = 0xFF
    let board = Board()
    board.controller.state = state
    #expect(board.controller.state.entries.count == 24)
    #expect(board.controller.state.inputs == 0xFF_FFFF)
    #expect(try board.entry(0) == 0xFF00_0000_0001_EFFF)
    #expect(try board.entry(1) == 0)
    #expect(try board.read(0) == 0x0F00_0000)
  }

  @Test func registersThatOneCannotUse() throws {
    let board = Board()
    #expect(throws: BusFault.badWidth) { try board.controller.read(offset: 0, width: 1) }
    #expect(throws: BusFault.badWidth) { try board.controller.write(offset: 0x10, width: 8, value: 0) }
    #expect(throws: BusFault.noRegister) { try board.controller.read(offset: 0x14, width: 4) }
    #expect(throws: BusFault.noRegister) { try board.controller.write(offset: 0xFFC, width: 4, value: 0) }
    #expect(throws: BusFault.forbidden) { try board.controller.read(offset: 0x40, width: 4) }
  }
}
