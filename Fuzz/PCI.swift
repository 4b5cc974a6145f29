import Devices
import Foundation
import GuestMemory
import HostSystem
import Synchronization

/// A PCI bus with virtio devices of every kind, by its configuration space, its ports and its windows.
extension FuzzTarget {
  static let pci = [FuzzTarget("virtio-pci") { try PCIFuzzGuest.run(&$0) }]
}

/// A driver that knows where registers are but not the rules.
private struct PCIFuzzGuest {
  private static let base: UInt64 = 0x8000_0000
  private static let size = 1 << 20
  private static let ecam: UInt64 = 0x3000_0000
  private static let map = PCIHostBridge.AddressMap(
    ecam: ecam, memory32: 0x4000_0000..<0x8000_0000, memory64: 0x4_0000_0000..<0x8_0000_0000)
  /// Where all rings lie, so that scribbling hits them: descriptors, available and used, a page each.
  private static let rings = base + 0x1000
  private static let stride: UInt64 = 0x3000
  private static let places = 6

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

  private let memory: GuestMemory
  private let bridge: PCIHostBridge
  private let functions: [VirtioPCITransport]
  private let bus: MMIOBus
  private let ports: PortBus
  private let ends: [UnixSocket]

  static func run(_ random: inout FuzzRandom) throws {
    let memory = try GuestMemory(regions: [(base, size)])
    let pairs = [try UnixSocket.pair(.stream), try UnixSocket.pair(.sequencedPacket)]
    for (host, device) in pairs {
      try host.descriptor.setNonblocking(true)
      try device.descriptor.setNonblocking(true)
    }
    let devices: [any VirtioDevice] = [
      try VirtioBlock(storage: FuzzStorage(), serial: "fuzz"),
      try VirtioNet(port: pairs[1].1.descriptor, mac: [0x52, 0x54, 0, 1, 2, 3]),
      try VirtioConsole(ports: [.init(socket: pairs[0].1.descriptor), .init(name: "a")]),
      try VirtioEntropy(), try VirtioBalloon(memory: memory),
    ]
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
    let guest = PCIFuzzGuest(
      memory: memory, bridge: bridge, functions: functions,
      bus: try MMIOBus(bridge.mappings(buses: 256), report: { _ in }),
      ports: try PortBus([bridge.portMapping], report: { _ in }), ends: pairs.map(\.0))
    defer { bridge.stop() }
    bridge.reset()
    for _ in 0..<600 { guest.act(&random) }
    bridge.reset()
    precondition(!sink.isAnyHigh, "a reset lowers all wires")
    for place in 1..<places { guest.proveAlive(place) }
  }

  private func act(_ random: inout FuzzRandom) {
    switch random.below(20) {
    case 0...4: touchConfiguration(&random)
    case 5: touchPorts(&random)
    case 6...11: touchRange(&random)
    case 12: start(1 + random.below(Self.places - 1), &random)
    case 13...16: scribble(&random)
    case 17:
      let end = random.pick(ends)
      _ = try? end.send(random.bytes(random.below(200)))
      if (try? end.waitUntilReadable(milliseconds: 0)) == true { _ = try? end.receive(capacity: 4096) }
    case 18: if random.once(in: 4) { restore(&random) }
    default: if random.once(in: 30) { bridge.reset() } else { bringBack(&random) }
    }
  }

  // MARK: - Accesses

  /// A configuration register, mostly of a function that exists, any width and alignment.
  private func touchConfiguration(_ random: inout FuzzRandom) {
    let function = random.once(in: 10) ? random.below(1 << 16) : random.below(Self.places) << 3
    let offset =
      random.once(in: 10) ? random.below(4096) : 4 * random.below(64) + random.pick([0, 0, 0, 1, 2])
    let address = Self.ecam + UInt64(function << 12 + offset)
    let width = random.pick([1, 2, 4, 4, 8])
    if random.once(in: 2) {
      _ = bus.read(address: address, width: width)
    } else {
      bus.write(address: address, width: width, value: random.number())
    }
  }

  private func touchPorts(_ random: inout FuzzRandom) {
    let address = 0x8000_0000 | UInt32(random.below(Self.places) << 11 | random.below(256))
    let value = random.once(in: 4) ? UInt32(truncatingIfNeeded: random.number()) : address
    ports.write(port: 0xCF8, width: random.once(in: 10) ? 1 : 4, value: value)
    let port = UInt16(random.once(in: 10) ? random.below(65_536) : 0xCFC + random.below(4))
    let width = random.pick([1, 2, 4])
    if random.once(in: 2) {
      _ = ports.read(port: port, width: width)
    } else {
      ports.write(port: port, width: width, value: UInt32(truncatingIfNeeded: random.number()))
    }
  }

  private func config(_ place: Int, _ offset: Int, _ width: Int) -> UInt64 {
    bus.read(address: Self.ecam + UInt64(place << 15 + offset), width: width)
  }

  private func setConfig(_ place: Int, _ offset: Int, _ width: Int, _ value: UInt64) {
    bus.write(address: Self.ecam + UInt64(place << 15 + offset), width: width, value: value)
  }

  private func range(_ place: Int) -> UInt64 {
    config(place, 0x10, 4) & ~0xF | config(place, 0x14, 4) << 32
  }

