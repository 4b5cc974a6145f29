internal import Devices
internal import Testing

/// Random accesses of every width anywhere: a fault is an answer, a trap is not.
@Suite("PC devices under random accesses") struct PCFuzzTests {
  /// Offsets near registers mostly. `besides` does what the host does meanwhile.
  private func hammer(
    _ device: any PortDevice, seed: UInt64, accesses: Int = 300_000,
    besides: (inout PlatformRandom) -> Void = { _ in }
  ) -> (answered: Int, faulted: Int) {
    var random = PlatformRandom(seed: seed)
    var answered = 0
    for _ in 0..<accesses {
      let bits = random.next()
      let width = [1, 1, 2, 4][Int(bits & 3)]
      let near = Int(bits >> 12 % UInt64(device.portCount))
      let offset = bits >> 2 & 15 == 0 ? Int(truncatingIfNeeded: random.next()) : near
      do {
        if bits >> 6 & 1 == 0 {
          _ = try device.readPort(offset: offset, width: width)
        } else {
          let value = UInt32(truncatingIfNeeded: random.next() >> (random.next() % 64))
          try device.writePort(offset: offset, width: width, value: value)
        }
        answered += 1
      } catch {}
      if bits >> 7 & 15 == 0 { besides(&random) }
    }
    return (answered, accesses - answered)
  }

  @Test func clock() {
    let clock = PCClock()
    let result = hammer(clock.device, seed: 1) { random in
      clock.host.set(random.next() >> (random.next() % 64))
      if random.next() & 0xFF == 0 { clock.device.state = clock.device.state }
      if random.next() & 0xFFF == 0 { clock.device.reset() }
    }
    #expect(result.answered > 100_000 && result.faulted > 10_000)
  }

  @Test func smallPorts() {
    let power = PCPortTests.Power()
    let requests = PlatformLog<PowerRequest>()
    var random = PlatformRandom(seed: 9)
    let devices: [any PortDevice] = [
      power.device, PanicDevice { _ in }, DebugPort { _ in }, POSTCodePort(),
      KeyboardResetPort { requests.append($0) }, ResetControlPort { requests.append($0) },
      PlatformUARTTests.Port().uart,
    ]
    for device in devices {
      let result = hammer(device, seed: random.next(), accesses: 100_000) { random in
        power.clock.set(random.next())
        if random.next() & 7 == 0 { power.device.pressPowerButton() }
      }
      #expect(result.answered > 10_000 && result.faulted > 10_000, "\(device.name)")
    }
    #expect(!requests.all.isEmpty && !power.requests.all.isEmpty)
  }

  /// An input that is high and may ask has asked, whatever was done.
  @Test func ioAPIC() throws {
    let board = IOAPICTests.Board()
    var random = PlatformRandom(seed: 3)
    for _ in 0..<300_000 {
      let value = random.next()
      let offset = random.next() % 8 == 0 ? random.next() : [0, 0x10, 0x10, 0x40][Int(random.next() % 4)]
      switch random.next() % 8 {
      case 0, 1: _ = try? board.controller.read(offset: offset, width: 1 << Int(value % 4))
      case 2: try? board.controller.write(offset: offset, width: 1 << Int(value % 4), value: value)
      case 3: try board.setEntry(value % 24, random.next() & ~0xF0 | 0x20)
      case 4: try? board.controller.write(offset: offset, width: 4, value: value % 64)
      case 5, 6: board.controller.setInput(Int(value % 24), level: random.next() % 2 == 0)
      default:
        board.controller.endOfInterrupt(vector: UInt8(truncatingIfNeeded: value))
        if value % 100 == 0 { board.controller.state = board.controller.state }
        if value % 1000 == 1 { board.controller.reset() }
      }
    }
    #expect(board.messages.take().count > 5_000)
    let state = board.controller.state
    for (input, entry) in state.entries.enumerated() where state.inputs >> UInt32(input) & 1 == 1 {
      let asks = entry & (1 << 16 | 1 << 15) == 1 << 15 && entry >> 8 & 7 < 2 && entry & 0xFF >= 16
      if asks { #expect(entry & IOAPICTests.remote != 0) }
    }
  }
}
