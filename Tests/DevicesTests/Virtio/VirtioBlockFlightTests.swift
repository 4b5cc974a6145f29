import Devices
import Glibc
import GuestMemory
import HostSystem
import Synchronization
import Testing

/// Requests of a disk that are carried out beside each other.
@Suite struct VirtioBlockFlightTests {
  /// A disk in memory of which accesses can be held up, by where they are.
  final class HeldStorage: BlockStorage {
    struct State {
      var bytes: [UInt8]
      /// Offsets of which accesses wait.
      var held: Set<UInt64> = []
      var waiting: Set<UInt64> = []
      var atOnce = 0
      var mostAtOnce = 0
      var flushes = 0
      var failing: Set<UInt64> = []
      /// Whether there is no room for writes.
      var isFull = false
      /// Microseconds of each access.
      var delay: UInt32 = 0
    }
    let state: Mutex<State>
    let isReadOnly = false
    let size: UInt64

    init(bytes: [UInt8]) {
      size = UInt64(bytes.count)
      state = Mutex(State(bytes: bytes))
    }

    func hold(_ offsets: UInt64...) { state.withLock { $0.held.formUnion(offsets) } }
    func letGo(_ offsets: UInt64...) { state.withLock { $0.held.subtract(offsets) } }
    var waiting: Set<UInt64> { state.withLock { $0.waiting } }

    private func access(_ offset: UInt64, _ body: (inout State) -> Void) throws(Errno) {
      state.withLock { state in
        state.atOnce += 1
        state.mostAtOnce = max(state.atOnce, state.mostAtOnce)
        state.waiting.insert(offset)
      }
      let delay = state.withLock { $0.delay }
      if delay > 0 { usleep(delay) }
      while state.withLock({ $0.held.contains(offset) }) { usleep(100) }
      let fails = state.withLock { state in
        state.atOnce -= 1
        state.waiting.remove(offset)
        if state.failing.contains(offset) { return true }
        body(&state)
        return false
      }
      if fails { throw .io }
    }

