import Devices
import Glibc
import GuestMemory
import HostSystem
import Synchronization
import Testing

@Suite struct VirtioBlockTests {
  static let sectors = 256

  enum Kind {
    static let read: UInt32 = 0
    static let write: UInt32 = 1
    static let flush: UInt32 = 4
    static let getID: UInt32 = 8
    static let discard: UInt32 = 11
    static let writeZeroes: UInt32 = 13
  }

  enum Feature {
    static let readOnly: UInt64 = 1 << 5
    static let flush: UInt64 = 1 << 9
    static let cacheMode: UInt64 = 1 << 11
    static let discard: UInt64 = 1 << 13
    static let writeZeroes: UInt64 = 1 << 14
  }

  static let pattern = (0..<sectors * 512).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }

  /// A guest with a disk, and the status byte of its requests.
  final class Disk {
    let storage: MemoryStorage
    let block: VirtioBlock
    let guest: VirtioGuest
    let failures = Reports()
    let statusAddress: UInt64

    init(readOnly: Bool = false, features: UInt64? = nil, onRead: @escaping @Sendable () -> Void = {}) throws
    {
      storage = MemoryStorage(bytes: VirtioBlockTests.pattern, isReadOnly: readOnly, onRead: onRead)
      let failures = failures
      block = try VirtioBlock(
        storage: storage, serial: "volary-0123456789abcdef", onFailure: { failures.add("\($0)") })
      guest = try VirtioGuest(block)
      statusAddress = guest.allocate(1)
      guest.start(features: features)
    }

    var queue: GuestQueue { guest.queues[0] }

    func header(_ kind: UInt32, _ sector: UInt64) -> UInt64 {
      let address = guest.allocate(16)
      let slice = guest.slice(address, 16)
      slice.store(kind, at: 0)
      slice.store(UInt32(0), at: 4)
      slice.store(sector, at: 8)
      return address
    }

    func segments(_ list: [(UInt64, UInt32, UInt32)]) -> [GuestBuffer] {
      let slice = guest.slice(guest.allocate(16 * list.count), 16 * list.count)
      for (number, item) in list.enumerated() {
        slice.store(item.0, at: 16 * number)
        slice.store(item.1, at: 16 * number + 8)
        slice.store(item.2, at: 16 * number + 12)
      }
      return [.readable(slice.address, slice.count)]
    }

    /// Makes a request and returns its status, 0xEE if none was written.
    func request(
      _ kind: UInt32, _ sector: UInt64 = 0, _ data: [GuestBuffer] = [], indirect: Bool = false
    ) throws -> UInt8 {
      guest.store([0xEE], at: statusAddress)
      try queue.call(
        [.readable(header(kind, sector), 16)] + data + [.writable(statusAddress, 1)], indirect: indirect)
      return guest.bytes(at: statusAddress, 1)[0]
    }
  }

  @Test func configuration() throws {
    let disk = try Disk()
    #expect(disk.guest.configuration(0, width: 8) == UInt64(Self.sectors))
    #expect(disk.guest.configuration(12) == 254)
    #expect(disk.guest.configuration(20) == 512)
    #expect(disk.guest.configuration(32, width: 1) == 1)
    #expect(disk.guest.offered & Feature.readOnly == 0)
  }

  @Test(arguments: [false, true])
  func readsAndWrites(indirect: Bool) throws {
    let disk = try Disk()
    let data = disk.guest.allocate(bytes: [UInt8](repeating: 0xAB, count: 1024))
    #expect(try disk.request(Kind.write, 3, [.readable(data, 1024)], indirect: indirect) == 0)
    let room = disk.guest.allocate(2048)
    #expect(
      try disk.request(Kind.read, 2, [.writable(room, 512), .writable(room + 512, 1536)], indirect: indirect)
        == 0)
    var expected = Self.pattern
    expected.replaceSubrange(3 * 512..<5 * 512, with: [UInt8](repeating: 0xAB, count: 1024))
    #expect(same(disk.guest.bytes(at: room, 2048), Array(expected[1024..<3072])))
    #expect(same(disk.storage.bytes, expected))
    #expect(disk.storage.log == ["write 1536 1024", "read 1024 2048"], "contiguous buffers go as one")
  }

  /// What succeeded counts, however it went.
  @Test func countsWhatItDoes() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(4096)
    #expect(try disk.request(Kind.read, 0, [.writable(room, 1024)]) == 0)
    #expect(try disk.request(Kind.read, 1, [.writable(room, 100), .writable(room + 200, 412)]) == 0)
    #expect(try disk.request(Kind.write, 9, [.readable(room, 4096)]) == 0)
    for _ in 0..<3 { #expect(try disk.request(Kind.flush) == 0) }
    #expect(try disk.request(Kind.read, UInt64(Self.sectors), [.writable(room, 512)]) == 1)
    #expect(try disk.request(Kind.write, 0, [.readable(room, 511)]) == 1)
    #expect(
      disk.block.activity
        == BlockActivity(reads: 2, writes: 1, bytesRead: 1536, bytesWritten: 4096, flushes: 3))
  }

  @Test func oddBuffersGoThroughACopy() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(1024)
    #expect(try disk.request(Kind.read, 1, [.writable(room, 100), .writable(room + 200, 412)]) == 0)
    #expect(disk.guest.bytes(at: room, 100) == Array(Self.pattern[512..<612]))
    #expect(disk.guest.bytes(at: room + 200, 412) == Array(Self.pattern[612..<1024]))
    let data = disk.guest.allocate(bytes: [UInt8](0..<255) + [UInt8](0..<255) + [1, 2])
    #expect(try disk.request(Kind.write, 9, [.readable(data, 1), .readable(data + 1, 511)]) == 0)
    #expect(Array(disk.storage.bytes[9 * 512..<10 * 512]) == disk.guest.bytes(at: data, 512))
    #expect(disk.storage.log == ["read 512 512", "write 4608 512"], "storage sees whole sectors")
  }

  @Test func requestsOverTheEnd() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(1024)
    let end = UInt64(Self.sectors)
    for (sector, count) in [(end, 512), (end - 1, 1024), (.max, 512), (.max / 512, 512), (1 << 55, 1024)] {
      #expect(try disk.request(Kind.read, sector, [.writable(room, count)]) == 1)
      #expect(try disk.request(Kind.write, sector, [.readable(room, count)]) == 1)
    }
    #expect(try disk.request(Kind.read, end - 1, [.writable(room, 512)]) == 0)
  }

  @Test func requestsThatAreNoSectors() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(1024)
    #expect(try disk.request(Kind.read, 0, [.writable(room, 511)]) == 1)
    #expect(try disk.request(Kind.write, 0, [.readable(room, 513)]) == 1)
    #expect(try disk.request(Kind.read) == 1, "no data")
    #expect(try disk.request(Kind.write) == 1)
    #expect(disk.storage.log == [])
  }

  @Test func unknownRequests() throws {
    let disk = try Disk()
    for kind: UInt32 in [2, 3, 5, 9, 14, .max] { #expect(try disk.request(kind) == 2) }
  }

  @Test func headersThatAreCutShort() throws {
    let disk = try Disk()
    disk.guest.store([0xEE], at: disk.statusAddress)
    try disk.queue.call([.readable(disk.header(0, 0), 15), .writable(disk.statusAddress, 1)])
    #expect(disk.guest.bytes(at: disk.statusAddress, 1) == [1])
    let used = try disk.queue.call([.readable(disk.header(0, 0), 16)])
    #expect(used.written == 0, "nowhere to put a status")
  }

  @Test func headerInPieces() throws {
    let disk = try Disk()
    let header = disk.header(Kind.read, 2)
    let room = disk.guest.allocate(513)
    disk.guest.store([0xEE], at: room + 512)
    try disk.queue.call([.readable(header, 5), .readable(header + 5, 11), .writable(room, 513)])
    #expect(disk.guest.bytes(at: room, 512) == Array(Self.pattern[1024..<1536]))
    #expect(disk.guest.bytes(at: room + 512, 1) == [0])
  }

  @Test func identity() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(20)
    #expect(try disk.request(Kind.getID, 0, [.writable(room, 20)]) == 0)
    #expect(disk.guest.bytes(at: room, 20) == Array("volary-0123456789abcdef".utf8.prefix(20)))
    #expect(try disk.request(Kind.getID, 0, [.writable(room, 19)]) == 1)
  }

  @Test func readOnly() throws {
    let disk = try Disk(readOnly: true)
    #expect(disk.guest.features & Feature.readOnly != 0)
    #expect(disk.guest.features & (Feature.discard | Feature.writeZeroes | Feature.cacheMode) == 0)
    #expect(try disk.request(Kind.write, 0, [.readable(disk.guest.allocate(512), 512)]) == 1)
    #expect(try disk.request(Kind.discard, 0, disk.segments([(0, 8, 0)])) == 2)
    #expect(try disk.request(Kind.read, 0, [.writable(disk.guest.allocate(512), 512)]) == 0)
    #expect(same(disk.storage.bytes, Self.pattern))
  }

  @Test func discardAndWriteZeroes() throws {
    let disk = try Disk()
    #expect(try disk.request(Kind.discard, 0, disk.segments([(8, 8, 0), (32, 16, 0)])) == 0)
    #expect(try disk.request(Kind.writeZeroes, 0, disk.segments([(1, 2, 0), (4, 1, 1)])) == 0)
    #expect(
      disk.storage.log == ["discard 4096 4096", "discard 16384 8192", "zero 512 1024", "zero 2048 512 unmap"])
    #expect(try disk.request(Kind.discard, 0, disk.segments([(0, 8, 1)])) == 2, "unmap is for zeroes")
    #expect(try disk.request(Kind.writeZeroes, 0, disk.segments([(0, 8, 2)])) == 2, "an unknown flag")
    #expect(try disk.request(Kind.discard) == 1, "no range")
    let odd = disk.segments([(0, 8, 0), (8, 8, 0)])
    #expect(try disk.request(Kind.discard, 0, [.readable(odd[0].address, 17)]) == 1)
    #expect(try disk.request(Kind.discard, 0, disk.segments([(255, 2, 0)])) == 1)
    #expect(try disk.request(Kind.writeZeroes, 0, disk.segments([(.max, 1, 0)])) == 1)
    #expect(try disk.request(Kind.writeZeroes, 0, disk.segments([(0, .max, 0)])) == 1)
    let many = [(UInt64, UInt32, UInt32)](repeating: (0, 1, 0), count: 65)
    #expect(try disk.request(Kind.discard, 0, disk.segments(many)) == 1)
  }

  @Test func discardWithoutTheFeature() throws {
    let disk = try Disk(features: VirtioGuest.version1)
    #expect(try disk.request(Kind.discard, 0, disk.segments([(0, 8, 0)])) == 2)
  }

  @Test func cacheModes() throws {
    let disk = try Disk()
    let data = disk.guest.allocate(512)
    func log() throws -> [String] {
      let before = disk.storage.log.count
      #expect(try disk.request(Kind.write, 0, [.readable(data, 512)]) == 0)
      return Array(disk.storage.log[before...])
    }
    #expect(try log() == ["write 0 512"])
    #expect(try disk.request(Kind.flush) == 0)
    #expect(disk.storage.log.last == "flush")
    try disk.guest.device.write(offset: 0x120, width: 1, value: 0)
    #expect(try log() == ["write 0 512", "flush"])
    #expect(throws: BusFault.self) { try disk.guest.device.write(offset: 0x120, width: 1, value: 2) }
    disk.guest.start(features: VirtioGuest.version1)
    #expect(try log() == ["write 0 512", "flush"], "a driver without flushes needs durable writes")
    disk.guest.start()
    #expect(try log() == ["write 0 512"], "a reset takes the choice back")
  }

  /// With nothing to flush the driver is offered neither flushes nor a choice.
  @Test func aDiskThatWritesThrough() throws {
    let storage = MemoryStorage(bytes: Self.pattern)
    let guest = try VirtioGuest(try VirtioBlock(storage: storage, serial: "", writesThrough: true))
    guest.start()
    #expect(guest.offered & (Feature.flush | Feature.cacheMode) == 0)
    guest.start()
    let header = guest.slice(guest.allocate(16), 16)
    header.store(Kind.write, at: 0)
    header.store(UInt64(4), at: 8)
    let status = guest.allocate(1)
    let data = guest.allocate(512)
    for _ in 0..<2 {
      try guest.queues[0].call([
        .readable(header.address, 16), .readable(data, 512), .writable(status, 1),
      ])
    }
    #expect(storage.log == ["write 2048 512", "flush", "write 2048 512", "flush"])
  }

  @Test func hostFailuresAreReportedOnce() throws {
    let disk = try Disk()
    let data = disk.guest.allocate(512)
    disk.storage.fail(with: .noSpace)
    for _ in 0..<3 { #expect(try disk.request(Kind.write, 0, [.readable(data, 512)]) == 1) }
    #expect(disk.failures.lines == ["write failed: No space left on device"])
    disk.storage.fail(with: nil)
    #expect(try disk.request(Kind.write, 0, [.readable(data, 512)]) == 0)
    disk.storage.fail(with: .noSpace)
    #expect(try disk.request(Kind.write, 0, [.readable(data, 512)]) == 1)
    #expect(disk.failures.lines.count == 2)
  }

  @Test func resizedStorageIsToldTheGuest() throws {
    let storage = MemoryStorage(bytes: Self.pattern)
    let block = try VirtioBlock(storage: storage, serial: "")
    let guest = try VirtioGuest(block)
    guest.start()
    storage.state.withLock { $0.bytes += $0.bytes }
    block.storageResized()
    #expect(guest.configuration(0, width: 8) == UInt64(2 * Self.sectors))
    #expect(guest.read(0x60) & 2 != 0)
  }

  /// A batch that waits behind a slow request is answered with one or two interrupts, not one each.
  @Test func completionsShareAnInterrupt() throws {
    let gate = Gate()
    let disk = try Disk(features: VirtioGuest.version1, onRead: { gate.pass() })
    let room = disk.guest.allocate(512)
    func add() {
      disk.queue.add([
        .readable(disk.header(Kind.read, 0), 16), .writable(room, 512),
        .writable(disk.statusAddress, 1),
      ])
    }
    add()
    disk.queue.kick()
    #expect(eventually { gate.hasVisitor })
    for _ in 0..<60 { add() }
    gate.open()
    for _ in 0..<61 {
      _ = try disk.queue.wait()
      disk.guest.write(0x64, 1)
    }
    #expect(disk.guest.sink.edges < 30)
  }

  /// A reset waits for the request in flight, and the old rings are not touched after it.
  @Test func resetDrainsWhatIsInFlight() throws {
    let gate = Gate()
    let disk = try Disk(onRead: { gate.pass() })
    let room = disk.guest.allocate(1024)
    for sector in 0..<2 {
      disk.queue.add([
        .readable(disk.header(Kind.read, UInt64(sector)), 16),
        .writable(room + UInt64(512 * sector), 512), .writable(disk.statusAddress, 1),
      ])
    }
    disk.queue.kick()
    #expect(eventually { gate.hasVisitor })
    let isReset = Flag()
    let guest = disk.guest
    let device = guest.device
    let thread = try Thread.start(name: "resetting") {
      try? device.write(offset: 0x70, width: 4, value: 0)
      isReset.raise()
    }
    #expect(eventually { !guest.write(0x50, 0) }, "the reset has begun")
    usleep(5_000)
    #expect(!isReset.isRaised, "the request is still in flight")
    gate.open()
    thread.join()
    #expect(guest.status == 0)
    let rings = disk.queue
    let used = guest.bytes(at: rings.used, 6 + 8 * rings.size)
    let data = guest.bytes(at: room, 1024)
    #expect(Array(data[..<512]) == Array(Self.pattern[..<512]), "what was in flight is done")
    disk.guest.start(sizes: [4])
    #expect(try disk.request(Kind.read, 5, [.writable(guest.allocate(512), 512)]) == 0)
    #expect(same(guest.bytes(at: room, 1024), data))
    #expect(same(guest.bytes(at: rings.used, 6 + 8 * rings.size), used))
  }

  @Test func onARealFile() throws {
    let path = "/tmp/volary-block-test-\(getpid())"
    let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL)
    defer { unlink(path) }
    try file.truncate(to: 1 << 20)
    let guest = try VirtioGuest(try VirtioBlock(storage: FileStorage(file), serial: "file"))
    guest.start()
    let status = guest.allocate(1)
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<64 << 10).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let data = guest.allocate(bytes: bytes)
    let header = guest.slice(guest.allocate(16), 16)
    func call(_ kind: UInt32, _ buffers: [GuestBuffer]) throws -> UInt8 {
      header.store(kind, at: 0)
      header.store(UInt64(100), at: 8)
      guest.store([0xEE], at: status)
      try guest.queues[0].call([.readable(header.address, 16)] + buffers + [.writable(status, 1)])
      return guest.bytes(at: status, 1)[0]
    }
    #expect(try call(Kind.write, [.readable(data + 0x8000, 0x8000), .readable(data, 0x8000)]) == 0)
    #expect(try call(Kind.flush, []) == 0)
    // The file itself, read by other means.
    let other = try Descriptor.open(path, O_RDONLY)
    var seen = [UInt8](repeating: 0, count: bytes.count)
    #expect(pread(other.raw, &seen, seen.count, 100 * 512) == seen.count)
    #expect(same(seen, Array(bytes[0x8000...] + bytes[..<0x8000])))
    let room = guest.allocate(bytes.count)
    #expect(try call(Kind.read, [.writable(room, bytes.count)]) == 0)
    #expect(same(guest.bytes(at: room, bytes.count), seen))
  }

  /// The smallest storage on a file.
  final class FileStorage: BlockStorage {
    let file: Descriptor
    let isReadOnly = false
    init(_ file: Descriptor) { self.file = file }
    var size: UInt64 { UInt64((try? file.size()) ?? 0) }
    func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
      try retrying { pread(file.raw, target.baseAddress, target.count, Int(offset)) }
    }
    func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
      try retrying { pwrite(file.raw, source.baseAddress, source.count, Int(offset)) }
    }
    func flush() throws(Errno) { try retrying { Int(fdatasync(file.raw)) } }
    func discard(at offset: UInt64, count: UInt64) throws(Errno) {}
    func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) { throw .invalid }
  }

  final class Flag: Sendable {
    private let value = Atomic(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
  }

  /// Holds a thread up until it is opened.
  final class Gate: Sendable {
    private let visited = Atomic(false)
    private let isOpen = Atomic(false)
    var hasVisitor: Bool { visited.load(ordering: .acquiring) }
    func pass() {
      visited.store(true, ordering: .releasing)
      while !isOpen.load(ordering: .acquiring) { usleep(100) }
    }
    func open() { isOpen.store(true, ordering: .releasing) }
  }
}
