import Devices
import Foundation
import Glibc
import GuestMemory
import HostSystem
import Testing

/// What tests of vhost-net have here.
private enum KernelNetworkHost {
  static let tap = ProcessInfo.processInfo.environment["VOLARY_TEST_TAP"]
}

/// vhost-net with a driver of the tests' own. It needs /dev/vhost-net and a TAP device with the address 10.78.0.1/24,
/// which VOLARY_TEST_TAP names: Tests/Nested has both.
@Suite(
  .serialized,
  .enabled(if: KernelNetworkHost.tap != nil, "VOLARY_TEST_TAP names no TAP device for vhost-net"))
struct KernelNetworkTests {
  private static let payload = Array("a datagram that is broadcast".utf8)

  private let guest: VirtioGuest
  private let kernel: KernelNetwork
  private let log: DirtyLog

  init() throws {
    let tap = TapDevice(try TapDevice.attach(try #require(KernelNetworkHost.tap)))
    let memory = try VirtioGuest.memory()
    kernel = try KernelNetwork(device: Descriptor.open(VHostNet.path, O_RDWR), tap: tap, memory: memory)
    guest = try VirtioGuest(
      try VirtioNet(name: uniqueThreadName(), tap: tap, kernel: kernel, mac: [0x52, 0x54, 0, 0, 0, 1]),
      memory: memory)
    log = DirtyLog(memory, sources: [kernel])
  }

  /// Has the host send a datagram to all on the TAP device's network.
  private func broadcast() throws {
    let socket = Descriptor(owning: socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0))
    var yes: Int32 = 1
    setsockopt(socket.raw, SOL_SOCKET, SO_BROADCAST, &yes, 4)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(9).bigEndian
    address.sin_addr.s_addr = inet_addr("10.78.0.255")
    let sent = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(socket.raw, Self.payload, Self.payload.count, 0, $0, 16)
      }
    }
    try #require(sent == Self.payload.count)
  }

  /// Rooms for frames, each on a page of its own.
  private func addRooms(_ count: Int) -> [UInt64] {
    let rooms = (0..<count).map { _ in
      let address = guest.allocate(4096, alignment: 4096)
      guest.queues[0].add([.writable(address, 2048)])
      return address
    }
    guest.queues[0].kick()
    return rooms
  }

  /// Waits for the datagram among the frames that come, and returns the room that it is in.
  private func awaitDatagram(_ rooms: [UInt64], from first: Int = 0) throws -> Int {
    for index in first..<rooms.count {
      let bytes = guest.bytes(at: rooms[index], Int(try guest.queues[0].wait().written))
      if bytes.suffix(Self.payload.count) == Self.payload[...] { return index }
    }
    throw Errno(ETIMEDOUT)
  }

  @Test func framesMoveAndAreLogged() throws {
    guest.start(features: guest.offered & ~(1 << 17))
    let rooms = addRooms(64)
    try broadcast()
    let first = try awaitDatagram(rooms)
    // Interrupts that nobody takes from the kernel come by the transport.
    #expect(eventually { guest.sink.level })

    try log.start()
    func pages() -> [[UInt8]] {
      (0..<guest.memory.size >> 12).map { guest.bytes(at: guest.memory.address(ofPage: $0), 4096) }
    }
    let before = pages()
    try broadcast()
    let second = try awaitDatagram(rooms, from: first + 1)
    // The kernel tells the guest of a frame before it notes where that is.
    let number = try #require(guest.memory.pageNumber(of: rooms[second]))
    var taken = try log.take()
    #expect(
      eventually {
        if let more = try? log.take() { taken.formUnion(more) }
        return taken.contains(number)
      })
    let after = pages()
    for page in after.indices where after[page] != before[page] {
      #expect(taken.contains(page), "page \(page)")
    }
    #expect(taken.count < 20, "\(taken.ranges)")

    // After a reset the log goes on, and after its end frames still come.
    guest.start(features: guest.offered & ~(1 << 17))
    let others = addRooms(64)
    try broadcast()
    let third = try awaitDatagram(others)
    let last = try #require(guest.memory.pageNumber(of: others[third]))
    #expect(eventually { (try? log.take())?.contains(last) == true })
    try log.stop()
    try broadcast()
    _ = try awaitDatagram(others, from: third + 1)
    #expect(guest.reports.lines.isEmpty)
  }

  /// Frames of the driver's come out of the TAP device.
  @Test func framesGoOut() throws {
    guest.start()
    func count() -> Int {
      let path = "/sys/class/net/\(KernelNetworkHost.tap ?? "")/statistics/rx_packets"
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? -1
    }
    let before = count()
    let frame =
      [UInt8](repeating: 0xFF, count: 6) + [0x52, 0x54, 0, 0, 0, 1, 0x88, 0xB5]
      + [UInt8](repeating: 7, count: 50)
    let address = guest.allocate(bytes: [UInt8](repeating: 0, count: 12) + frame)
    for _ in 0..<3 { try guest.queues[1].call([.readable(address, 12 + frame.count)]) }
    #expect(eventually { count() >= before + 3 })
    #expect(guest.reports.lines.isEmpty)
  }

  /// A queue that makes no sense breaks the device until a reset, as one of ours does.
  @Test func brokenQueuesAreTold() throws {
    guest.start()
    let queue = guest.queues[1]
    queue.setDescriptor(0, address: 0x10, count: 100, flags: 0, next: 0)
    queue.offer(head: 0)
    queue.kick()
    #expect(eventually { guest.status & VirtioGuest.Status.needsReset != 0 })
    guest.start()
    let rooms = addRooms(32)
    try broadcast()
    _ = try awaitDatagram(rooms)
  }

  /// While it is held the kernel works on no queue, and afterwards it goes on where it was, with what came meanwhile.
  @Test func aHeldDeviceRests() throws {
    guest.start()
    let rooms = addRooms(64)
    try broadcast()
    var next = try awaitDatagram(rooms) + 1
    for _ in 0..<3 {
      guest.device.device.hold()
      let memory = (0..<guest.memory.size >> 12).map {
        guest.bytes(at: guest.memory.address(ofPage: $0), 4096)
      }
      try broadcast()
      usleep(100_000)
      for page in memory.indices {
        #expect(guest.bytes(at: guest.memory.address(ofPage: page), 4096) == memory[page], "page \(page)")
      }
      guest.device.device.release()
      next = try awaitDatagram(rooms, from: next) + 1
    }
    #expect(guest.reports.lines.isEmpty)
  }
}
