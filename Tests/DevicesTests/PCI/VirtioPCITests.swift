internal import Devices
internal import Foundation
internal import GuestMemory
internal import HostSystem
internal import Synchronization
internal import Testing

/// Virtio on PCI by the figures of virtio 1.2 §4.1.
@Suite(.timeLimit(.minutes(30))) struct VirtioPCITests {
  /// A machine with one entropy device, alive.
  private static func live(
    vector: UInt64? = nil, hasMessages: Bool = true
  ) throws -> (PCIOwnMachine, PCIVirtioDriver) {
    let machine = try PCIOwnMachine([try VirtioEntropy()], hasMessages: hasMessages)
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    if vector != nil {
      try driver.setVector(0, address: 0x8000_8000, data: 0x11)
      try driver.setVector(1, address: 0x8000_8004, data: 0x22)
      try driver.setMessages(enabled: true)
    }
    try driver.start(vector: vector, configurationVector: vector == nil ? nil : 0)
    return (machine, driver)
  }

  /// A host that sees notifications in our place signals a counter instead.
  @Test func doorbells() throws {
    let machine = try PCIOwnMachine([try VirtioEntropy()])
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    let transport = machine.functions[0]
    #expect(transport.doorbellAddress(ofQueue: 0) == nil, "nobody works on it")
    let moves = machine.moves.all.count
    try driver.start()
    #expect(machine.moves.all.count > moves)
    #expect(transport.doorbellAddress(ofQueue: 0) == 0x4000_3000)
    #expect(transport.doorbellAddress(ofQueue: 1) == nil)
    let counter = try #require(try transport.device.doorbell(queue: 0))
    #expect(try transport.device.doorbell(queue: 0) === counter)
    for _ in 0..<3 {
      try driver.send([(driver.buffers, 16, true)], ringing: { counter.signal() })
      #expect(try driver.wait() == 16)
    }
    // Rung while nobody works on the queue, it does nothing.
    try driver.setCommon(0x14, 1, 0)
    #expect(transport.doorbellAddress(ofQueue: 0) == nil)
    counter.signal()
    try driver.start()
    try driver.send([(driver.buffers, 16, true)])
    #expect(try driver.wait() == 16)
    #expect(machine.reports.lines.isEmpty)
  }

  /// A host that sends a queue's message in our place is told of each change, and what the message is.
  @Test func messagesAreToldOf() throws {
    let (machine, driver) = try Self.live(vector: 1)
    let transport = machine.functions[0]
    let message = MSIMessage(address: 0x8000_8004, data: 0x22)
    func expect(_ message: MSIMessage?, after change: () throws -> Void, _ what: Comment) throws {
      let moves = machine.messageMoves.all.count
      try change()
      #expect(machine.messageMoves.all.count > moves, what)
      #expect(transport.message(ofQueue: 0) == message, what)
    }
    #expect(transport.message(ofQueue: 0) == message)
    #expect(transport.message(ofQueue: 1) == nil)
    try expect(nil, after: { try driver.setMasked(1, true) }, "the vector is masked")
    try expect(message, after: { try driver.setMasked(1, false) }, "and is not")
    let other = MSIMessage(address: 0x8000_8008, data: 0x33)
    try expect(other, after: { try driver.setVector(1, address: 0x8000_8008, data: 0x33) }, "another message")
    try expect(nil, after: { try driver.setMessages(enabled: true, masked: true) }, "all are masked")
    try expect(nil, after: { try driver.setMessages(enabled: false) }, "wires")
    try expect(other, after: { try driver.setMessages(enabled: true) }, "messages again")
    try expect(nil, after: { try driver.setConfig(0x04, 2, 2) }, "no bus mastering, and so the device halts")
    try driver.setConfig(0x04, 2, 6)
    try expect(nil, after: { try driver.setCommon(0x14, 1, 0) }, "nobody works on the queue")
    try expect(other, after: { try driver.start(vector: 1) }, "and somebody does")
    let state = transport.state
    try expect(nil, after: { transport.reset() }, "after a reset")
    try expect(other, after: { transport.state = state }, "and from a snapshot")
  }

  // MARK: - Common configuration (§4.1.4.3)

  @Test func registersAfterAReset() throws {
    let machine = try PCIOwnMachine([try VirtioConsole(ports: [.init(), .init(name: "a")])])
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    #expect(try driver.common(0x10, 2) == 0xFFFF)
    #expect(try driver.common(0x12, 2) == 6, "two queues a port, two for control")
    #expect(try driver.common(0x14, 1) == 0)
    #expect(driver.structures.count == 5)
    #expect(try driver.messageTable().count == 7)
    for queue in 0..<6 as Range<UInt64> {
      try driver.setCommon(0x16, 2, queue)
      let size = try driver.common(0x18, 2)
      #expect(size > 0 && size.nonzeroBitCount == 1)
      #expect(try driver.common(0x1A, 2) == 0xFFFF)
      #expect(try driver.common(0x1C, 2) == 0)
      #expect(try driver.common(0x1E, 2) == queue)
      #expect(try driver.notifyAddress(ofQueue: Int(queue)) == 0x4000_3000 + 4 * queue)
      #expect(machine.functions[0].notifyAddress(ofQueue: Int(queue)) == 0x4000_3000 + 4 * queue)
      for register in stride(from: 0x20, to: 0x38, by: 4) as StrideTo<UInt64> {
        #expect(try driver.common(register, 4) == 0)
      }
    }
    try driver.setCommon(0x16, 2, 6)
    #expect(try driver.common(0x18, 2) == 0, "a queue that is not there has no size")
    #expect(try driver.common(0x1C, 2) == 0)
    try driver.setCommon(0x00, 4, 2)
    #expect(try driver.common(0x04, 4) == 0)
    #expect(machine.reports.lines.isEmpty)
  }

  /// Each field by its own width alone (§4.1.3.1); the rest is all ones and changes nothing.
  @Test func widths() throws {
    let (machine, driver) = try Self.live()
    let fields: [UInt64: Int] = [
      0x00: 4, 0x04: 4, 0x08: 4, 0x0C: 4, 0x10: 2, 0x12: 2, 0x14: 1, 0x15: 1, 0x16: 2, 0x18: 2, 0x1A: 2,
      0x1C: 2, 0x1E: 2, 0x20: 4, 0x24: 4, 0x28: 4, 0x2C: 4, 0x30: 4, 0x34: 4, 0x38: 2, 0x3A: 2,
    ]
    for offset in 0..<0x50 as Range<UInt64> {
      for width in [1, 2, 4, 8] {
        let before = machine.reports.lines.count
        let value = try driver.common(offset, width)
        let isField = fields[offset] == width
        #expect(machine.reports.lines.count == before + (isField ? 0 : 1), "0x\(offset) \(width)")
        if !isField { #expect(value == .max >> UInt64(64 - 8 * width)) }
        if !isField { try driver.setCommon(offset, width, 0) }
      }
    }
    #expect(try driver.status() == 15)
    // The other structures, and what is between them.
    for offset in stride(from: 0, to: 0x8000, by: 8) as StrideTo<UInt64> where offset & 0xF000 != 0x4000 {
      for width in [1, 2, 4, 8] {
        _ = try machine.read(0x4000_0000 + offset, width)
        if offset >= 0x1000, offset & 0xF000 != 0x3000 {
          try machine.write(0x4000_0000 + offset, width, .max)
        }
      }
    }
    #expect(try driver.status() == 15)
    try driver.fetchEntropy()
  }

  @Test func outOfOrderIsRefused() throws {
    let machine = try PCIOwnMachine([try VirtioEntropy()])
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    for bits in [2, 4, 8, 5, 9, 7, 16, 32] as [UInt64] {
      try driver.setCommon(0x14, 1, bits)
      #expect(try driver.status() == 0)
    }
    try driver.setCommon(0x1C, 2, 1)
    #expect(try driver.common(0x1C, 2) == 0, "before FEATURES_OK")
    try driver.start()
    // A queue that lives keeps its geometry, and stays (§4.1.4.3.2).
    try driver.setCommon(0x18, 2, 4)
    #expect(try driver.common(0x18, 2) == 8)
    try driver.setCommon(0x20, 4, 0)
    #expect(try driver.common(0x20, 4) == driver.area)
    try driver.setCommon(0x1C, 2, 0)
    #expect(try driver.common(0x1C, 2) == 1)
    // The feature of queue_reset was not offered.
    try driver.setCommon(0x3A, 2, 1)
    #expect(try driver.common(0x3A, 2) == 0)
    try driver.fetchEntropy()
    try driver.setCommon(0x14, 1, 0)
    #expect(try driver.status() == 0)
    try driver.setCommon(0x16, 2, 0)
    #expect(try driver.common(0x1C, 2) == 0)
    #expect(try driver.common(0x20, 4) == 0)
  }

  @Test func notificationsBeforeDriverOKAreKept() throws {
    let machine = try PCIOwnMachine([try VirtioEntropy()])
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    try machine.write(0x4000_3000, 2, 0)
    #expect(machine.reports.lines.count == 1, "before FEATURES_OK it is refused")
    try machine.write(0x4000_3004, 2, 1)
    try machine.write(0x4000_3002, 2, 0)
    try machine.write(0x4000_3000, 1, 0)
    #expect(try machine.read(0x4000_3000, 2) == 0xFFFF)
    #expect(machine.reports.lines.count == 5)
    try driver.start()
    try driver.fetchEntropy()
    // 32 bits are as good as 16.
    try machine.write(0x4000_3000, 4, 0)
    #expect(machine.reports.lines.count == 5)
  }

  // MARK: - Configuration changes

  @Test func configurationChangeIsTold() throws {
    let storage = MemoryStorage(bytes: [UInt8](repeating: 0, count: 4096))
    let disk = try VirtioBlock(storage: storage, serial: "x")
    let machine = try PCIOwnMachine([disk])
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    try driver.setVector(0, address: 0x8000_8000, data: 0x11)
    try driver.setMessages(enabled: true)
    try driver.start(vector: 1, configurationVector: 0)
    let generation = try driver.common(0x15, 1)
    disk.storageResized()
    #expect(try driver.common(0x15, 1) == (generation + 1) & 0xFF)
    #expect(try machine.read(0x8000_8000, 4) == 0x11)
    #expect(try driver.takeInterruptStatus() == 2)
    // Without messages: by the wire.
    try driver.setMessages(enabled: false)
    disk.storageResized()
    #expect(try machine.pendingInputs() == 2)
    #expect(try driver.takeInterruptStatus() == 2)
    // The writeback field is the driver's; the capacity is not.
    let writeback = try driver.address(PCIVirtioDriver.Kind.device, 32)
    try machine.write(writeback, 1, 0)
    #expect(try machine.read(writeback, 1) == 0)
    #expect(try machine.read(writeback - 32, 8) == 8, "sectors")
    try machine.write(writeback - 32, 8, 0)
    #expect(try machine.read(writeback - 32, 8) == 8)
  }

  // MARK: - Rights and resets

  @Test func messagesWaitForBusMastering() throws {
    let (machine, driver) = try Self.live(vector: 1)
    try driver.setMasked(1, true)
    try driver.fetchEntropy()
    #expect(try driver.eventually { try driver.isPending(1) })
    try driver.setConfig(0x04, 2, 2)
    try driver.setMasked(1, false)
    #expect(try driver.isPending(1), "the function must not write")
    #expect(machine.sink.count.load(ordering: .relaxed) == 0)
    try driver.setConfig(0x04, 2, 6)
    #expect(try machine.read(0x8000_8004, 4) == 0x22)
    #expect(try machine.read(0x8000_8000, 4) == 0x11, "the device has halted, and says so")
  }

  /// A kernel that starts another one takes bus mastering away: the device leaves memory alone.
  @Test func deviceHaltsWithoutBusMastering() throws {
    let (machine, driver) = try Self.live()
    try driver.fetchEntropy()
    try driver.setConfig(0x04, 2, 2)
    #expect(try driver.status() == 15 | 64, "needs a reset")
    #expect(machine.reports.lines.count == 1)
    try driver.setConfig(0x04, 2, 6)
    try driver.start()
    try driver.fetchEntropy()
  }

  /// PCI Express §6.6.2.
  @Test func functionLevelReset() throws {
    let (machine, driver) = try Self.live(vector: 1)
    let express = try #require(driver.place(ofCapability: 0x10))
    #expect(try driver.config(express + 4, 4) >> 28 & 1 == 1, "it can")
    try driver.setConfig(express + 8, 2, 0x8000)
    #expect(try driver.config(0x04, 2) == 0)
    #expect(try driver.config(0x10, 4) == 4)
    #expect(try driver.config(try #require(driver.place(ofCapability: 0x11)) + 2, 2) == 1)
    #expect(try driver.config(express + 8, 2) == 0x2810)
    #expect(try machine.config(0, 0, 2) == 0x1B36, "the function alone")
    try driver.assign(at: 0x4000_0000)
    #expect(try driver.status() == 0)
    #expect(try machine.read(try driver.messageTable().table + 12, 4) == 1)
    try driver.start()
    try driver.fetchEntropy()
  }

  // MARK: - Messages

  @Test func tableAccesses() throws {
    let (machine, driver) = try Self.live()
    let (table, pending, count) = try driver.messageTable()
    #expect(count == 2)
    try machine.write(table + 16, 8, 0x1234_5678_9ABC_DEF7)
    #expect(try machine.read(table + 16, 8) == 0x1234_5678_9ABC_DEF4, "the low bits are zero")
    #expect(try machine.read(table + 20, 4) == 0x1234_5678)
    try machine.write(table + 24, 8, 0xFFFF_FFFE_0000_0042)
    #expect(try machine.read(table + 24, 8) == 0x42, "only the mask can be written")
    let before = machine.reports.lines.count
    for (address, width) in [
      (table, 1), (table, 2), (table + 4, 8), (table + 2, 4), (table + 32, 4), (pending, 1), (pending + 8, 4),
      (pending + 4, 8),
    ] { #expect(try machine.read(address, width) == .max >> UInt64(64 - 8 * width)) }
    try machine.write(pending, 8, .max)
    #expect(machine.reports.lines.count == before + 9)
    #expect(try machine.read(pending, 8) == 0)
  }

  @Test func messageOfAVectorForTheHost() throws {
    let (machine, driver) = try Self.live(vector: 1)
    let interface = machine.functions[0].interface
    #expect(interface.message(ofVector: 1) == MSIMessage(address: 0x8000_8004, data: 0x22))
    try driver.setMasked(1, true)
    #expect(interface.message(ofVector: 1) == nil)
    #expect(interface.message(ofVector: 2) == nil)
    try driver.setMessages(enabled: false)
    #expect(interface.message(ofVector: 0) == nil)
  }

  // MARK: - State

  @Test(arguments: [true, false]) func goesOnFromASnapshot(usesMessages: Bool) throws {
    let (machine, driver) = try Self.live(vector: usesMessages ? 1 : nil)
    try driver.fetchEntropy()
    // An interrupt that is not yet served, and a message that is kept.
    if usesMessages {
      try driver.setMasked(1, true)
      try driver.fetchEntropy()
      #expect(try driver.eventually { try driver.isPending(1) })
    } else {
      #expect(try driver.eventually { try machine.pendingInputs() == 2 })
    }
    try machine.setConfig(0, 0x3C, 1, 0x77)
    machine.bridge.stop()
    let transport = machine.functions[0].state
    let bridge = machine.bridge.state
    let json = try JSONEncoder().encode(transport)
    #expect(try JSONDecoder().decode(VirtioPCITransport.State.self, from: json) == transport)

    let other = try PCIOwnMachine([try VirtioEntropy()], ram: machine.ram)
    other.bridge.state = bridge
    other.functions[0].state = transport
    #expect(other.functions[0].state == transport)
    #expect(other.bridge.state == bridge)
    #expect(try other.config(0, 0x3C, 1) == 0x77)
    #expect(other.functions[0].notifyAddress(ofQueue: 0) == 0x4000_3000)
    let again = try PCIVirtioDriver(other, device: 1, goingOnFrom: driver)
    #expect(try again.status() == 15)
    if usesMessages {
      #expect(try again.isPending(1))
      try other.write(0x8000_8004, 4, 0)
      try again.setMasked(1, false)
      #expect(try other.read(0x8000_8004, 4) == 0x22)
    } else {
      #expect(try other.pendingInputs() == 2)
      #expect(try again.takeInterruptStatus() == 1)
    }
    for _ in 0..<20 { try again.fetchEntropy() }
  }

  /// A snapshot is not trusted: what no driver could have brought about is not there.
  @Test func impossibleStatesAreMended() throws {
    let (machine, driver) = try Self.live(vector: 1)
    try driver.fetchEntropy()
    let good = machine.functions[0].state
    let text = String(decoding: try JSONEncoder().encode(good), as: UTF8.self)
    func restored(_ what: String, _ with: String) throws -> VirtioPCITransport.State {
      #expect(text.contains(what), "\(what) in \(text)")
      let changed = text.replacingOccurrences(of: what, with: with)
      let state = try JSONDecoder().decode(VirtioPCITransport.State.self, from: Data(changed.utf8))
      machine.functions[0].state = state
      return machine.functions[0].state
    }
    // A queue too many, features that were not offered, a status out of order, a vector that is not there.
    #expect(try restored("\"queueVectors\":[1]", "\"queueVectors\":[1,1]").registers != good.registers)
    #expect(try driver.status() == 0)
    _ = try restored("\"driverFeatures\":4294967296", "\"driverFeatures\":4294967297")
    #expect(try driver.status() == 0)
    _ = try restored("\"status\":15", "\"status\":12")
    #expect(try driver.status() == 0)
    _ = try restored("\"configurationVector\":0", "\"configurationVector\":9")
    #expect(try driver.common(0x10, 2) == 0xFFFF)
    #expect(try driver.status() == 15)
    // Rings that are not memory: the device needs a reset, as if it were told so by its driver.
    _ = try restored("\"descriptorTable\":\(driver.area)", "\"descriptorTable\":16")
    #expect(try driver.status() == 15 | 64)
    // Bytes that cannot be changed.
    var state = good
    state.interface.configuration = [UInt8](repeating: 0xFF, count: 5000)
    state.interface.messages = nil
    machine.functions[0].state = state
    #expect(try machine.config(1, 0, 4) == 0x1044_1AF4)
    #expect(try machine.config(1, 6, 2) & 0x10 == 0x10)
    machine.functions[0].state = good
    #expect(machine.functions[0].state == good)
    try driver.fetchEntropy()
  }

  /// The memory-mapped transport has the same behind its registers.
  @Test func mmioGoesOnFromASnapshot() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start(sizes: [4])
    for _ in 0..<6 { try guest.queues[0].call([.writable(guest.allocate(16), 16)]) }
    let state = guest.device.state
    #expect(state == guest.device.state)
    guest.reset()
    #expect(guest.device.state != state)
    guest.device.state = state
    #expect(guest.device.state == state)
    #expect(guest.status == 15)
    #expect(guest.sink.level)
    for _ in 0..<6 { try guest.queues[0].call([.writable(guest.allocate(16), 16)]) }
  }
}
