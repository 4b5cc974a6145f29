internal import Devices
internal import Foundation
internal import Testing

/// One driver, written from the specifications, for our devices and for QEMU's: what it is told has to be
/// the same.
@Suite("PCI devices beside QEMU's", .enabled(if: PlatformTool.qemu != nil), .timeLimit(.minutes(30)))
struct PCIBothTests {
  enum Whose: CaseIterable { case ours, qemus }

  /// Two entropy devices at places 1 and 2, and a disk of three sectors at place 3.
  private static func machine(_ whose: Whose, disk: URL) throws -> any PCIMachine {
    switch whose {
    case .ours:
      let bytes = Array(try Data(contentsOf: disk))
      return try PCIOwnMachine(
        [
          try VirtioEntropy(), try VirtioEntropy(),
          try VirtioBlock(storage: MemoryStorage(bytes: bytes), serial: "test"),
        ], hasMessages: false)
    case .qemus:
      return try PCIQEMUMachine(
        try #require(PlatformTool.qemu),
        [
          "-m", "64", "-device", "virtio-rng-pci,addr=1,disable-legacy=on", "-device",
          "virtio-rng-pci,addr=2,disable-legacy=on", "-drive",
          "if=none,id=d,format=raw,file=\(disk.path)", "-device",
          "virtio-blk-pci,addr=3,drive=d,disable-legacy=on",
        ])
    }
  }

  /// The same with messages; QEMU has them where it has no PLIC.
  private static func machineWithMessages(_ whose: Whose) throws -> any PCIMachine {
    switch whose {
    case .ours: return try PCIOwnMachine([try VirtioEntropy()])
    case .qemus:
      return try PCIQEMUMachine(
        try #require(PlatformTool.qemu),
        ["-M", "virt,aia=aplic-imsic", "-m", "64", "-device", "virtio-rng-pci,addr=1,disable-legacy=on"])
    }
  }

  private static func withDisk<Result>(_ body: (URL, [UInt8]) throws -> Result) throws -> Result {
    let bytes = (0..<1536).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
    let file = PlatformTool.temporaryFile()
    try Data(bytes).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    return try body(file, bytes)
  }

