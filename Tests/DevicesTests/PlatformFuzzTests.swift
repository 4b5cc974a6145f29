internal import Devices
internal import Testing

/// A million random accesses of every width anywhere: a fault is an answer, a trap is not.
@Suite("Platform devices under random accesses") struct PlatformFuzzTests {
  /// Offsets near registers mostly, anything else sometimes. `besides` does what the host does meanwhile.
  private func hammer(
    _ device: some MMIODevice, near offsets: [UInt64], seed: UInt64, accesses: Int = 1_000_000,
    besides: (inout PlatformRandom) -> Void = { _ in }
  ) -> (answered: Int, faulted: Int) {
    var random = PlatformRandom(seed: seed)
    var answered = 0
    for _ in 0..<accesses {
      let bits = random.next()
      let width = 1 << Int(bits & 3)
      let near = offsets[Int(bits >> 12 % UInt64(offsets.count))]
      let offset: UInt64 =
        switch bits >> 2 & 15 {
        case 0: random.next()
        case 1: random.next() % device.registerSpace
        case 2: near + (random.next() & 15)
        default: near
        }
      do {
        if bits >> 6 & 1 == 0 {
          _ = try device.read(offset: offset, width: width)
        } else {
          try device.write(offset: offset, width: width, value: random.next())
        }
        answered += 1
      } catch {}
      if bits >> 7 & 15 == 0 { besides(&random) }
    }
    return (answered, accesses - answered)
  }

  @Test func plic() {
    let pins = (0..<8).map { _ in PlatformPin() }
    let plic = PLIC(
      sources: 96, contexts: pins.enumerated().map { PLIC.Context(hart: $0.offset, pin: $0.element) })
    var offsets: [UInt64] = (0...97).map { 4 * $0 }
    offsets += (0...4).map { 0x1000 + 4 * $0 }
    for context in 0...8 as ClosedRange<UInt64> {
      offsets += (0...4).map { 0x2000 + 0x80 * context + 4 * $0 }
      for _ in 0..<8 { offsets += [0x20_0000 + 0x1000 * context, 0x20_0004 + 0x1000 * context] }
    }
    let result = hammer(plic, near: offsets, seed: 1) { random in
      plic.setInput(Int(random.next() % 96) + 1, level: random.next() & 1 == 0)
      if random.next() & 0xFF == 0 { plic.state = plic.state }
      if random.next() & 0xFFF == 0 { plic.reset() }
    }
    #expect(result.answered > 100_000 && result.faulted > 100_000)
    #expect(pins.contains { $0.changeCount > 100 })
    // What is in service and what pends exclude each other, and a high wire is one of them.
    let state = plic.state
    for word in state.pending.indices {
      #expect(state.pending[word] & state.inService[word] == 0)
      #expect(state.inputs[word] & ~(state.pending[word] | state.inService[word]) == 0)
    }
  }

  @Test func uart() {
    let port = PlatformUARTTests.Port()
    let result = hammer(port.uart, near: Array(0...8), seed: 2) { random in
      switch random.next() % 4 {
      case 0: _ = port.uart.receiveBreak()
      case 1:
        let inputs = UART16550.ModemStatus(rawValue: UInt8(truncatingIfNeeded: random.next()))
        port.uart.setModemInputs(inputs)
      case 2: port.uart.state = port.uart.state
      default:
        let bytes = [UInt8](repeating: 1, count: Int(random.next() % 40))
        #expect(port.uart.receive(bytes) <= 16)
      }
      #expect(port.uart.state.receiver.count <= 16)
    }
    #expect(result.answered > 100_000 && result.faulted > 100_000)
    #expect(port.sent.all.count > 1000)
    #expect(port.roomNotices.all.count > 1000)
  }

  @Test func rtc() {
    let board = PlatformRTCTests.Board()
    let result = hammer(board.rtc, near: (0...9).map { 4 * $0 }, seed: 3) { random in
      board.clock.set(random.next() >> (random.next() % 64))
      if random.next() & 0xFF == 0 { board.rtc.state = board.rtc.state }
    }
    #expect(result.answered > 100_000 && result.faulted > 100_000)
  }

  @Test func systemController() {
    let requests = PlatformLog<PowerRequest>()
    let controller = SystemController { requests.append($0) }
    let result = hammer(controller, near: [0, 1, 4], seed: 4)
    #expect(result.answered > 10_000 && result.faulted > 100_000)
  }
}
