import Devices
import GuestMemory
import Synchronization
import Testing

/// The queue by itself: what a driver may put into a ring, and what comes out.
@Suite struct VirtioQueueTests {
  let guest: VirtioGuest
  let rings: GuestQueue

  init() throws {
    guest = try VirtioGuest(try VirtioEntropy())
    rings = GuestQueue(index: 0, size: 8, guest: guest)
  }

  func live(_ features: VirtioFeatures = .ofQueues, maximum: UInt16 = 16) throws -> LiveQueue {
    var configuration = QueueConfiguration(size: UInt32(rings.size))
    configuration.descriptorTable = rings.descriptors
    configuration.availableRing = rings.available
    configuration.usedRing = rings.used
    return try configuration.activate(index: 0, maximum: maximum, features: features, memory: guest.memory)
  }

  /// Takes a chain and reads all of it: the readable bytes, and the room.
  func take(_ queue: LiveQueue) throws -> (bytes: [UInt8], room: Int)? {
    guard var chain = try queue.next() else { return nil }
    var bytes = [UInt8](repeating: 0, count: chain.reader.remaining)
    _ = bytes.withUnsafeMutableBytes { chain.reader.read(into: $0) }
    return (bytes, chain.writer.remaining)
  }

  /// The error with which a queue breaks; nil if it does not.
  func failure(_ queue: LiveQueue) -> QueueError? {
    do {
      while try take(queue) != nil {}
      return nil
    } catch { return error as? QueueError }
  }

  @Test(arguments: [false, true])
  func chainsAreReadInOrder(indirect: Bool) throws {
    let queue = try live()
    rings.add(
      [
        .readable(guest.allocate(bytes: [1, 2, 3]), 3), .readable(guest.allocate(bytes: [4]), 1),
        .writable(guest.allocate(10), 10), .writable(guest.allocate(20), 20),
      ], indirect: indirect)
    let chain = try #require(try take(queue))
    #expect(chain.bytes == [1, 2, 3, 4])
    #expect(chain.room == 30)
    #expect(try take(queue) == nil)
  }

  @Test func contiguousBuffersAreLentAsOne() throws {
    let queue = try live()
    let data = guest.allocate(bytes: [UInt8](0..<32))
    rings.add([.readable(data, 16), .readable(data + 16, 16)])
    guard let chain = try queue.next() else { return #expect(Bool(false)) }
    let lent = chain.reader.withBuffers { buffers in buffers.map { [UInt8]($0) } }
    #expect(lent == [[UInt8](0..<32)])
  }

  @Test func directDescriptorsMayEndInATable() throws {
    let queue = try live()
    let table = guest.slice(guest.allocate(32), 32)
    GuestQueue.setDescriptor(table, 0, address: guest.allocate(bytes: [7]), count: 1, flags: 1, next: 1)
    GuestQueue.setDescriptor(table, 1, address: guest.allocate(4), count: 4, flags: 2, next: 0)
    rings.setDescriptor(3, address: guest.allocate(bytes: [6]), count: 1, flags: 1, next: 5)
    // A table's own write flag means nothing (§2.7.5.3.2).
    rings.setDescriptor(5, address: table.address, count: 32, flags: 4 | 2, next: 0)
    rings.offer(head: 3)
    let chain = try #require(try take(queue))
    #expect(chain.bytes == [6, 7])
    #expect(chain.room == 4)
  }

  @Test func partialReadsAndWrites() throws {
    let queue = try live()
    let room = guest.allocate(8)
    rings.add([
      .readable(guest.allocate(bytes: [1, 2]), 2), .readable(guest.allocate(bytes: [3, 4, 5]), 3),
      .writable(room, 3), .writable(room + 5, 3),
    ])
    guard var chain = try queue.next() else { return #expect(Bool(false)) }
    let byte = chain.reader.load(UInt8.self)
    let word = chain.reader.load(UInt16.self)
    let long = chain.reader.load(UInt32.self)
    let remaining = chain.reader.remaining
    #expect(byte == 1 && word == 0x0302 && long == nil && remaining == 2)
    chain.writer.write([9])
    let stored = [chain.writer.store(UInt32(0xDDCC_BBAA)), chain.writer.store(UInt16(1))]
    #expect(stored == [true, false])
    let written = chain.writer.write([8, 8, 8])
    #expect(written == 1)
    let total = chain.writer.written
    #expect(total == 6)
    queue.complete(chain, written: 6)
    #expect(rings.take() == nil, "not shown yet")
    queue.publish()
    #expect(rings.take() == GuestQueue.Used(head: 0, written: 6))
    #expect(guest.bytes(at: room, 8) == [9, 0xAA, 0xBB, 0, 0, 0xCC, 0xDD, 8])
  }

  // MARK: - Broken rings

  @Test func loops() throws {
    let data = guest.allocate(8)
    rings.setDescriptor(0, address: data, count: 1, flags: 1, next: 1)
    rings.setDescriptor(1, address: data, count: 1, flags: 1, next: 0)
    rings.offer(head: 0)
    let queue = try live()
    #expect(failure(queue) == .chainTooLong)
    #expect(failure(queue) == .chainTooLong, "latched")
  }

  @Test func loopsInATable() throws {
    let table = guest.slice(guest.allocate(16), 16)
    GuestQueue.setDescriptor(table, 0, address: guest.allocate(8), count: 0, flags: 1, next: 0)
    rings.setDescriptor(0, address: table.address, count: 16, flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live()) == .chainTooLong)
  }

  @Test func nestedTables() throws {
    let table = guest.slice(guest.allocate(16), 16)
    GuestQueue.setDescriptor(table, 0, address: table.address, count: 16, flags: 4, next: 0)
    rings.setDescriptor(0, address: table.address, count: 16, flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live()) == .badIndirect)
  }

