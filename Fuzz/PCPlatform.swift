import Devices
import GuestMemory
import HostSystem
import Synchronization

/// The small devices of a PC, by ports and memory through the buses that find them.
extension FuzzTarget {
  static let pcPlatform = [FuzzTarget("pc-platform") { try PCFuzzBoard().run(&$0) }]
}

private final class PCFuzzBoard {
  /// Local APICs that remember which vectors they have to end.
  private final class Processors: MSISink {
    private let open = Mutex<[UInt8]>([])

    func signal(_ message: MSIMessage) {
      precondition(message.address >> 20 == 0xFEE, "interrupts go to local APICs")
      guard message.data & 1 << 15 != 0 else { return }
      open.withLock { if $0.count < 64 { $0.append(UInt8(truncatingIfNeeded: message.data)) } }
    }

    func takeOpen() -> UInt8? { open.withLock { $0.popLast() } }
  }

  private let time = FuzzTime()
  private let processors = Processors()
  private let controller: IOAPIC
  private let serial: UART16550
  private let clock: CMOSClock
  private let power: ACPIPowerManagement
  private let devices: [any Device]
  private let ports: PortBus
  private let bus: MMIOBus

  /// Ports where something is.
  private static let places: [UInt16] = [
    0x60, 0x64, 0x70, 0x70, 0x71, 0x71, 0x71, 0x80, 0xE9, 0x3F8, 0x3FF, 0x505, 0x600, 0x602, 0x604, 0x608,
    0xCF8,
    0xCF9, 0xCFC,
  ]
  private static let base: UInt64 = 0xFEC0_0000

  init() throws {
    let controller = IOAPIC(messages: processors) { input, message in
      precondition((0..<IOAPIC.inputCount).contains(input) && (message?.data ?? 0x8000) & 0x8000 != 0)
    }
    self.controller = controller
    let line = { (input: Int) in InterruptLine(sink: controller, input: input) }
    serial = UART16550(interrupt: line(4), output: { _ in })
    clock = CMOSClock(interrupt: line(8), clock: { [time] in time.now }, scheduler: time)
    power = ACPIPowerManagement(interrupt: line(9), clock: { [time] in time.now }, request: { _ in })
    let router = PCIInterruptRouter(lines: (16..<20).map { line($0) })
    let bridge = PCIHostBridge(
      map: .init(ecam: 0xE800_0000, memory32: 0xC000_0000..<0xE800_0000), interrupts: router, functions: [])
    let others: [(UInt16, any PortDevice)] = [
      (PanicDevice.base, PanicDevice { _ in }), (DebugPort.base, DebugPort { _ in }),
      (POSTCodePort.base, POSTCodePort()), (KeyboardResetPort.base, KeyboardResetPort { _ in }),
      (0x3F8, serial), (CMOSClock.base, clock), (0x600, power),
    ]
    let control = ResetControlPort { _ in }
    ports = try PortBus(
      others.map { .init(base: $0.0, device: $0.1) } + [bridge.portMapping(resetControl: control)],
      report: { _ in })
    bus = try MMIOBus(
      [.init(base: Self.base, device: controller)] + bridge.mappings(), report: { _ in })
    devices = [controller, control] + others.map { $0.1 }
  }

  func run(_ random: inout FuzzRandom) {
    for _ in 0..<1000 {
      switch random.below(16) {
      case 0...5: touchPort(&random)
      case 6...9: touchController(&random)
      case 10: controller.setInput(random.below(IOAPIC.inputCount), level: random.once(in: 2))
      case 11: controller.endOfInterrupt(vector: processors.takeOpen() ?? UInt8(random.below(256)))
      case 12:
        time.set(random.once(in: 4) ? random.number() : time.now &+ random.next() >> UInt64(random.below(64)))
      case 13:
        if random.once(in: 2) { time.ring() } else { _ = serial.receive(random.bytes(random.below(40))) }
      case 14: power.raise(.init(rawValue: UInt8(random.below(256))))
      default: restore(&random)
      }
    }
    for device in devices { device.reset() }
    precondition(clockStillRuns(), "time goes on when it is set to")
  }

  private func touchPort(_ random: inout FuzzRandom) {
    let near = random.pick(Self.places) &+ UInt16(random.once(in: 4) ? random.below(12) : 0)
    let port = random.once(in: 20) ? UInt16(random.below(1 << 16)) : near
    let width = random.pick([1, 1, 1, 2, 4])
    let value = random.once(in: 2) ? UInt32(truncatingIfNeeded: random.number()) : UInt32(random.below(256))
    if random.once(in: 2) {
      _ = ports.read(port: port, width: width)
    } else {
      ports.write(port: port, width: width, value: value)
    }
  }

  private func touchController(_ random: inout FuzzRandom) {
    let offset = random.once(in: 10) ? random.number() : random.pick([0, 0, 0x10, 0x10, 0x10, 0x40])
    let width = random.once(in: 10) ? random.pick([1, 2, 8]) : 4
    let value = random.once(in: 2) ? random.number() : UInt64(random.below(0x40))
    if random.once(in: 3) {
      _ = bus.read(address: Self.base &+ offset, width: width)
    } else {
      bus.write(address: Self.base &+ offset, width: width, value: value)
    }
  }

  /// Snapshots with numbers of chance in them, and resets.
  private func restore(_ random: inout FuzzRandom) {
    switch random.below(8) {
    case 0: for device in devices { device.reset() }
    case 1...3:
      var state = clock.state
      state.secondsOffset = Int(truncatingIfNeeded: random.number())
      state.phase = random.number()
      state.lastSecond = Int(truncatingIfNeeded: random.number())
      state.lastPeriod = random.number()
      state.index = UInt8(random.below(256))
      state.memory = random.bytes(random.below(200))
      clock.state = state
    case 4, 5:
      var state = controller.state
      state.entries = (0..<random.below(40)).map { _ in random.number() }
      state.inputs = UInt32(truncatingIfNeeded: random.next())
      controller.state = state
    default: power.state = power.state
    }
  }

  /// Sets a time as a driver does and reads it a second later.
  private func clockStillRuns() -> Bool {
    func write(_ register: UInt32, _ value: UInt32) {
      ports.write(port: 0x70, width: 1, value: register)
      ports.write(port: 0x71, width: 1, value: value)
    }
    time.set(1_800_000_000_000_000_000)
    for (register, value) in [(0x0B, 0x82), (0x0A, 0x26), (0, 0x10), (2, 0x20), (4, 0x12)]
      as [(UInt32, UInt32)]
    {
      write(register, value)
    }
    for (register, value) in [(7, 1), (8, 2), (9, 0x30), (0x32, 0x20), (0x0B, 0x02)] as [(UInt32, UInt32)] {
      write(register, value)
    }
    time.set(time.now + 1_000_000_000)
    ports.write(port: 0x70, width: 1, value: 0)
    return ports.read(port: 0x71, width: 1) == 0x11
  }
}
