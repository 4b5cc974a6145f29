import GuestMemory
import HostSystem

/// A driver of the virtio devices on a PCI bus that knows where registers are but not the rules. Place 0 is the
/// bridge's; the devices follow.
struct PCIFuzzDriver {
  /// Queues that are tried of each device.
  private static let queues = 9
  private static let stride: UInt64 = 0x3000
  /// Bytes of RAM that rings and buffers are in.
  static let memorySize = 1 << 20

  let bus: FuzzBus
  let memory: GuestMemory
  /// Where RAM begins, as far as it is used.
  let base: UInt64
  let ecam: UInt64
  /// Where the window below 4 GiB begins.
  let window: UInt64
  /// What kinds of devices there are, in order of their places from 1 on.
  let kinds: [VirtioFuzzRequest.Kind]

  /// Where all rings lie, so that scribbling hits them: descriptors, available and used, a page each.
  private var rings: UInt64 { base + 0x1000 }
  private var places: Int { 1 + kinds.count }

  /// One thing of many that a driver may do, right or wrong.
  func act(_ random: inout FuzzRandom) {
    switch random.below(18) {
    case 0...3: touchConfiguration(&random)
    case 4: touchPorts(&random)
    case 5...9: touchRange(&random)
    case 10: start(1 + random.below(places - 1), &random)
    case 11...13: scribble(&random)
    case 14, 15: request(&random)
    case 16: if random.once(in: 8) { moveAnywhere(&random) }
    default: bringBack(&random)
    }
  }

  // MARK: - Accesses

  /// A configuration register, mostly of a function that exists, any width and alignment.
  private func touchConfiguration(_ random: inout FuzzRandom) {
    let function = random.once(in: 10) ? random.below(1 << 16) : random.below(places) << 3
    let offset =
      random.once(in: 10) ? random.below(4096) : 4 * random.below(64) + random.pick([0, 0, 0, 1, 2])
    let address = ecam + UInt64(function << 12 + offset)
    let width = random.pick([1, 2, 4, 4, 8])
    if random.once(in: 2) {
      _ = bus.read(address, width)
    } else {
      bus.write(address, width, random.number())
    }
  }

  private func touchPorts(_ random: inout FuzzRandom) {
    let address = 0x8000_0000 | UInt32(random.below(places) << 11 | random.below(256))
    let value = random.once(in: 4) ? UInt32(truncatingIfNeeded: random.number()) : address
    bus.writePort(0xCF8, random.once(in: 10) ? 1 : 4, value)
    let port = UInt16(random.once(in: 10) ? random.below(65_536) : 0xCFC + random.below(4))
    let width = random.pick([1, 2, 4])
    if random.once(in: 2) {
      _ = bus.readPort(port, width)
    } else {
      bus.writePort(port, width, UInt32(truncatingIfNeeded: random.number()))
    }
  }

  private func config(_ place: Int, _ offset: Int, _ width: Int) -> UInt64 {
    bus.read(ecam + UInt64(place << 15 + offset), width)
  }

  private func setConfig(_ place: Int, _ offset: Int, _ width: Int, _ value: UInt64) {
    bus.write(ecam + UInt64(place << 15 + offset), width, value)
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
    let place = 1 + random.below(places - 1)
    let address = random.once(in: 30) ? random.number() : range(place) &+ offset
    if random.once(in: 3) {
      _ = bus.read(address, width)
    } else {
      bus.write(address, width, random.number())
    }
  }

  /// Puts a function where it can be reached, with all its rights.
  private func bringBack(_ random: inout FuzzRandom) {
    let place = 1 + random.below(places - 1)
    setConfig(place, 0x10, 4, window + UInt64(random.below(1 << 13)) << 15)
    setConfig(place, 0x14, 4, random.once(in: 3) ? 4 : 0)
    setConfig(place, 0x44, 2, 0)
    setConfig(place, 0x04, 2, random.once(in: 4) ? random.number() : 6)
    // Messages, of which some are masked. Where there are none, this is written to nothing.
    setConfig(place, 0x86, 2, random.once(in: 4) ? random.number() : 0x8000)
    for vector in 0..<8 as Range<UInt64> {
      let entry = range(place) &+ 0x4000 &+ 16 * vector
      bus.write(entry, 8, random.number())
      bus.write(entry &+ 8, 8, UInt64(random.below(4)) << 31)
    }
  }

  // MARK: - Virtio

