import Devices
import GuestMemory
import HostSystem
import Testing

@Suite struct VirtioMMIOTests {
  @Test func registersThatIdentifyTheDevice() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    #expect(guest.read(0x000) == 0x7472_6976)
    #expect(guest.read(0x004) == 2)
    #expect(guest.read(0x008) == 4)
    #expect(guest.offered == 1 << 32 | 1 << 29 | 1 << 28)
    #expect(guest.status == 0)
    guest.write(0x14, 2)
    #expect(guest.read(0x10) == 0)
  }

  @Test func sharedMemoryIsAbsent() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.write(0xAC, 1)
    #expect(guest.read(0xB0) == 0xFFFF_FFFF)
    #expect(guest.read(0xB4) == 0xFFFF_FFFF)
  }

  @Test func widthsAndHoles() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    #expect(throws: BusFault.badWidth) { try guest.device.read(offset: 0, width: 1) }
    #expect(throws: BusFault.badWidth) { try guest.device.read(offset: 0, width: 8) }
    #expect(throws: BusFault.badWidth) { try guest.device.write(offset: 0x71, width: 4, value: 0) }
    #expect(throws: BusFault.noRegister) { try guest.device.read(offset: 0x1C, width: 4) }
    #expect(throws: BusFault.noRegister) { try guest.device.write(offset: 0x40, width: 4, value: 0) }
    #expect(throws: BusFault.forbidden) { try guest.device.read(offset: 0x50, width: 4) }
    #expect(throws: BusFault.forbidden) { try guest.device.write(offset: 0, width: 4, value: 0) }
    #expect(throws: BusFault.noRegister) { try guest.device.read(offset: 0x100, width: 4) }
    #expect(throws: BusFault.forbidden) { try guest.device.write(offset: 0x100, width: 4, value: 0) }
  }

  @Test func featuresNeedVersion1() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    #expect(!guest.negotiate(VirtioGuest.eventIndex))
    guest.reset()
    #expect(!guest.negotiate(VirtioGuest.version1 | 1 << 5), "not offered")
    guest.reset()
    #expect(guest.negotiate(VirtioGuest.version1))
    #expect(!guest.write(0x20, 0), "fixed from now on")
  }

  @Test func featuresBeyondThoseThatExist() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.write(0x24, 2)
    guest.write(0x20, 1)
    #expect(!guest.negotiate(VirtioGuest.version1))
  }

  @Test(arguments: [2, 4, 8, 1 | 4, 1 | 8, 1 | 2 | 4, 16, 32] as [UInt64])
  func statusOutOfOrder(bits: UInt64) throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    #expect(!guest.write(0x70, bits))
    #expect(guest.status == 0)
  }

  @Test func statusBitsDoNotGoAway() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.setStatus(3)
    #expect(!guest.write(0x70, 1))
    #expect(guest.status == 3)
    guest.reset()
    #expect(guest.status == 0)
  }

  @Test func queueIsFixedOnceReadyAndOnceLive() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.write(0x30, 0)
    #expect(!guest.write(0x44, 1), "before FEATURES_OK")
    #expect(guest.negotiate(VirtioGuest.version1))
    GuestQueue(index: 0, size: 4, guest: guest).configure()
    #expect(!guest.write(0x38, 8), "ready, though not live")
    #expect(guest.write(0x44, 0) && guest.write(0x38, 8), "a queue that is not ready may change")
    guest.start(sizes: [4])
    guest.write(0x30, 0)
    #expect(guest.read(0x44) == 1)
    for register: UInt64 in [0x38, 0x80, 0x84, 0x90, 0x94, 0xA0, 0xA4] {
      #expect(!guest.write(register, 0))
    }
    #expect(guest.write(0x44, 0), "a driver may stop a queue")
    #expect(guest.read(0x44) == 0)
    #expect(!guest.write(0x38, 8), "but not make it another")
    #expect(!guest.write(0x44, 1))
    guest.write(0x30, 1)
    #expect(guest.read(0x34) == 0, "no such queue")
    #expect(!guest.write(0x38, 8))
  }

  @Test func stoppedQueueIsLeftAlone() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    let room = guest.allocate(8)
    try guest.queues[0].call([.writable(room, 8)])
    guest.write(0x30, 0)
    guest.write(0x44, 0)
    guest.store([UInt8](repeating: 0, count: 8), at: room)
    guest.queues[0].add([.writable(room, 8)])
    guest.write(0x50, 0)
    guest.reset()
    #expect(guest.bytes(at: room, 8) == [UInt8](repeating: 0, count: 8))
    #expect(guest.queues[0].take() == nil)
  }

  @Test func interruptIsALevelUntilAcknowledged() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    try guest.queues[0].call([.writable(guest.allocate(8), 8)])
    #expect(eventually { guest.sink.level })
    #expect(guest.read(0x60) == 1)
    guest.write(0x64, 2)
    #expect(guest.sink.level, "another bit")
    guest.write(0x64, 1)
    #expect(!guest.sink.level)
    #expect(guest.read(0x60) == 0)
  }

  @Test func resetLowersTheLineAndForgetsTheQueues() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    try guest.queues[0].call([.writable(guest.allocate(8), 8)])
    #expect(eventually { guest.sink.level })
    guest.reset()
    #expect(!guest.sink.level)
    guest.write(0x30, 0)
    #expect(guest.read(0x44) == 0)
    #expect(!guest.write(0x50, 0), "nothing lives")
  }

  @Test func activatesAgainWithAnotherGeometry() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    for size in [8, 1, 4, 2, 8] {
      guest.start(sizes: [size])
      for _ in 0..<3 * size {
        #expect(try guest.queues[0].call([.writable(guest.allocate(16), 16)]).written == 16)
      }
    }
    #expect(guest.reports.lines == [])
  }

  /// What a driver may write as a queue that no device must believe.
  enum BadQueue: CaseIterable {
    case sizeNotPower, sizeZero, sizeHuge, misaligned, outside, wrapping, crossing
  }

  @Test(arguments: BadQueue.allCases)
  func badQueueNeedsReset(_ bad: BadQueue) throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    #expect(guest.negotiate(VirtioGuest.version1))
    let queue = GuestQueue(index: 0, size: 8, guest: guest)
    guest.write(0x30, 0)
    let end = VirtioGuest.base + UInt64(VirtioGuest.size)
    let size: UInt64 = [.sizeNotPower: 3, .sizeZero: 0, .sizeHuge: 0xFFFF_FFFF][bad] ?? 8
    let table: UInt64 =
      [
        .misaligned: queue.descriptors + 8, .outside: 0x1000, .wrapping: 0xFFFF_FFFF_FFFF_FFF0,
        .crossing: end - 16,
      ][bad]
      ?? queue.descriptors
    guest.write(0x38, size)
    guest.write(0x80, table & 0xFFFF_FFFF)
    guest.write(0x84, table >> 32)
    guest.write(0x90, queue.available & 0xFFFF_FFFF)
    guest.write(0xA0, queue.used & 0xFFFF_FFFF)
    guest.write(0x44, 1)
    guest.setStatus(4)
    #expect(guest.status & VirtioGuest.Status.needsReset != 0)
    #expect(guest.read(0x60) == 2, "a configuration change tells the driver")
    #expect(guest.sink.level)
    #expect(guest.reports.lines.count == 1)
    guest.start()
    #expect(try guest.queues[0].call([.writable(guest.allocate(16), 16)]).written == 16)
  }

  @Test func configurationGenerationMovesWithTheConfiguration() throws {
    let memory = try VirtioGuest.memory()
    let balloon = try VirtioBalloon(memory: memory)
    let guest = try VirtioGuest(balloon, memory: memory)
    let before = guest.read(0xFC)
    balloon.setTarget(pages: 7)
    #expect(guest.read(0xFC) != before)
    #expect(guest.configuration(0) == 7)
    #expect(guest.read(0x60) == 0, "no driver to tell")
    guest.start()
    balloon.setTarget(pages: 8)
    #expect(guest.read(0x60) == 2)
  }
}