  @Test(arguments: Whose.allCases) func whatThereIs(_ whose: Whose) throws {
    try Self.withDisk { disk, _ in
      let machine = try Self.machine(whose, disk: disk)
      #expect(try machine.config(0, 0x0B, 1) == 0x06, "a bridge")
      #expect(try machine.config(0, 0x0A, 1) == 0x00, "to the host")
      // Absent devices, other functions and other buses.
      #expect(try machine.config(4, 0, 4) == 0xFFFF_FFFF)
      #expect(try machine.config(31, 0, 2) == 0xFFFF)
      #expect(try machine.read(0x3000_0000 + 1 << 15 | 1 << 12, 4) == 0xFFFF_FFFF)
      #expect(try machine.read(0x3010_0000, 4) == 0xFFFF_FFFF)
      for (place, identifier) in [(1, 0x1044), (2, 0x1044), (3, 0x1042)] as [(Int, UInt64)] {
        let driver = try PCIVirtioDriver(machine, device: place)
        #expect(try driver.config(0x00, 2) == 0x1AF4)
        #expect(try driver.config(0x02, 2) == identifier)
        #expect(try driver.config(0x08, 1) >= 1, "no legacy interface")
        #expect(try driver.config(0x2E, 2) >= 0x40)
        #expect(try driver.config(0x0E, 1) == 0)
        #expect(try driver.config(0x3D, 1) == 1, "INTA")
        for kind in [1, 2, 3, 5] { #expect(driver.structures[kind] != nil, "structure \(kind)") }
        #expect(try #require(driver.structures[1]).length >= 0x38)
        try driver.assign(at: 0x4000_0000 + UInt64(place) << 20)
        for (kind, structure) in driver.structures where kind < 5 {
          let size = try #require(driver.sizes[structure.range])
          #expect(structure.offset + structure.length <= size)
        }
      }
    }
  }

  /// Random writes to header registers whose bits both have: what stays, what does not.
  @Test(arguments: [1, 2, 3] as [UInt64]) func headersAgree(_ seed: UInt64) throws {
    try Self.withDisk { disk, _ in
      let (ours, theirs) = (
        try Self.machine(.ours, disk: disk), try Self.machine(.qemus, disk: disk)
      )
      var random = PlatformRandom(seed: seed)
      // Identity, memory space, bus master, SERR# and INTx disable; cache line; header type; INTx's notes.
      let masks: [(offset: Int, mask: UInt64)] = [
        (0x00, 0xFFFF_FFFF), (0x04, 0x0018_0506), (0x0C, 0x00FF_00FF), (0x2C, 0x0000_FFFF), (0x30, 0),
        (0x3C, 0xFFFF_FFFF),
      ]
      // What firmware left, and what is different before anybody wrote.
      for machine in [ours, theirs] {
        try machine.setConfig(1, 0x04, 2, 0)
        try machine.setConfig(1, 0x3C, 1, 0)
      }
      for _ in 0..<3000 {
        let width = [1, 2, 4][Int(random.next() % 3)]
        let offset = Int(random.next() % UInt64(0x40 / width)) * width
        // Their ranges and expansion ROM are elsewhere.
        if offset >= 0x10, offset < 0x28 { continue }
        if offset >= 0x30, offset < 0x34 { continue }
        let value = random.next() & (1 << UInt64(8 * width) - 1)
        try ours.setConfig(1, offset, width, value)
        try theirs.setConfig(1, offset, width, value)
        let (register, mask) = masks[Int(random.next() % UInt64(masks.count))]
        let (own, other) = (try ours.config(1, register, 4), try theirs.config(1, register, 4))
        try #require(own & mask == other & mask, "0x\(String(register, radix: 16)) after 0x\(offset)")
      }
    }
  }

  @Test(arguments: Whose.allCases) func requestsAndWires(_ whose: Whose) throws {
    try Self.withDisk { disk, bytes in
      let machine = try Self.machine(whose, disk: disk)
      try machine.enableInputs()
      let drivers = try (1...3).map { try PCIVirtioDriver(machine, device: $0) }
      for driver in drivers {
        try driver.assign(at: 0x5000_0000 + UInt64(driver.device) << 20)
        try driver.start()
      }
      for driver in drivers.prefix(2) {
        let wire = UInt64(driver.device % 4)
        try driver.fetchEntropy()
        #expect(try driver.eventually { try machine.pendingInputs() == 1 << wire }, "swizzled")
        #expect(try driver.config(0x06, 2) & 8 != 0, "the status register says so")
        var causes: [UInt64] = []
        let served = try machine.serveInput {
          causes = [try driver.takeInterruptStatus(), try driver.takeInterruptStatus()]
        }
        #expect(causes == [1, 0], "reading clears")
        #expect(served == 32 + wire)
        #expect(try driver.config(0x06, 2) & 8 == 0)
        #expect(try machine.pendingInputs() == 0, "the wire is low")
        // Once more, with INTx disabled.
        try driver.setConfig(0x04, 2, 0x406)
        try driver.fetchEntropy()
        #expect(try driver.eventually { try driver.config(0x06, 2) & 8 != 0 })
        #expect(try machine.pendingInputs() == 0)
        try driver.setConfig(0x04, 2, 0x006)
        #expect(try machine.pendingInputs() == 1 << wire)
        #expect(try machine.serveInput { causes = [try driver.takeInterruptStatus()] } == 32 + wire)
        #expect(causes == [1])
        #expect(try machine.pendingInputs() == 0)
      }
      let driver = drivers[2]
      #expect(try machine.read(try driver.address(PCIVirtioDriver.Kind.device, 0), 4) == 3, "sectors")
      for offset in [0, 8] as [UInt64] { try machine.write(driver.buffers + offset, 8, offset / 8) }
      try driver.send([(driver.buffers, 16, false), (driver.buffers + 16, 513, true)])
      #expect(try driver.wait() == 513)
      for offset in stride(from: 0, to: 512, by: 8) {
        let expected = bytes[512 + offset..<520 + offset].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        try #require(try machine.read(driver.buffers + 16 + UInt64(offset), 8) == expected)
      }
      #expect(try machine.read(driver.buffers + 16 + 512, 1) == 0)
    }
  }

  @Test(arguments: Whose.allCases) func messages(_ whose: Whose) throws {
    let machine = try Self.machineWithMessages(whose)
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    let landing: UInt64 = 0x8000_8000
    let count = try driver.messageTable().count
    #expect(count >= 2)
    // After a reset every vector is masked (§6.8.2.9).
    #expect(try machine.read(try driver.messageTable().table + 12, 4) & 1 == 1)
    for vector in 0..<2 {
      try driver.setVector(vector, address: landing + UInt64(4 * vector), data: 0xABC0 + UInt64(vector))
    }
    try driver.setMessages(enabled: true)
    try driver.start(vector: 1, configurationVector: 0)
    // A vector that is not there is not given (§4.1.5.1.2).
    try driver.setCommon(0x10, 2, UInt64(count))
    #expect(try driver.common(0x10, 2) == 0xFFFF)

    func landed() throws -> UInt64 { try machine.read(landing + 4, 4) }
    func clear() throws { try machine.write(landing + 4, 4, 0) }

    try driver.fetchEntropy()
    #expect(try driver.eventually { try landed() == 0xABC1 })
    #expect(try machine.read(landing, 4) == 0, "only the queue's")
    #expect(try driver.config(0x06, 2) & 8 == 0, "INTx is not used")
    #expect(try !driver.isPending(1))

    // Masked: kept, and sent as soon as it may be.
    try clear()
    try driver.setMasked(1, true)
    try driver.fetchEntropy()
    #expect(try driver.eventually { try driver.isPending(1) })
    #expect(try landed() == 0)
    try driver.setMasked(1, false)
    #expect(try landed() == 0xABC1)
    #expect(try !driver.isPending(1))

    // The function's mask.
    try clear()
    try driver.setMessages(enabled: true, masked: true)
    try driver.fetchEntropy()
    #expect(try driver.eventually { try driver.isPending(1) })
    #expect(try landed() == 0)
    try driver.setMessages(enabled: true)
    #expect(try landed() == 0xABC1)

    // A new address counts from the next message on.
    try clear()
    try driver.setVector(1, address: landing + 8, data: 0x55)
    try driver.fetchEntropy()
    #expect(try driver.eventually { try machine.read(landing + 8, 4) == 0x55 })
    #expect(try landed() == 0)
  }

  /// The structures through the configuration space alone, without the ranges (§4.1.4.9).
  @Test(arguments: Whose.allCases) func accessThroughConfiguration(_ whose: Whose) throws {
    let machine = try Self.machineWithMessages(whose)
    let driver = try PCIVirtioDriver(machine, device: 1)
    try driver.assign(at: 0x4000_0000)
    try driver.setConfig(0x04, 2, 0)
    let common = try #require(driver.structures[PCIVirtioDriver.Kind.common])
    let access = try #require(driver.structures[PCIVirtioDriver.Kind.access]).place

    func select(_ offset: UInt64, _ width: UInt64) throws {
      try driver.setConfig(access + 4, 1, UInt64(common.range))
      try driver.setConfig(access + 8, 4, common.offset + offset)
      try driver.setConfig(access + 12, 4, width)
    }

    try select(0x14, 1)
    #expect(try driver.config(access + 16, 1) == 0, "the status after a reset")
    try driver.setConfig(access + 16, 1, 1)
    try driver.setConfig(access + 16, 1, 3)
    #expect(try driver.config(access + 16, 1) == 3)
    try select(0x00, 4)
    try driver.setConfig(access + 16, 4, 1)
    try select(0x04, 4)
    #expect(try driver.config(access + 16, 4) & 1 == 1, "version 1")
    try select(0x12, 2)
    #expect(try driver.config(access + 16, 2) == 1, "one queue")
    try select(0x14, 1)
    try driver.setConfig(access + 16, 1, 0)
    #expect(try driver.config(access + 16, 1) == 0)
  }
}