  /// Brings a device up with queues that are nearly right.
  private func start(_ place: Int, _ random: inout FuzzRandom) {
    let range = range(place)
    func write(_ offset: UInt64, _ width: Int, _ value: UInt64) {
      bus.write(range &+ offset, width, value)
    }
    func read(_ offset: UInt64, _ width: Int) -> UInt64 { bus.read(range &+ offset, width) }
    for status in [0, 1, 3] as [UInt64] { write(0x14, 1, status) }
    let wanted = random.once(in: 2) ? .max : random.next() | 1 << 32
    for half in 0..<2 as Range<UInt64> {
      write(0x00, 4, half)
      write(0x08, 4, half)
      write(0x0C, 4, read(0x04, 4) & wanted >> (32 * half))
    }
    write(0x14, 1, 11)
    write(0x10, 2, UInt64(random.below(8)))
    for index in 0..<UInt64(Self.queues) {
      write(0x16, 2, index)
      let maximum = read(0x18, 2)
      if maximum == 0 || maximum == 0xFFFF { break }
      write(0x18, 2, random.once(in: 20) ? random.next() : max(1, maximum >> UInt64(random.below(8))))
      write(0x1A, 2, UInt64(random.below(8)))
      let area = rings + index * Self.stride
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
    let area = rings + queue * Self.stride
    guard let table = try? memory.slice(at: area, count: 0x1000),
      let ring = try? memory.slice(at: area + 0x1000, count: 0x1000)
    else { return }
    for _ in 0..<random.below(16) {
      let offset = 16 * random.below(32)
      let inside = base + UInt64(random.below(Self.memorySize))
      table.store(random.once(in: 5) ? random.number() : inside, at: offset)
      table.store(UInt32(random.once(in: 10) ? random.below(1 << 31) : random.below(4096)), at: offset + 8)
      table.store(UInt16(random.pick([0, 1, 1, 2, 2, 3, 4])), at: offset + 12)
      table.store(UInt16(random.below(32)), at: offset + 14)
    }
    for _ in 0..<4 { ring.store(UInt16(random.below(34)), at: 4 + 2 * random.below(32)) }
    let moved = random.once(in: 50) ? random.below(65_536) : random.below(3)
    ring.storeReleasing16(ring.load(UInt16.self, at: 2) &+ UInt16(moved), at: 2)
    let place = 1 + random.below(places - 1)
    bus.write(range(place) &+ 0x3000 &+ 4 * queue, 2, queue)
  }

  /// Makes one request as the device at a place is likely to understand it, and notifies.
  private func request(_ random: inout FuzzRandom) {
    let place = 1 + random.below(places - 1)
    let kind = kinds[place - 1]
    let queue = UInt64(random.below(kind.queues))
    let area = rings + queue * Self.stride
    // Behind the rings, so that it stays what it is.
    let room = rings + UInt64(Self.queues) * Self.stride
    guard let ring = try? memory.slice(at: area, count: Int(Self.stride)),
      let data = try? memory.slice(at: room, count: 64 << 10)
    else { return }
    VirtioFuzzRequest(kind, queue: Int(queue), &random).offer(ring: ring, data: data, &random)
    bus.write(range(place) &+ 0x3000 &+ 4 * queue, 2, queue)
  }

  /// Puts a function where others are already, or nothing can be, while it works.
  private func moveAnywhere(_ random: inout FuzzRandom) {
    let place = 1 + random.below(places - 1)
    let other = range(1 + random.below(places - 1))
    let address = random.pick([base, ecam, window, other, other &+ 0x4000, 0xFEC0_0000, random.number()])
    setConfig(place, 0x10, 4, address & 0xFFFF_FFFF)
    setConfig(place, 0x14, 4, address >> 32)
  }

  /// After a reset every device is where firmware put it, and starts for a driver that does it right.
  func proveAlive(_ place: Int) {
    let range = range(place)
    precondition(config(place, 0x00, 2) == 0x1AF4, "the function is there")
    for status in [0, 1, 3] as [UInt64] { bus.write(range + 0x14, 1, status) }
    bus.write(range + 0x08, 4, 1)
    bus.write(range + 0x0C, 4, 1)
    for status in [11, 15] as [UInt64] { bus.write(range + 0x14, 1, status) }
    precondition(bus.read(range + 0x14, 1) == 15, "the device starts again")
  }

  /// Whether a device that was just reset fills a buffer of the first queue, for a driver that does it right.
  func answersRequest(_ place: Int) -> Bool {
    let range = range(place)
    guard let rings = try? memory.slice(at: rings, count: Int(Self.stride)) else { return false }
    rings.clear()
    for (offset, width, value) in [
      (0x14, 1, 0), (0x14, 1, 1), (0x14, 1, 3), (0x08, 4, 1), (0x0C, 4, 1), (0x14, 1, 11), (0x16, 2, 0),
      (0x18, 2, 8), (0x20, 4, rings.address), (0x28, 4, rings.address + 0x1000),
      (0x30, 4, rings.address + 0x2000), (0x1C, 2, 1), (0x14, 1, 15),
    ] as [(UInt64, Int, UInt64)] { bus.write(range + offset, width, value) }
    rings.store(rings.address + 0x2800, at: 0)
    rings.store(UInt32(16), at: 8)
    rings.store(UInt16(2), at: 12)
    rings.storeReleasing16(1, at: 0x1002)
    bus.write(range + 0x3000, 2, 0)
    let end = monotonicNanoseconds() + 10_000_000_000
    while rings.loadAcquiring16(at: 0x2002) == 0, monotonicNanoseconds() < end { hostYield() }
    return rings.load(UInt32.self, at: 0x2008) == 16
  }
}