  /// A register behind a range, mostly one that exists.
  private func touchRange(_ random: inout FuzzRandom) {
    let region = UInt64(random.pick([0, 0, 0, 1, 2, 3, 3, 4, 4, 5, 6])) << 12
    var offset = region + UInt64(random.once(in: 5) ? random.below(4096) : random.below(0x40))
    var width = random.pick([1, 2, 4, 8])
    // Every reset undoes what made the state interesting.
    if offset == 0x14, !random.once(in: 8) { offset = 0x16 }
    if offset < 0x40, !random.once(in: 4) { width = offset >= 0x10 && offset < 0x20 ? 2 : 4 }
    let place = 1 + random.below(Self.places - 1)
    let address = random.once(in: 30) ? random.number() : range(place) &+ offset
    if random.once(in: 3) {
      _ = bus.read(address: address, width: width)
    } else {
      bus.write(address: address, width: width, value: random.number())
    }
  }

  /// Puts a function where it can be reached, with all its rights.
  private func bringBack(_ random: inout FuzzRandom) {
    let place = 1 + random.below(Self.places - 1)
    setConfig(place, 0x10, 4, 0x4000_0000 + UInt64(random.below(1 << 14)) << 15)
    setConfig(place, 0x14, 4, random.once(in: 3) ? 4 : 0)
    setConfig(place, 0x44, 2, 0)
    setConfig(place, 0x04, 2, random.once(in: 4) ? random.number() : 6)
    // Messages, of which some are masked. Where there are none, this is written to nothing.
    setConfig(place, 0x86, 2, random.once(in: 4) ? random.number() : 0x8000)
    for vector in 0..<8 as Range<UInt64> {
      let entry = range(place) &+ 0x4000 &+ 16 * vector
      bus.write(address: entry, width: 8, value: random.number())
      bus.write(address: entry &+ 8, width: 8, value: UInt64(random.below(4)) << 31)
    }
  }

  // MARK: - Virtio

  /// Brings a device up with queues that are nearly right.
  private func start(_ place: Int, _ random: inout FuzzRandom) {
    let range = range(place)
    func write(_ offset: UInt64, _ width: Int, _ value: UInt64) {
      bus.write(address: range &+ offset, width: width, value: value)
    }
    func read(_ offset: UInt64, _ width: Int) -> UInt64 { bus.read(address: range &+ offset, width: width) }
    for status in [0, 1, 3] as [UInt64] { write(0x14, 1, status) }
    let wanted = random.once(in: 2) ? .max : random.next() | 1 << 32
    for half in 0..<2 as Range<UInt64> {
      write(0x00, 4, half)
      write(0x08, 4, half)
      write(0x0C, 4, read(0x04, 4) & wanted >> (32 * half))
    }
    write(0x14, 1, 11)
    write(0x10, 2, UInt64(random.below(8)))
    for index in 0..<UInt64(9) {
      write(0x16, 2, index)
      let maximum = read(0x18, 2)
      if maximum == 0 || maximum == 0xFFFF { break }
      write(0x18, 2, random.once(in: 20) ? random.next() : max(1, maximum >> UInt64(random.below(8))))
      write(0x1A, 2, UInt64(random.below(8)))
      let area = Self.rings + index * Self.stride
      for (register, offset) in [(0x20, 0), (0x28, 0x1000), (0x30, 0x2000)] as [(UInt64, UInt64)] {
        let address = random.once(in: 100) ? random.number() : area + offset
        write(register, 4, address & 0xFFFF_FFFF)
        write(register + 4, 4, address >> 32)
      }
      (try? memory.slice(at: area, count: Int(Self.stride)))?.clear()
      write(0x1C, 2, 1)
    }
    write(0x14, 1, 15)
  }

  /// Fills a ring with descriptors, mostly plausible, moves its index, mostly by a little, and notifies.
  private func scribble(_ random: inout FuzzRandom) {
    let queue = UInt64(random.below(8))
    let area = Self.rings + queue * Self.stride
    guard let table = try? memory.slice(at: area, count: 0x1000),
      let ring = try? memory.slice(at: area + 0x1000, count: 0x1000)
    else { return }
    for _ in 0..<random.below(16) {
      let offset = 16 * random.below(32)
      let inside = Self.base + UInt64(random.below(Self.size))
      table.store(random.once(in: 5) ? random.number() : inside, at: offset)
      table.store(UInt32(random.once(in: 10) ? random.below(1 << 31) : random.below(4096)), at: offset + 8)
      table.store(UInt16(random.pick([0, 1, 1, 2, 2, 3, 4])), at: offset + 12)
      table.store(UInt16(random.below(32)), at: offset + 14)
    }
    for _ in 0..<4 { ring.store(UInt16(random.below(34)), at: 4 + 2 * random.below(32)) }
    let moved = random.once(in: 50) ? random.below(65_536) : random.below(3)
    ring.storeReleasing16(ring.load(UInt16.self, at: 2) &+ UInt16(moved), at: 2)
    let place = 1 + random.below(Self.places - 1)
    bus.write(address: range(place) &+ 0x3000 &+ 4 * queue, width: 2, value: queue)
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

  /// After a reset every device is where firmware put it, and starts for a driver that does it right.
  private func proveAlive(_ place: Int) {
    let range = range(place)
    precondition(config(place, 0x00, 2) == 0x1AF4, "the function is there")
    for status in [0, 1, 3] as [UInt64] { bus.write(address: range + 0x14, width: 1, value: status) }
    bus.write(address: range + 0x08, width: 4, value: 1)
    bus.write(address: range + 0x0C, width: 4, value: 1)
    for status in [11, 15] as [UInt64] { bus.write(address: range + 0x14, width: 1, value: status) }
    precondition(bus.read(address: range + 0x14, width: 1) == 15, "the device starts again")
  }
}
