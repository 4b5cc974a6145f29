import Devices
import Glibc
import GuestMemory
import HostSystem
import Synchronization

/// Virtio devices, by registers and by rings in a guest's memory.
extension FuzzTarget {
  static let virtio: [FuzzTarget] = [
    FuzzTarget("virtio-block") {
      try VirtioFuzzGuest.run(&$0) { _, _ in try VirtioBlock(storage: FuzzStorage(), serial: "fuzz") }
    },
    FuzzTarget("virtio-block-helpers") {
      try VirtioFuzzGuest.run(&$0) { _, _ in
        let disk = try VirtioBlock(storage: FuzzStorage(), serial: "fuzz", pace: .helpers)
        disk.rates = BlockRates(
          readBytes: 256 << 20, writtenBytes: 256 << 20, reads: 100_000, writes: 100_000)
        return disk
      }
    },
    FuzzTarget("virtio-net") {
      try VirtioFuzzGuest.run(&$0) { _, ends in
        try VirtioNet(port: ends[2], mac: [0x52, 0x54, 0, 1, 2, 3], mtu: 1500)
      }
    },
    FuzzTarget("virtio-net-headers") {
      try VirtioFuzzGuest.run(&$0) { _, ends in
        try VirtioNet(tap: TapDevice(ends[2]), mac: [0x52, 0x54, 0, 1, 2, 3])
      }
    },
    FuzzTarget("virtio-console") {
      try VirtioFuzzGuest.run(&$0) { _, ends in
        try VirtioConsole(ports: [
          .init(socket: ends[0]), .init(name: "a", socket: ends[1]), .init(name: "b"),
        ])
      }
    },
    FuzzTarget("virtio-entropy") { try VirtioFuzzGuest.run(&$0) { _, _ in try VirtioEntropy() } },
    FuzzTarget("virtio-balloon") {
      try VirtioFuzzGuest.run(&$0) { memory, _ in
        let balloon = try VirtioBalloon(memory: memory)
        balloon.setTarget(pages: 100)
        return balloon
      }
    },
    FuzzTarget("virtio-socket") { random in
      let (ours, machine) = try UnixSocket.pair(.sequencedPacket)
      let host = try SocketFuzzHost(ours)
      try VirtioFuzzGuest.run(&random, kind: .socket, host: { host.act(&$0) }) { _, _ in
        let device = try VirtioSocket(broker: machine)
        host.device = device
        return device
      }
    },
  ]
}

/// A disk of 64 KiB, where some sectors cannot be read or written.
final class FuzzStorage: BlockStorage {
  private let bytes = Mutex([UInt8](repeating: 7, count: 64 << 10))
  let size: UInt64 = 64 << 10
  let isReadOnly = false

  private func range(_ offset: UInt64, _ count: UInt64) throws(Errno) -> Range<Int> {
    precondition(offset % 512 == 0 && count % 512 == 0, "storage is asked for whole sectors")
    precondition(offset <= size && count <= size - offset, "storage is asked for what it has")
    if (offset / 512) % 17 == 16 { throw .io }
    return Int(offset)..<Int(offset + count)
  }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
    let range = try range(offset, UInt64(target.count))
    bytes.withLock { target.copyBytes(from: $0[range]) }
  }

  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
    let range = try range(offset, UInt64(source.count))
    bytes.withLock { $0.replaceSubrange(range, with: source) }
  }

  func flush() throws(Errno) {}
  func discard(at offset: UInt64, count: UInt64) throws(Errno) { _ = try range(offset, count) }
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    let range = try range(offset, count)
    bytes.withLock { $0.replaceSubrange(range, with: repeatElement(0, count: range.count)) }
  }
}

/// A driver that knows the registers and the rings but not the rules.
private struct VirtioFuzzGuest {
  private static let base: UInt64 = 0x8000_0000
  private static let size = 1 << 20
  /// Where all rings lie, so that scribbling hits them: descriptors, available and used, a page each.
  private static let rings = base + 0x1000
  private static let stride: UInt64 = 0x3000
  private static let queues = 9

  private final class Sink: InterruptSink {
    func setInput(_ input: Int, level: Bool) {}
  }

  private let memory: GuestMemory
  private let device: VirtioMMIO
  /// The host's ends of two streams and a line of packets.
  private let ends: [UnixSocket]

  /// Makes a device and misuses it; then it must start again for a driver that does it right.
  static func run(
    _ random: inout FuzzRandom, kind: VirtioFuzzRequest.Kind? = nil,
    host: ((inout FuzzRandom) -> Void)? = nil,
    _ make: (GuestMemory, [Descriptor]) throws -> any VirtioDevice
  ) throws {
    let memory = try GuestMemory(regions: [(base, size)])
    let pairs = [
      try UnixSocket.pair(.stream), try UnixSocket.pair(.stream), try UnixSocket.pair(.sequencedPacket),
    ]
    for (host, device) in pairs {
      try host.descriptor.setNonblocking(true)
      try device.descriptor.setNonblocking(true)
    }
    let transport = VirtioMMIO(
      device: try make(memory, pairs.map(\.1.descriptor)), memory: memory,
      interrupt: InterruptLine(sink: Sink(), input: 1), report: { _ in })
    let guest = VirtioFuzzGuest(memory: memory, device: transport, ends: pairs.map(\.0))
    defer { transport.stop() }
    for _ in 0..<(1 + random.below(3)) {
      guest.start(&random)
      for _ in 0..<300 {
        if let kind, random.once(in: 2) { guest.request(kind, &random) } else { guest.act(&random) }
        if let host, random.once(in: 3) { host(&random) }
      }
    }
    guest.write(0x70, 0)
    precondition(guest.read(0x70) == 0, "a reset resets")
    guest.negotiate(.max)
    guest.write(0x70, 15)
    precondition(guest.read(0x70) == 15, "the device starts again")
  }

