internal import Devices
internal import Testing

/// Our devices and QEMU's side by side under the same random accesses. Where QEMU is known to differ from
/// the specification, the accesses keep to what both agree on, and a comment says so.
@Suite("Platform devices beside QEMU's", .enabled(if: PlatformTool.qemu != nil), .timeLimit(.minutes(30)))
struct PlatformQEMUTests {
  @Test(arguments: [true, false], [1, 2] as [UInt64]) func uart(hasFIFO: Bool, seed: UInt64) throws {
    let qemu = try PlatformQTest(try #require(PlatformTool.qemu))
    let port = PlatformUARTTests.Port()
    var random = PlatformRandom(seed: seed)
    let base: UInt64 = 0x1000_0000
    var log: [String] = []

    func write(_ register: UInt64, _ value: UInt8) throws {
      log.append("\(register) ← \(String(value, radix: 16))")
      try qemu.write8(base + register, value)
      try port.write(register, value)
    }

    func compare(_ register: UInt64, mask: UInt8 = 0xFF) throws {
      let theirs = try qemu.read8(base + register) & mask
      let ours = try port.read(register) & mask
      log.append("\(register) → \(String(ours, radix: 16))")
      try #require(ours == theirs, "\(log.suffix(40))")
    }

    // After a reset QEMU has OUT2 set, where the data sheet has it clear.
    try write(4, 0)
    if hasFIFO { try write(2, 0x01) }
    for _ in 0..<4_000 {
      let value = UInt8(truncatingIfNeeded: random.next())
      switch random.next() % 12 {
      // Without the modem's interrupt: to QEMU the lines that loopback changes do not count as changed.
      case 0: try write(1, value & 0x07)
      // A trigger level of one character: QEMU's time-out would never come while its clock stands. To
      // QEMU a transmitter emptied when it was empty is news, and the reset bits count without FIFOs too.
      case 1: if hasFIFO { try write(2, value & 0x3A | 0x01) }
      case 2: try write(3, value & 0x3F)
      case 3: try write(4, value)
      case 4: try write(7, value)
      case 5, 6: try write(0, value)
      // What an empty receiver reads is nobody's business.
      case 7: if !port.uart.state.receiver.isEmpty { try compare(0) }
      case 8: try compare(2)
      case 9: try compare(5)
      case 10: try compare(6, mask: 0xF0)
      default: for register in [1, 3, 4, 7] as [UInt64] { try compare(register) }
      }
    }
  }

  @Test(arguments: [1, 2] as [UInt64]) func plic(seed: UInt64) throws {
    let program = try #require(PlatformTool.qemu)
    let path = try #require(try PlatformQTest.path(ofType: "riscv.sifive.plic", qemu: program))
    let qemu = try PlatformQTest(program)
    let pins = (0..<4).map { _ in PlatformPin() }
    let plic = PLIC(
      contexts: pins.enumerated().map { PLIC.Context(hart: $0.offset / 2, pin: $0.element) })
    var random = PlatformRandom(seed: seed)
    let base: UInt64 = 0xC00_0000
    var log: [String] = []

    func write(_ offset: UInt64, _ value: UInt32) throws {
      log.append("\(String(offset, radix: 16)) ← \(String(value, radix: 16))")
      try qemu.write32(base + offset, value)
      try plic.write(offset: offset, width: 4, value: UInt64(value))
    }

    func compare(_ offset: UInt64) throws -> UInt32 {
      let theirs = try qemu.read32(base + offset)
      let ours = UInt32(try plic.read(offset: offset, width: 4))
      log.append("\(String(offset, radix: 16)) → \(String(ours, radix: 16))")
      try #require(ours == theirs, "\(log.suffix(40))")
      return ours
    }

    func setInput(_ source: Int, _ level: Bool) throws {
      log.append("\(source) \(level)")
      try qemu.setInput(path, source, level: level)
      plic.setInput(source, level: level)
    }

    var raised: Set<Int> = []
    var claimed: [UInt64: [UInt32]] = [:]
    for _ in 0..<4_000 {
      let context = random.next() % 4
      switch random.next() % 12 {
      case 0, 1: try write(4 * (1 + random.next() % 95), UInt32(random.next() % 8))
      case 2:
        try write(
          0x2000 + 0x80 * context + 4 * (random.next() % 3), UInt32(truncatingIfNeeded: random.next()))
      case 3: try write(0x20_0000 + 0x1000 * context, UInt32(random.next() % 8))
      case 4, 5, 6:
        // QEMU before 8 retracts a request whose wire falls, so a wire stays high until it is claimed.
        let source = Int(1 + random.next() % 95)
        if raised.insert(source).inserted { try setInput(source, true) }
      case 7, 8, 9:
        // QEMU applies the threshold to claims too; it has something exactly when our pin is high.
        let offset = 0x20_0004 + 0x1000 * context
        guard pins[Int(context)].level else {
          try #require(try qemu.read32(base + offset) == 0, "\(log.suffix(40))")
          continue
        }
        let source = try compare(offset)
        claimed[context, default: []].append(source)
        // Nor does it look at the level again on completion, so a wire falls before that.
        try setInput(Int(source), false)
      case 10:
        guard let source = claimed[context]?.popLast() else { continue }
        // Nor does it ask whether the source is enabled.
        let word = 0x2000 + 0x80 * context + UInt64(source / 32 * 4)
        try write(word, UInt32(try plic.read(offset: word, width: 4)) | 1 << (source % 32))
        try write(0x20_0004 + 0x1000 * context, source)
        raised.remove(Int(source))
      default:
        _ = try compare(4 * (1 + random.next() % 95))
        for word in 0..<3 as Range<UInt64> { _ = try compare(0x1000 + 4 * word) }
      }
    }
  }

  @Test func rtc() throws {
    let qemu = try PlatformQTest(
      try #require(PlatformTool.qemu), ["-rtc", "base=2024-02-29T12:00:00,clock=vm"])
    let base: UInt64 = 0x10_1000
    let start = UInt64(try qemu.read32(base)) | UInt64(try qemu.read32(base + 4)) << 32
    let board = PlatformRTCTests.Board()
    board.clock.set(start)
    var random = PlatformRandom(seed: 5)
    var log: [String] = []

    func compare(_ register: UInt64) throws {
      let (ours, theirs) = (try board.read(register), try qemu.read32(base + register))
      log.append("\(register) → \(ours)")
      try #require(ours == theirs, "\(log.suffix(40))")
    }

    func write(_ register: UInt64, _ value: UInt32) throws {
      log.append("\(register) ← \(value)")
      try qemu.write32(base + register, value)
      try board.write(register, UInt64(value))
    }

    for _ in 0..<4_000 {
      let now = try board.readTime()
      switch random.next() % 8 {
      case 0:
        // An alarm ahead or just past, high half first as the driver writes it.
        let alarm = now &+ random.next() % 4_000_000_000 &- 1_000_000_000
        try write(0x0C, UInt32(alarm >> 32))
        try write(0x08, UInt32(truncatingIfNeeded: alarm))
      case 1:
        // QEMU does not look at an armed alarm when its time is set.
        try write(0x14, 1)
        let time = now &+ random.next() % 0x10_0000_0000
        try write(0x04, UInt32(time >> 32))
        try write(0x00, UInt32(truncatingIfNeeded: time))
      case 2: try write(0x10, UInt32(random.next() % 2))
      case 3: try write(0x14, 1)
      case 4: try write(0x1C, 1)
      default: for register in [0x00, 0x04, 0x08, 0x0C, 0x10, 0x18] as [UInt64] { try compare(register) }
      }
    }
  }
}
