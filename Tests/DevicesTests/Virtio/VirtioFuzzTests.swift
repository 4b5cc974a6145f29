import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

/// A guest that knows the registers but not the rules. Whatever it does, no device traps or hangs, and
/// each serves the next driver that does it right.
@Suite struct VirtioFuzzTests {
  enum Kind: CaseIterable {
    case block, network, console, entropy, balloon, socket
  }

  /// A small generator with a seed, so that a failure can be repeated (xorshift64*).
  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state >> 12
      state ^= state << 25
      state ^= state >> 27
      return state &* 0x2545_F491_4F6C_DD1D
    }
    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }
  }

  static let accesses = 200_000

  @Test(.timeLimit(.minutes(30)), arguments: Kind.allCases)
  func randomRegistersAndRings(kind: Kind) throws {
    var generator = Generator(state: 0x9E37_79B9_7F4A_7C15 &+ UInt64("\(kind)".utf8.count) << 32)
    let memory = try VirtioGuest.memory()
    let type: __socket_type =
      switch kind {
      case .network: SOCK_DGRAM
      case .socket: SOCK_SEQPACKET
      default: SOCK_STREAM
      }
    let sockets = [HostSocket(type), HostSocket(SOCK_STREAM)]
    let guest = try VirtioGuest(try device(kind, memory, sockets), memory: memory)

    for access in 0..<Self.accesses {
      switch generator.below(100) {
      case 0: misconfigure(guest, &generator)
      case 1...4: scribble(guest, &generator)
      case 5...14: guest.write(0x50, generator.below(8))
      case 15...19:
        let socket = sockets[Int(generator.below(2))]
        socket.send((0..<generator.below(100)).map { UInt8($0) })
        _ = socket.receive()
      default: touch(guest, &generator)
      }
      if access % 1000 == 999 { guest.reset() }
    }

    guest.reset()
    #expect(guest.status == 0)
    guest.start()
    #expect(guest.status == 15, "the device starts again")
    try useOnce(kind, guest)
  }

  private func device(
    _ kind: Kind, _ memory: GuestMemory, _ sockets: [HostSocket]
  ) throws -> any VirtioDevice {
    switch kind {
    case .block:
      try VirtioBlock(storage: MemoryStorage(bytes: [UInt8](repeating: 0, count: 1 << 16)), serial: "fuzz")
    case .network: try VirtioNet(port: sockets[0].device, mac: VirtioNetTests.mac)
    case .console:
      try VirtioConsole(ports: [
        .init(socket: sockets[0].device), .init(name: "a", socket: sockets[1].device),
      ])
    case .entropy: try VirtioEntropy()
    case .balloon: try VirtioBalloon(memory: memory)
    case .socket: try VirtioSocket(broker: UnixSocket(sockets[0].device))
    }
  }

  /// A register, mostly one that exists; any width, any value.
  private func touch(_ guest: VirtioGuest, _ generator: inout Generator) {
    var offset = generator.below(5) == 0 ? generator.below(0x1000) : 4 * generator.below(0x50)
    // Status last in line: every reset undoes what made the state interesting.
    if offset == 0x70, generator.below(8) != 0 { offset = 0x30 }
    let width = generator.below(10) == 0 ? [1, 2, 8][Int(generator.below(3))] : 4
    if generator.below(3) == 0 {
      _ = try? guest.device.read(offset: offset, width: width)
    } else {
      let value = generator.below(2) == 0 ? generator.below(16) : generator.next()
      try? guest.device.write(offset: offset, width: width, value: value)
    }
  }

  /// Where all rings of a misconfigured device lie, so that scribbling hits them.
  private static let ringArea = VirtioGuest.base + 0x1000
  private static let ringStride: UInt64 = 0x3000

  /// Brings the device up with queues that are nearly right.
  private func misconfigure(_ guest: VirtioGuest, _ generator: inout Generator) {
    guest.reset()
    let bits = generator.below(2) == 0 ? .max : generator.next() | VirtioGuest.version1
    guest.negotiate(guest.offered & bits)
    for index in 0..<UInt64(8) {
      guest.write(0x30, index)
      let maximum = guest.read(0x34)
      if maximum == 0 { break }
      guest.write(0x38, generator.below(20) == 0 ? generator.next() : max(1, maximum >> generator.below(8)))
      let area = Self.ringArea + index * Self.ringStride
      for (register, offset) in [(UInt64(0x80), UInt64(0)), (0x90, 0x1000), (0xA0, 0x2000)] {
        let address = generator.below(100) == 0 ? generator.next() : area + offset
        guest.write(register, address & 0xFFFF_FFFF)
        guest.write(register + 4, address >> 32)
      }
      guest.store([UInt8](repeating: 0, count: Int(Self.ringStride)), at: area)
      guest.write(0x44, 1)
    }
    guest.setStatus(4)
  }

  /// Fills a ring with descriptors, mostly plausible, and moves its index, mostly by a little.
  private func scribble(_ guest: VirtioGuest, _ generator: inout Generator) {
    let queue = generator.below(8)
    let area = Self.ringArea + queue * Self.ringStride
    let table = guest.slice(area, 0x1000)
    for _ in 0..<generator.below(16) {
      let inside = VirtioGuest.base + generator.below(UInt64(VirtioGuest.size))
      GuestQueue.setDescriptor(
        table, Int(generator.below(32)),
        address: [area, inside, inside, inside, generator.next()][Int(generator.below(5))],
        count: UInt32(
          truncatingIfNeeded: [16 * generator.below(64), generator.below(4096), generator.next()][
            Int(generator.below(9) / 4)]),
        flags: UInt16(
          generator.below(20) == 0
            ? generator.below(65_536) : [0, 0, 1, 1, 2, 2, 3, 4][Int(generator.below(8))]),
        next: UInt16(generator.below(10) == 0 ? generator.below(65_536) : generator.below(32)))
    }
    let ring = guest.slice(area + 0x1000, 0x1000)
    for _ in 0..<4 { ring.store(UInt16(generator.below(34)), at: 4 + 2 * Int(generator.below(32))) }
    let moved = generator.below(50) == 0 ? generator.below(65_536) : generator.below(3)
    ring.storeReleasing16(ring.load(UInt16.self, at: 2) &+ UInt16(moved), at: 2)
    // Requests that begin like a disk's or a card's reach further into the devices.
    let data = guest.slice(VirtioGuest.base + generator.below(UInt64(VirtioGuest.size) - 32), 32)
    data.store(UInt32(generator.below(15)), at: 0)
    data.store(generator.below(200), at: 8)
    guest.write(0x50, queue)
  }

  /// One request that a right driver makes.
  private func useOnce(_ kind: Kind, _ guest: VirtioGuest) throws {
    switch kind {
    case .block:
      let header = guest.allocate(bytes: [UInt8](repeating: 0, count: 16))
      let room = guest.allocate(513)
      guest.store([0xEE], at: room + 512)
      try guest.queues[0].call([.readable(header, 16), .writable(room, 513)])
      #expect(guest.bytes(at: room + 512, 1) == [0])
    case .network: try guest.queues[1].call([.readable(guest.allocate(100), 100)])
    case .console: try guest.queues[3].call([.readable(guest.allocate(8), 8)])
    case .entropy:
      #expect(try guest.queues[0].call([.writable(guest.allocate(16), 16)]).written == 16)
    case .balloon: try guest.queues[1].call([.readable(guest.allocate(4), 4)])
    case .socket: try guest.queues[1].call([.readable(guest.allocate(44), 44)])
    }
  }
}