    func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
      try access(offset) { target.copyBytes(from: $0.bytes[Int(offset)..<Int(offset) + target.count]) }
    }
    func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
      if state.withLock({ $0.isFull }) { throw .noSpace }
      try access(offset) {
        $0.bytes.replaceSubrange(Int(offset)..<Int(offset) + source.count, with: source)
      }
    }
    func flush() throws(Errno) { state.withLock { $0.flushes += 1 } }
    func discard(at offset: UInt64, count: UInt64) throws(Errno) {}
    func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
      try access(offset) { state in
        for place in Int(offset)..<Int(offset + count) { state.bytes[place] = 0 }
      }
    }
  }

  final class Disk {
    static let sectors = 1024
    let storage: HeldStorage
    let block: VirtioBlock
    let guest: VirtioGuest
    let failures = Reports()

    /// What the disk told of want of room.
    let wants = Reports()

    init(_ pace: BlockPace.Policy = .helpers, waitsForRoom: Bool = false) throws {
      storage = HeldStorage(bytes: (0..<Self.sectors * 512).map { UInt8(truncatingIfNeeded: $0 / 512) })
      let failures = failures
      let wants = wants
      let want: @Sendable (Bool) -> Void = { wants.add("\($0)") }
      block = try VirtioBlock(
        storage: storage, serial: "flight", pace: pace, onWant: waitsForRoom ? want : nil,
        onFailure: { failures.add("\($0)") })
      guest = try VirtioGuest(block)
      guest.start()
    }

    var queue: GuestQueue { guest.queues[0] }

    /// Makes a request available; returns its number and where its status will be.
    @discardableResult
    func add(_ kind: UInt32, _ sector: UInt64 = 0, _ data: [GuestBuffer] = []) -> (
      head: UInt16, status: UInt64
    ) {
      let header = guest.slice(guest.allocate(16), 16)
      header.store(kind, at: 0)
      header.store(UInt32(0), at: 4)
      header.store(sector, at: 8)
      let status = guest.allocate(bytes: [0xEE])
      let head = queue.add([.readable(header.address, 16)] + data + [.writable(status, 1)])
      return (head, status)
    }

    func status(_ address: UInt64) -> UInt8 { guest.bytes(at: address, 1)[0] }
  }

  enum Kind {
    static let read: UInt32 = 0
    static let write: UInt32 = 1
    static let flush: UInt32 = 4
  }

  @Test func whatWaitsHoldsNothingElseUp() throws {
    let disk = try Disk()
    disk.storage.hold(0)
    let room = disk.guest.allocate(2048)
    let slow = disk.add(Kind.read, 0, [.writable(room, 512)])
    let quick = disk.add(Kind.read, 5, [.writable(room + 512, 512)])
    let flush = disk.add(Kind.flush)
    disk.queue.kick()
    var answered = [try disk.queue.wait().head, try disk.queue.wait().head]
    #expect(Set(answered) == [quick.head, flush.head], "a flush waits for nothing that is not answered")
    #expect(disk.guest.bytes(at: room + 512, 2) == [5, 5])
    #expect(disk.status(slow.status) == 0xEE)
    disk.storage.letGo(0)
    answered.append(try disk.queue.wait().head)
    #expect(answered.last == slow.head)
    #expect(disk.status(slow.status) == 0)
    #expect(disk.block.activity == BlockActivity(reads: 2, bytesRead: 1024, flushes: 1))
  }

  @Test func asManyAsThereAreThreads() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(512)
    for sector in 0..<40 {
      disk.storage.hold(UInt64(sector * 512))
      disk.add(Kind.read, UInt64(sector), [.writable(room, 512)])
    }
    disk.queue.kick()
    #expect(eventually { disk.storage.waiting.count == VirtioBlock.mostHelpers })
    disk.storage.state.withLock { $0.held = [] }
    for _ in 0..<40 { _ = try disk.queue.wait() }
    #expect(disk.storage.state.withLock { $0.mostAtOnce } == VirtioBlock.mostHelpers)
  }

  /// Random requests in many orders: what a range holds is what was written to it last, and what is read is that.
  @Test(arguments: [BlockPace.Policy.helpers, .measured, .inline], [1, 2])
  func contents(pace: BlockPace.Policy, seed: UInt64) throws {
    let disk = try Disk(pace)
    var model = disk.storage.state.withLock { $0.bytes }
    var chance = seed &* 0x9E37_79B9_7F4A_7C15
    func random(_ limit: Int) -> Int {
      chance ^= chance << 13
      chance ^= chance >> 7
      chance ^= chance << 17
      return Int(chance >> 33) % limit
    }
    let areas = (0..<32).map { _ in disk.guest.allocate(4096) }
    for round in 0..<60 {
      // Ranges of 8 sectors, each in at most one request at a time.
      var places = Array(0..<Disk.sectors / 8)
      var expected: [UInt16: (status: UInt64, read: (area: UInt64, bytes: [UInt8])?)] = [:]
      for area in areas.prefix(1 + random(32)) {
        let place = places.remove(at: random(places.count)) * 4096
        if random(2) == 0 {
          let bytes = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* round &+ place / 512) }
          disk.guest.store(bytes, at: area)
          model.replaceSubrange(place..<place + 4096, with: bytes)
          // Two buffers, the second not whole sectors now and then.
          let cut = random(3) == 0 ? 1000 : 1024
          let (head, status) = disk.add(
            Kind.write, UInt64(place / 512),
            [.readable(area, cut), .readable(area + UInt64(cut), 4096 - cut)])
          expected[head] = (status, nil)
        } else {
          let (head, status) = disk.add(Kind.read, UInt64(place / 512), [.writable(area, 4096)])
          expected[head] = (status, (area, Array(model[place..<place + 4096])))
        }
      }
      disk.queue.kick()
      while !expected.isEmpty {
        let used = try disk.queue.wait()
        let found = expected.removeValue(forKey: used.head)
        let request = try #require(found, "it was answered twice")
        #expect(disk.status(request.status) == 0)
        if let read = request.read {
          #expect(used.written == 4097)
          #expect(same(disk.guest.bytes(at: read.area, 4096), read.bytes))
        } else {
          #expect(used.written == 1)
        }
      }
    }
    #expect(same(disk.storage.state.withLock { $0.bytes }, model))
  }

  @Test func aFailureIsOneRequests() throws {
    let disk = try Disk()
    disk.storage.state.withLock { $0.failing = [1024] }
    let room = disk.guest.allocate(4096)
    let requests = (0..<8).map { disk.add(Kind.read, UInt64($0), [.writable(room, 512)]) }
    disk.queue.kick()
    for _ in requests { _ = try disk.queue.wait() }
    #expect(requests.map { disk.status($0.status) } == [0, 0, 1, 0, 0, 0, 0, 0])
    #expect(disk.failures.lines.count == 1)
  }

  // MARK: - Coming to rest

  /// Has `body` run on another thread while requests are held up, and sees that it waits for them.
  private func waits(_ disk: Disk, _ body: @escaping @Sendable () -> Void) throws {
    let room = disk.guest.allocate(4096)
    let requests = (0..<4).map { number in
      disk.storage.hold(UInt64(number * 512))
      return disk.add(Kind.read, UInt64(number), [.writable(room + UInt64(number * 512), 512)])
    }
    disk.queue.kick()
    #expect(eventually { disk.storage.waiting.count == 4 })
    let isDone = Completion()
    let seen = Mutex(false)
    let thread = try Thread.start(name: "resting") {
      body()
      seen.withLock { $0 = true }
      isDone.complete()
    }
    disk.storage.letGo(0, 512, 1024)
    #expect(eventually { disk.storage.waiting == [1536] })
    usleep(5_000)
    #expect(!seen.withLock { $0 }, "one is in flight")
    disk.storage.letGo(1536)
    isDone.wait()
    thread.join()
    #expect(requests.allSatisfy { disk.status($0.status) == 0 })
    #expect(disk.guest.bytes(at: room + 1536, 1) == [3])
  }

  @Test func aResetWaits() throws {
    let disk = try Disk()
    let device = disk.guest.device
    try waits(disk) { try? device.write(offset: 0x70, width: 4, value: 0) }
    #expect(disk.guest.status == 0)
    disk.guest.start(sizes: [4])
    let status = disk.add(Kind.flush).status
    disk.queue.kick()
    _ = try disk.queue.wait()
    #expect(disk.status(status) == 0)
  }

  @Test func holdingWaits() throws {
    let disk = try Disk()
    let block = disk.block
    try waits(disk) { block.hold() }
    // What comes while it rests is taken afterwards.
    let status = disk.add(Kind.flush).status
    disk.queue.kick()
    usleep(5_000)
    #expect(disk.status(status) == 0xEE)
    block.release()
    for _ in 0..<5 { _ = try disk.queue.wait() }
    #expect(disk.status(status) == 0)
  }

  @Test func stoppingAQueueWaits() throws {
    let disk = try Disk()
    let block = disk.block
    try waits(disk) { block.stop(queue: 0) }
  }

  @Test func endingWaits() throws {
    let disk = try Disk()
    let block = disk.block
    try waits(disk) { block.stop() }
  }

  /// A queue that the driver broke while requests are in flight.
  @Test func aBrokenQueueWaits() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(512)
    disk.storage.hold(0)
    let request = disk.add(Kind.read, 0, [.writable(room, 512)])
    disk.queue.kick()
    #expect(eventually { disk.storage.waiting == [0] })
    disk.queue.setAvailableIndex(0x7000)
    disk.guest.write(0x50, 0)
    usleep(2_000)
    disk.storage.letGo(0)
    #expect(eventually { disk.guest.status & VirtioGuest.Status.needsReset != 0 })
    #expect(eventually { disk.status(request.status) == 0 }, "a reset is asked for first")
  }

  // MARK: - When to hand over

  @Test func paceFollowsTheDisk() {
    var pace = BlockPace(.measured)
    #expect(!pace.handsOver(isFlush: false, isAlone: false))
    for _ in 0..<40 { pace.note(isFlush: false, nanoseconds: 100_000) }
    #expect(pace.handsOver(isFlush: false, isAlone: false))
    #expect(!pace.handsOver(isFlush: false, isAlone: true))
    #expect(!pace.handsOver(isFlush: true, isAlone: false), "flushes count by themselves")
    for _ in 0..<40 { pace.note(isFlush: false, nanoseconds: 1_000_000) }
    #expect(pace.handsOver(isFlush: false, isAlone: true))
    for _ in 0..<40 { pace.note(isFlush: false, nanoseconds: 5_000) }
    #expect(!pace.handsOver(isFlush: false, isAlone: false))
  }

  /// A disk that begins to make one wait has requests carried out beside each other soon.
  @Test func aSlowDiskGetsHelpers() throws {
    let disk = try Disk(.measured)
    let room = disk.guest.allocate(512)
    for _ in 0..<3 {
      disk.storage.hold(0)
      disk.add(Kind.read, 0, [.writable(room, 512)])
      disk.queue.kick()
      #expect(eventually { disk.storage.waiting.contains(0) })
      usleep(2_000)
      disk.storage.letGo(0)
      _ = try disk.queue.wait()
    }
    disk.storage.hold(512, 1024)
    for sector: UInt64 in [1, 2] { disk.add(Kind.read, sector, [.writable(room, 512)]) }
    disk.queue.kick()
    #expect(eventually { disk.storage.waiting == [512, 1024] })
    disk.storage.letGo(512, 1024)
    for _ in 0..<2 { _ = try disk.queue.wait() }
  }

  // MARK: - Limits

  /// What a limit keeps waiting holds up neither the other direction nor flushes, and begins when the limit goes.
  @Test(arguments: [BlockPace.Policy.inline, .helpers])
  func limitsHoldOneDirection(pace: BlockPace.Policy) throws {
    let disk = try Disk(pace)
    let room = disk.guest.allocate(512)
    // A byte a second: the first is carried out at once, the others would be in minutes.
    disk.block.rates = BlockRates(readBytes: 0, writtenBytes: 1)
    let first = disk.add(Kind.write, 0, [.readable(room, 512)])
    disk.queue.kick()
    #expect(try disk.queue.wait().head == first.head)
    let late = (1...5).map { disk.add(Kind.write, UInt64($0), [.readable(room, 512)]) }
    let others = [disk.add(Kind.read, 7, [.writable(room, 512)]), disk.add(Kind.flush)]
    disk.queue.kick()
    let answered = [try disk.queue.wait().head, try disk.queue.wait().head]
    #expect(Set(answered) == Set(others.map(\.head)))
    #expect(late.allSatisfy { disk.status($0.status) == 0xEE })
    disk.block.rates = BlockRates()
    for _ in late { _ = try disk.queue.wait() }
    #expect(late.allSatisfy { disk.status($0.status) == 0 })
  }

  /// A disk that comes to rest carries out what waits; nothing of it is lost.
  @Test func restingEndsTheWait() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(512)
    disk.block.rates = BlockRates(reads: 1)
    let requests = (0..<40).map { disk.add(Kind.read, UInt64($0), [.writable(room, 512)]) }
    disk.queue.kick()
    _ = try disk.queue.wait()
    disk.block.hold()
    #expect(requests.allSatisfy { disk.status($0.status) == 0 })
    disk.block.release()
    for _ in 0..<39 { _ = try disk.queue.wait() }
  }

  /// The alarm rings: what waits begins by itself.
  @Test func whatWaitsBeginsInTime() throws {
    let disk = try Disk()
    let room = disk.guest.allocate(512)
    disk.block.rates = BlockRates(reads: 200)
    let started = monotonicNanoseconds()
    for _ in 0..<60 { disk.add(Kind.read, 0, [.writable(room, 512)]) }
    disk.queue.kick()
    for _ in 0..<60 { _ = try disk.queue.wait() }
    // Never sooner: 60 at 200 a second, of which the first 20 come at once.
    #expect(monotonicNanoseconds() - started > 190_000_000)
  }

  /// Prints how many reads a second a disk does that takes a millisecond for each.
  @Test(
    .enabled(if: getenv("VOLARY_MEASURE") != nil), arguments: [BlockPace.Policy.inline, .measured, .helpers])
  func measure(pace: BlockPace.Policy) throws {
    let disk = try Disk(pace)
    disk.storage.state.withLock { $0.delay = 1_000 }
    let room = disk.guest.allocate(512)
    let started = monotonicNanoseconds()
    var answered = 0
    for _ in 0..<32 { disk.add(Kind.read, 0, [.writable(room, 512)]) }
    disk.queue.kick()
    while monotonicNanoseconds() - started < 2_000_000_000 {
      _ = try disk.queue.wait()
      answered += 1
      disk.add(Kind.read, 0, [.writable(room, 512)])
      disk.queue.kick()
    }
    print("\(pace): \(answered / 2) reads a second, 32 at a time, of a disk that takes a millisecond")
  }

  // MARK: - Want of room

  @Test(arguments: [BlockPace.Policy.inline, .helpers])
  func whatThereIsNoRoomForIsTriedAgain(pace: BlockPace.Policy) throws {
    let disk = try Disk(pace, waitsForRoom: true)
    let room = disk.guest.allocate(bytes: [UInt8](repeating: 0x5A, count: 1024))
    disk.storage.state.withLock { $0.isFull = true }
    let writes = (0..<6).map {
      disk.add(Kind.write, UInt64($0 * 2), [.readable(room, 1000), .readable(room, 24)])
    }
    disk.queue.kick()
    #expect(eventually { disk.wants.lines == ["true"] })
    #expect(disk.block.waitsForRoom)
    // It can come to rest and go on meanwhile.
    disk.block.hold()
    #expect(writes.allSatisfy { disk.status($0.status) == 0xEE })
    disk.block.release()
    disk.storage.state.withLock { $0.isFull = false }
    for _ in writes { _ = try disk.queue.wait() }
    #expect(writes.allSatisfy { disk.status($0.status) == 0 })
    #expect(disk.storage.state.withLock { $0.bytes[..<6144].allSatisfy { $0 == 0x5A } })
    #expect(eventually { disk.wants.lines == ["true", "false"] })
    #expect(disk.failures.lines.isEmpty)
  }

  @Test func aResetEndsTheWaitForRoom() throws {
    let disk = try Disk(waitsForRoom: true)
    let room = disk.guest.allocate(512)
    disk.storage.state.withLock { $0.isFull = true }
    disk.add(Kind.write, 0, [.readable(room, 512)])
    disk.queue.kick()
    #expect(eventually { disk.block.waitsForRoom })
    disk.guest.reset()
    #expect(!disk.block.waitsForRoom)
    #expect(disk.wants.lines == ["true", "false"])
  }
}
