import Devices
import Foundation
import GuestMemory
import HostSystem
import Synchronization

/// A PCI bus with virtio devices of every kind, by its configuration space, its ports and its windows.
extension FuzzTarget {
  static let pci = [FuzzTarget("virtio-pci") { try PCIFuzzGuest.run(&$0) }]
}

/// The bus, and what chance does to it.
private struct PCIFuzzGuest {
  private static let base: UInt64 = 0x8000_0000
  private static let ecam: UInt64 = 0x3000_0000
  private static let map = PCIHostBridge.AddressMap(
    ecam: ecam, memory32: 0x4000_0000..<0x8000_0000, memory64: 0x4_0000_0000..<0x8_0000_0000)

  /// The four wires.
  private final class Sink: InterruptSink {
    private let levels = Mutex<[Bool]>([false, false, false, false])
    func setInput(_ input: Int, level: Bool) { levels.withLock { $0[input] = level } }
    var isAnyHigh: Bool { levels.withLock { $0.contains(true) } }
  }

  private final class Messages: MSISink {
    let count = Atomic(0)
    func signal(_ message: MSIMessage) {
      precondition(message.address % 4 == 0, "messages go to aligned addresses")
      count.add(1, ordering: .relaxed)
    }
  }

  private let bridge: PCIHostBridge
  private let functions: [VirtioPCITransport]
  private let driver: PCIFuzzDriver
  private let host: VirtioFuzzHost

  static func run(_ random: inout FuzzRandom) throws {
    let memory = try GuestMemory(regions: [(base, PCIFuzzDriver.memorySize)])
    let host = try VirtioFuzzHost()
    let devices = try host.devices(memory)
    let sink = Sink()
    let router = PCIInterruptRouter(lines: (0..<4).map { InterruptLine(sink: sink, input: $0) })
    let messages = random.once(in: 4) ? nil : Messages()
    let functions = devices.enumerated().map { index, device in
      VirtioPCITransport(
        device: device, memory: memory, interrupt: router.interruptLine(of: PCIAddress(device: index + 1)),
        messages: messages, report: { _ in })
    }
    let bridge = PCIHostBridge(
      map: map, interrupts: router,
      functions: functions.enumerated().map { (PCIAddress(device: $0.offset + 1), $0.element) })
    let bus = try MMIOBus(bridge.mappings(buses: 256), report: { _ in })
    let ports = try PortBus([bridge.portMapping], report: { _ in })
    let driver = PCIFuzzDriver(
      bus: FuzzBus(
        read: { bus.read(address: $0, width: $1) }, write: { bus.write(address: $0, width: $1, value: $2) },
        readPort: { ports.read(port: $0, width: $1) },
        writePort: { ports.write(port: $0, width: $1, value: $2) }),
      memory: memory, base: base, ecam: ecam, window: map.memory32.lowerBound, kinds: VirtioFuzzHost.kinds)
    let guest = PCIFuzzGuest(bridge: bridge, functions: functions, driver: driver, host: host)
    defer { bridge.stop() }
    bridge.reset()
    for _ in 0..<600 { guest.act(&random) }
    bridge.reset()
    precondition(!sink.isAnyHigh, "a reset lowers all wires")
    for place in 1...devices.count { driver.proveAlive(place) }
  }

  private func act(_ random: inout FuzzRandom) {
    switch random.below(20) {
    case 0: host.act(&random)
    case 1: if random.once(in: 4) { restore(&random) }
    case 2: if random.once(in: 30) { bridge.reset() }
    default: driver.act(&random)
    }
  }

  /// A snapshot with bytes of chance in it.
  private func restore(_ random: inout FuzzRandom) {
    let function = random.pick(functions)
    guard var bytes = (try? JSONEncoder().encode(function.state)).map({ Array($0) }) else { return }
    if random.once(in: 2) {
      // Digits for digits, so that it mostly stays a state.
      for _ in 0..<(1 + random.below(8)) {
        let place = random.below(bytes.count)
        if (0x30...0x39).contains(bytes[place]) { bytes[place] = UInt8(0x30 + random.below(10)) }
      }
    } else {
      random.mutate(&bytes)
    }
    guard let state = try? JSONDecoder().decode(VirtioPCITransport.State.self, from: Data(bytes)) else {
      return
    }
    function.state = state
    let settled = function.state
    function.state = settled
    bridge.state = bridge.state
  }
}