  @Test func tableWithASuccessor() throws {
    rings.setDescriptor(0, address: guest.allocate(16), count: 16, flags: 4 | 1, next: 1)
    rings.offer(head: 0)
    #expect(failure(try live()) == .badIndirect)
  }

  @Test func tableWithoutTheFeature() throws {
    rings.setDescriptor(0, address: guest.allocate(16), count: 16, flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live([.version1])) == .badIndirect)
  }

  @Test(arguments: [0, 8, 24, 17 * 16, 0xFFFF_FFF0] as [UInt32])
  func tableSizes(size: UInt32) throws {
    rings.setDescriptor(0, address: guest.allocate(16), count: size, flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live()) == .badIndirectSize(size))
  }

  @Test(
    arguments: [
      (0, 16), (0x7FFF_FFF8, 16), (VirtioGuest.base + UInt64(VirtioGuest.size) - 8, 16),
      (0xFFFF_FFFF_FFFF_FFF8, 16), (VirtioGuest.base, 0xFFFF_FFFF),
    ] as [(UInt64, UInt32)])
  func wildAddresses(address: UInt64, count: UInt32) throws {
    rings.setDescriptor(0, address: address, count: count, flags: 2, next: 0)
    rings.offer(head: 0)
    let queue = try live()
    #expect(failure(queue) == .outsideMemory(address: address, count: UInt64(count)))
    rings.setDescriptor(0, address: address & ~15, count: count & ~15, flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live()) != nil)
  }

  @Test func zeroLengths() throws {
    let data = guest.allocate(bytes: [5])
    for number in 0..<7 {
      rings.setDescriptor(
        number, address: data, count: number == 3 ? 1 : 0, flags: 1, next: UInt16(number + 1))
    }
    rings.setDescriptor(7, address: data, count: 0, flags: 2, next: 0)
    rings.offer(head: 0)
    let chain = try #require(try take(try live()))
    #expect(chain.bytes == [5])
    #expect(chain.room == 0)
  }

  @Test func readableAfterWritable() throws {
    rings.add([.writable(guest.allocate(8), 8), .readable(guest.allocate(8), 8)])
    #expect(failure(try live()) == .readableAfterWritable)
  }

  @Test func buffersOfFourGibibytes() throws {
    let part = VirtioGuest.size
    let table = guest.slice(guest.allocate(16 * 160), 16 * 160)
    for number in 0..<160 {
      GuestQueue.setDescriptor(
        table, number, address: VirtioGuest.base, count: UInt32(part), flags: number < 159 ? 3 : 2,
        next: UInt16(number + 1))
    }
    rings.setDescriptor(0, address: table.address, count: UInt32(table.count), flags: 4, next: 0)
    rings.offer(head: 0)
    #expect(failure(try live(maximum: 256)) == .bufferTooLarge)
  }

  @Test func headsBeyondTheTable() throws {
    rings.offer(head: 8)
    #expect(failure(try live()) == .badDescriptor(8))
  }

  @Test func successorsBeyondTheTable() throws {
    rings.setDescriptor(0, address: guest.allocate(8), count: 8, flags: 1, next: 0xFFFF)
    rings.offer(head: 0)
    #expect(failure(try live()) == .badDescriptor(0xFFFF))
  }

  @Test(arguments: [9, 0x8000, 0xFFFF] as [UInt16])
  func indexJumps(index: UInt16) throws {
    rings.setAvailableIndex(index)
    #expect(failure(try live()) == .indexJump(from: 0, to: index))
  }

  @Test func oneChainTooMany() throws {
    let queue = try live()
    for _ in 0..<8 { rings.offer(head: 0) }
    rings.setDescriptor(0, address: guest.allocate(8), count: 8, flags: 2, next: 0)
    for _ in 0..<8 { #expect(try take(queue) != nil) }
    rings.offer(head: 0)
    #expect(failure(queue) == .tooManyChains)
  }

  // MARK: - Going back

  @Test func rewoundChainsComeAgain() throws {
    let queue = try live()
    rings.add([.writable(guest.allocate(8), 8)])
    rings.add([.writable(guest.allocate(9), 9)])
    let mark = queue.mark
    while let chain = try queue.next() { queue.complete(chain, written: 1) }
    queue.rewind(to: mark)
    queue.publish()
    #expect(rings.take() == nil)
    #expect(try take(queue)?.room == 8)
    #expect(try take(queue)?.room == 9)
  }

  // MARK: - Event suppression (§2.7.7, §2.7.10)

  /// The specification's `vring_need_event`, with the cases that arithmetic on 16 bits gets wrong:
  /// the driver wants an interrupt when the index passes `event`.
  @Test(
    arguments: [
      (0, 0, 1, true), (0, 1, 1, false), (0, 1, 2, true), (0, 0xFFFF, 3, false), (0, 2, 3, true),
      (3, 2, 1, false), (3, 3, 1, true), (0, 7, 8, true), (0, 8, 8, false),
    ] as [(Int, UInt16, Int, Bool)])
  func interruptsByEventIndex(before: Int, event: UInt16, batch: Int, wanted: Bool) throws {
    let queue = try live()
    let data = guest.allocate(8)
    func move(_ count: Int) throws {
      for _ in 0..<count { rings.add([.writable(data, 8)]) }
      while let chain = try queue.next() { queue.complete(chain, written: 0) }
      queue.publish()
      while rings.take() != nil {}
    }
    try move(before)
    _ = queue.shouldInterrupt()
    guest.slice(rings.available, 6 + 2 * 8).store(event, at: 4 + 2 * 8)
    try move(batch)
    #expect(queue.shouldInterrupt() == wanted)
    #expect(!queue.shouldInterrupt(), "asked and answered")
  }

  @Test func interruptsByEventIndexAcrossTheWrap() throws {
    let queue = try live()
    let data = guest.allocate(8)
    var interrupts = 0
    // 70,000 requests wrap the index; the driver asks for every tenth.
    for number in 1...70_000 {
      if number % 10 == 1 {
        guest.slice(rings.available, 6 + 2 * 8).store(UInt16(truncatingIfNeeded: number + 8), at: 4 + 2 * 8)
      }
      rings.add([.writable(data, 8)])
      while let chain = try queue.next() { queue.complete(chain, written: 0) }
      queue.publish()
      try #require(rings.take() != nil)
      if queue.shouldInterrupt() {
        interrupts += 1
        try #require(number % 10 == 0, "an interrupt for request \(number)")
      }
    }
    #expect(interrupts == 7000)
  }

  @Test func interruptsByFlag() throws {
    let queue = try live([.version1])
    for flag: UInt16 in [0, 1] {
      guest.slice(rings.available, 4).store(flag, at: 0)
      rings.add([.writable(guest.allocate(8), 8)])
      while let chain = try queue.next() { queue.complete(chain, written: 0) }
      queue.publish()
      #expect(queue.shouldInterrupt() == (flag == 0))
    }
    #expect(!queue.shouldInterrupt(), "nothing was used since")
  }

  @Test func notificationsByEventIndex() throws {
    let queue = try live()
    let event = guest.slice(rings.used, 6 + 8 * 8)
    #expect(!queue.allowNotifications())
    #expect(event.load(UInt16.self, at: 4 + 8 * 8) == 0)
    rings.add([.writable(guest.allocate(8), 8)])
    #expect(queue.allowNotifications(), "one is there already")
    #expect(try take(queue) != nil)
    #expect(!queue.allowNotifications())
    #expect(event.load(UInt16.self, at: 4 + 8 * 8) == 1)
    #expect(event.load(UInt16.self, at: 0) == 0, "flags are not used")
  }

  @Test func notificationsByFlag() throws {
    let queue = try live([.version1])
    let flags = guest.slice(rings.used, 4)
    queue.suppressNotifications()
    #expect(flags.load(UInt16.self, at: 0) == 1)
    #expect(!queue.allowNotifications())
    #expect(flags.load(UInt16.self, at: 0) == 0)
  }

  /// A driver that sleeps whenever it may and notifies only when it must: one lost wake-up on either
  /// side and it sleeps for ever.
  @Test(arguments: [true, false])
  func noWakeUpIsLost(eventIndex: Bool) throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start(features: VirtioGuest.version1 | (eventIndex ? VirtioGuest.eventIndex : 0))
    let queue = guest.queues[0]
    let room = guest.allocate(8)
    var answered = 0
    var asked = 0
    let total = 20_000
    while answered < total {
      let burst = min(asked % 4 == 0 ? queue.size : 1, queue.freeCount, total - asked)
      for _ in 0..<burst { queue.add([.writable(room, 8)]) }
      asked += burst
      // Now and then the worker is just about to sleep.
      for _ in 0..<Int.random(in: 0...300) { atomicMemoryFence(ordering: .acquiring) }
      if burst > 0 { queue.kick() }
      queue.suppressInterrupts()
      while queue.take() != nil { answered += 1 }
      guard answered < asked, !queue.allowInterrupts() else { continue }
      try #require(eventually { guest.sink.level }, "asleep after \(answered) answers")
      guest.write(0x64, guest.read(0x60))
    }
    #expect(guest.reports.lines == [])
  }

  // MARK: - Through a device

  @Test func brokenQueueStopsTheDeviceUntilReset() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    let queue = guest.queues[0]
    queue.setAvailableIndex(0x4000)
    guest.write(0x50, 0)
    #expect(eventually { guest.status & VirtioGuest.Status.needsReset != 0 })
    #expect(guest.read(0x60) & 2 != 0)
    #expect(!guest.write(0x50, 0), "a broken device takes no notifications")
    // The report follows the status by a moment.
    #expect(eventually { guest.reports.lines.count == 1 })
    guest.start()
    #expect(try guest.queues[0].call([.writable(guest.allocate(16), 16)]).written == 16)
    #expect(guest.reports.lines.count == 1)
  }
}
