import Devices
import Glibc
import GuestMemory
import HostSystem
import Testing

@Suite struct VirtioBalloonTests {
  static let pageSize = 4096

  /// A guest that has touched 8 MiB of its memory.
  final class Inflated {
    let balloon: VirtioBalloon
    let guest: VirtioGuest
    let pages: UInt64
    let count = 2048

    init(features: UInt64? = nil) throws {
      let memory = try VirtioGuest.memory()
      balloon = try VirtioBalloon(memory: memory)
      guest = try VirtioGuest(balloon, memory: memory)
      guest.start(features: features)
      pages = guest.allocate(count * pageSize, alignment: 4096)
      // With what requests will use, so that only the balloon changes what the host holds.
      guest.store([UInt8](repeating: 0xAA, count: count * pageSize + (256 << 10)), at: pages)
    }

    /// KiB of host memory behind the guest's.
    var held: Int {
      var status = stat()
      fstat(guest.memory.descriptor.raw, &status)
      return Int(status.st_blocks) / 2
    }

    /// Sends page numbers to a queue.
    func send(_ numbers: [UInt32], to queue: Int) throws {
      let bytes = numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
      try guest.queues[queue].call([.readable(guest.allocate(bytes: bytes), bytes.count)])
    }
  }

  @Test func inflatedPagesGoBackToTheHost() throws {
    let machine = try Inflated()
    let before = machine.held
    let first = UInt32(machine.pages >> 12)
    // Downwards as Linux hands them out, then every second, then upwards.
    try machine.send((first..<first + 512).reversed(), to: 0)
    try machine.send((0..<256).map { first + 512 + 2 * $0 }, to: 0)
    try machine.send(Array(first + 1024..<first + 1536), to: 0)
    #expect(before - machine.held == 4 * (512 + 256 + 512))
    #expect(machine.guest.bytes(at: machine.pages, 4) == [0, 0, 0, 0])
    #expect(machine.guest.bytes(at: machine.pages + 513 * 4096, 2) == [0xAA, 0xAA], "not given")
    try machine.send(Array(first..<first + 512), to: 1)
    machine.guest.store([1], at: machine.pages)
    #expect(machine.guest.bytes(at: machine.pages, 2) == [1, 0], "deflated pages serve again")
  }

  @Test func discardedPagesAreWritesToTheirKeepers() throws {
    let machine = try Inflated()
    let page = try #require(machine.guest.memory.pageNumber(of: machine.pages))
    machine.guest.memory.clearFlags(GuestMemory.PageFlag.dirty, ofPage: page)
    try machine.send([UInt32(machine.pages >> 12)], to: 0)
    #expect(machine.guest.memory.flags(ofPage: page) & GuestMemory.PageFlag.dirty != 0)
  }

  @Test func pagesThatAreNoMemory() throws {
    let machine = try Inflated()
    let before = machine.held
    try machine.send([0, 0xFFFF_FFFF, UInt32(machine.pages >> 12), 5, 6], to: 0)
    #expect(before - machine.held == 4)
    #expect(machine.guest.reports.lines.count == 1)
    let odd = machine.guest.allocate(bytes: [1, 2, 3])
    try machine.guest.queues[0].call([.readable(odd, 3)])
  }

  @Test func targetAndActual() throws {
    let machine = try Inflated()
    machine.balloon.setTarget(pages: 1000)
    #expect(machine.guest.configuration(0) == 1000)
    #expect(machine.guest.read(0x60) & 2 != 0)
    #expect(machine.guest.write(0x104, 900))
    #expect(machine.balloon.actualPages == 900)
    #expect(!machine.guest.write(0x100, 1), "the target is the host's")
    machine.guest.reset()
    #expect(machine.balloon.actualPages == 0)
    #expect(machine.balloon.targetPages == 1000)
  }

  /// The queue of page reporting as Linux numbers it, which leaves out what is not agreed on, and as
  /// the specification does.
  @Test(arguments: [(1 << 5 | 1 << 1, 3), (1 << 5, 2), (1 << 5 | 1 << 1, 4)] as [(UInt64, Int)])
  func reportedPagesGoBackToTheHost(features: UInt64, queue: Int) throws {
    let machine = try Inflated(features: VirtioGuest.version1 | features)
    let before = machine.held
    let used = try machine.guest.queues[queue].call([
      .writable(machine.pages, 1 << 20), .writable(machine.pages + (2 << 20), 1 << 20),
    ])
    #expect(used.written == 0)
    #expect(before - machine.held == 2048)
    // Only whole pages.
    try machine.guest.queues[queue].call([.writable(machine.pages + (5 << 20) + 1, 8192)])
    #expect(before - machine.held == 2048 + 4)
    #expect(machine.balloon.reportedBytes == 2 << 20 + 8192)
  }

  @Test func statistics() throws {
    let machine = try Inflated()
    let queue = machine.guest.queues[2]
    let room = machine.guest.allocate(40)
    func report(_ free: UInt64) {
      let slice = machine.guest.slice(room, 30)
      for (index, entry) in [(UInt16(4), free), (5, 32 << 20), (0xFF, 1)].enumerated() {
        slice.store(entry.0, at: 10 * index)
        slice.store(entry.1, at: 10 * index + 2)
      }
      queue.add([.readable(room, 30)])
      queue.kick()
    }
    report(1000)
    #expect(eventually { machine.balloon.statistics?.free == 1000 })
    #expect(machine.balloon.statistics?.total == 32 << 20)
    #expect(machine.balloon.statistics?.swappedIn == nil)
    #expect(queue.take() == nil, "kept until the host asks")
    machine.balloon.requestStatistics()
    _ = try queue.wait()
    report(2000)
    #expect(eventually { machine.balloon.statistics?.free == 2000 })
    // Asked before the guest is ready: answered as soon as it is.
    machine.balloon.requestStatistics()
    _ = try queue.wait()
    machine.balloon.requestStatistics()
    report(3000)
    _ = try queue.wait()
    #expect(machine.balloon.statistics?.free == 3000)
  }
}