  /// Makes one request as a device of this kind is likely to understand it.
  private func request(_ kind: VirtioFuzzRequest.Kind, _ random: inout FuzzRandom) {
    let queue = UInt64(random.below(kind.queues))
    let room = Self.rings + UInt64(Self.queues) * Self.stride
    guard let ring = try? memory.slice(at: Self.rings + queue * Self.stride, count: Int(Self.stride)),
      let data = try? memory.slice(at: room, count: 64 << 10)
    else { return }
    VirtioFuzzRequest(kind, queue: Int(queue), &random).offer(ring: ring, data: data, &random)
    write(0x50, queue)
  }

  private func read(_ offset: UInt64) -> UInt64 { (try? device.read(offset: offset, width: 4)) ?? .max }
  private func write(_ offset: UInt64, _ value: UInt64) {
    try? device.write(offset: offset, width: 4, value: value)
  }

  private func act(_ random: inout FuzzRandom) {
    switch random.below(12) {
    case 0...4: scribble(&random)
    case 5: write(0x50, UInt64(random.below(Self.queues)))
    case 6, 7:
      let end = random.pick(ends)
      _ = try? end.send(random.bytes(random.below(200)))
      if (try? end.waitUntilReadable(milliseconds: 0)) == true { _ = try? end.receive(capacity: 4096) }
    default: touch(&random)
    }
  }

  /// A register, mostly one that exists; any width, any value.
  private func touch(_ random: inout FuzzRandom) {
    var offset = random.once(in: 5) ? UInt64(random.below(0x1100)) : UInt64(4 * random.below(0x50))
    // Every reset undoes what made the state interesting.
    if offset == 0x70, !random.once(in: 8) { offset = 0x30 }
    let width = random.once(in: 10) ? random.pick([1, 2, 8]) : 4
    if random.once(in: 3) {
      _ = try? device.read(offset: offset, width: width)
    } else {
      try? device.write(offset: offset, width: width, value: random.number())
    }
  }

  private func negotiate(_ features: UInt64) {
    write(0x70, 1)
    write(0x70, 3)
    for half in 0..<2 as Range<UInt64> {
      write(0x14, half)
      let offered = read(0x10)
      write(0x24, half)
      write(0x20, offered & (features >> (32 * half)))
    }
    write(0x70, 11)
  }

  /// Brings the device up with queues that are nearly right.
  private func start(_ random: inout FuzzRandom) {
    write(0x70, 0)
    negotiate(random.once(in: 2) ? .max : random.next() | 1 << 32)
    for index in 0..<UInt64(Self.queues) {
      write(0x30, index)
      let maximum = read(0x34)
      if maximum == 0 || maximum == .max { break }
      write(0x38, random.once(in: 20) ? random.next() : max(1, maximum >> UInt64(random.below(8))))
      let area = Self.rings + index * Self.stride
      for (register, offset) in [(0x80, 0), (0x90, 0x1000), (0xA0, 0x2000)] as [(UInt64, UInt64)] {
        let address = random.once(in: 100) ? random.number() : area + offset
        write(register, address & 0xFFFF_FFFF)
        write(register + 4, address >> 32)
      }
      (try? memory.slice(at: area, count: Int(Self.stride)))?.clear()
      write(0x44, 1)
    }
    write(0x70, 15)
  }

  /// Fills a ring with descriptors, mostly plausible, and moves its index, mostly by a little.
  private func scribble(_ random: inout FuzzRandom) {
    let queue = UInt64(random.below(Self.queues))
    let area = Self.rings + queue * Self.stride
    guard let table = try? memory.slice(at: area, count: 0x1000),
      let ring = try? memory.slice(at: area + 0x1000, count: 0x1000)
    else { return }
    for _ in 0..<random.below(16) { storeDescriptor(table, area, &random) }
    for _ in 0..<4 { ring.store(UInt16(random.below(34)), at: 4 + 2 * random.below(32)) }
    let moved = random.once(in: 50) ? random.below(65_536) : random.below(3)
    ring.storeReleasing16(ring.load(UInt16.self, at: 2) &+ UInt16(moved), at: 2)
    // Requests that begin like a disk's, a console's or a card's reach further into the devices.
    let place = UInt64(random.below(Self.size - 32))
    if let data = try? memory.slice(at: Self.base + place, count: 32) {
      data.store(UInt32(random.below(15)), at: 0)
      data.store(UInt64(random.below(200)), at: 8)
    }
    write(0x50, queue)
  }

  private func storeDescriptor(_ table: GuestSlice, _ area: UInt64, _ random: inout FuzzRandom) {
    let inside = Self.base + UInt64(random.below(Self.size))
    let address = random.pick([area, inside, inside, inside, random.number()])
    let count = random.pick([16 * UInt64(random.below(64)), UInt64(random.below(4096)), random.number()])
    let flags = random.once(in: 20) ? random.next() : random.pick([0, 0, 1, 1, 2, 2, 3, 4])
    let next = random.once(in: 10) ? random.next() : UInt64(random.below(32))
    let offset = 16 * random.below(32)
    table.store(address, at: offset)
    table.store(UInt32(truncatingIfNeeded: count), at: offset + 8)
    table.store(UInt16(truncatingIfNeeded: flags), at: offset + 12)
    table.store(UInt16(truncatingIfNeeded: next), at: offset + 14)
  }
}
