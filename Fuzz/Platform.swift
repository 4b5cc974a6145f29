import Devices
import HostSystem
import Machine
import Synchronization

/// The board's simple devices, through the bus that finds them.
extension FuzzTarget {
  static let platform = [FuzzTarget("platform", platformRegisters)]

  private final class Pin: InterruptPin {
    func setLevel(_ level: Bool) {}
  }

  /// A clock that stands, with an alarm that rings when it is told to.
  private final class Alarms: AlarmScheduler {
    private struct Alarm {
      let ring: @Sendable () -> Void
    }

    private let alarm = Mutex<Alarm?>(nil)

    func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void) {
      self.alarm.withLock { $0 = Alarm(ring: alarm) }
    }
    func disarm() { alarm.withLock { $0 = nil } }
    func stop() {}
    func ring() { alarm.withLock { $0 }?.ring() }
  }

  private static func platformRegisters(_ random: inout FuzzRandom) throws {
    let plic = PLIC(
      sources: VirtMap.Interrupt.count, contexts: (0..<2).map { PLIC.Context(hart: $0, pin: Pin()) })
    let serial = UART16550(
      interrupt: InterruptLine(sink: plic, input: VirtMap.Interrupt.serial), output: { _ in })
    let alarms = Alarms()
    let clock = GoldfishRTC(
      interrupt: InterruptLine(sink: plic, input: VirtMap.Interrupt.clock),
      clock: { 1_800_000_000_000_000_000 },
      scheduler: alarms)
    let power = SystemController { _ in }
    let devices: [(UInt64, any MMIODevice)] = [
      (VirtMap.systemController, power), (VirtMap.clock, clock), (VirtMap.interruptController, plic),
      (VirtMap.serial, serial),
    ]
    let bus = try MMIOBus(devices.map { .init(base: $0.0, device: $0.1) }, report: { _ in })
    for _ in 0..<1000 {
      let (base, device) = random.pick(devices)
      let offset = address(in: device, &random)
      let width = random.pick([1, 2, 4, 4, 4, 8])
      switch random.below(20) {
      case 0...8: _ = bus.read(address: base &+ offset, width: width)
      case 9...16:
        let value = random.once(in: 2) ? random.number() : UInt64(random.below(256))
        bus.write(address: base &+ offset, width: width, value: value)
      case 17: _ = serial.receive(random.bytes(random.below(40)))
      case 18: plic.setInput(1 + random.below(plic.sources - 1), level: random.once(in: 2))
      default:
        alarms.ring()
        _ = serial.receiveBreak()
        if random.once(in: 50) { for (_, device) in devices { device.reset() } }
      }
    }
  }

  /// Mostly where registers are, which in a large space is in few places.
  private static func address(in device: any MMIODevice, _ random: inout FuzzRandom) -> UInt64 {
    switch random.below(8) {
    case 0: random.number()
    case 1: random.next() % device.registerSpace
    case 2: 0x20_0000 + UInt64(0x1000 * random.below(4)) + UInt64(4 * random.below(4))  // the PLIC's contexts
    case 3: UInt64(0x1000 * random.below(4) + 0x80 * random.below(4) + 4 * random.below(8))
    default: UInt64(random.below(0x40))
    }
  }
}
