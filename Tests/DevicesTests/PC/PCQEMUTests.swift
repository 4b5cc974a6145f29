internal import Devices
internal import Testing

/// Our devices and those of QEMU's PC side by side under the same random accesses, which keep to what both
/// have as the data sheets do.
@Suite("PC devices beside QEMU's", .enabled(if: PlatformTool.qemuPC != nil), .timeLimit(.minutes(30)))
struct PCQEMUTests {
  @Test(arguments: [1, 2, 3] as [UInt64]) func ioAPIC(seed: UInt64) throws {
    let qemu = try PlatformQTest(try #require(PlatformTool.qemuPC), board: PlatformQTest.q35)
    let board = IOAPICTests.Board()
    var random = PlatformRandom(seed: seed)
    let base: UInt64 = 0xFEC0_0000
    var log: [String] = []

    func write(_ offset: UInt64, _ value: UInt32) throws {
      log.append("\(String(offset, radix: 16)) ← \(String(value, radix: 16))")
      try qemu.write32(base + offset, value)
      try board.controller.write(offset: offset, width: 4, value: UInt64(value))
    }

    func compare(_ register: UInt64) throws {
      try write(0, UInt32(register))
      let theirs = try qemu.read32(base + 0x10)
      let ours = UInt32(try board.controller.read(offset: 0x10, width: 4))
      log.append("[\(String(register, radix: 16))] → \(String(ours, radix: 16))")
      try #require(ours == theirs, "\(log.suffix(40))")
    }

    func setInput(_ input: UInt64, _ level: Bool) throws {
      log.append("\(input) \(level)")
      try qemu.setInput("/machine/q35/ioapic", Int(input), level: level)
      board.controller.setInput(Int(input), level: level)
    }

    for register in 0...2 as ClosedRange<UInt64> { try compare(register) }
    var remotes = 0
    for _ in 0..<3_000 {
      // Not 0: QEMU has that wire end at input 2, as on boards with an 8259.
      let input = 1 + random.next() % 23
      switch random.next() % 8 {
      case 0, 1:
        // A wire that was high while its input was for edges is nothing to QEMU when it is for levels.
        try setInput(input, false)
        // Fixed or lowest priority, a legal vector, level or edge; drivers write the high half first.
        try write(0, UInt32(0x11 + 2 * input))
        try write(0x10, UInt32(truncatingIfNeeded: random.next()) & 0xFF00_0000)
        let flags = UInt32(truncatingIfNeeded: random.next()) & 0x1_A900
        try write(0, UInt32(0x10 + 2 * input))
        try write(0x10, flags | 0x10 + UInt32(random.next() % 8))
      case 2, 3, 4:
        try setInput(input, random.next() % 2 == 0)
      case 5: try write(0x40, 0x10 + UInt32(random.next() % 8))
      case 6:
        try write(0, 0)
        try write(0x10, UInt32(truncatingIfNeeded: random.next()))
        try compare(0)
        try compare(2)
      default:
        try compare(0x10 + 2 * input)
        try compare(0x11 + 2 * input)
        if try board.entry(input) & IOAPICTests.remote != 0 { remotes += 1 }
      }
    }
    #expect(remotes > 20)
  }

  /// The clock stands: what is tested is how time is set and shown.
  @Test(arguments: [1, 2] as [UInt64]) func clock(seed: UInt64) throws {
    let qemu = try PlatformQTest(
      try #require(PlatformTool.qemuPC), board: PlatformQTest.q35,
      ["-rtc", "base=2024-02-29T12:00:00,clock=vm"])
    let clock = PCClock(now: 1_709_208_000 * pcSecond)
    var random = PlatformRandom(seed: seed)
    var log: [String] = []

    func write(_ register: UInt8, _ value: UInt8) throws {
      log.append("\(String(register, radix: 16)) ← \(String(value, radix: 16))")
      try qemu.writePort8(0x70, register)
      try qemu.writePort8(0x71, value)
      try clock.write(register, value)
    }

    func compare(_ register: UInt8) throws {
      try qemu.writePort8(0x70, register)
      let theirs = try qemu.readPort8(0x71)
      let ours = try clock.read(register)
      log.append("\(String(register, radix: 16)) → \(String(ours, radix: 16))")
      try #require(ours == theirs, "\(log.suffix(60))")
    }

    func digits(_ number: UInt64, binary: Bool) -> UInt8 {
      UInt8(binary ? number : (number / 10) << 4 | number % 10)
    }

    try write(0x0B, 0x02)
    for _ in 0..<2_000 {
      let form = UInt8(random.next() % 4 * 2)
      let isBinary = form & 4 != 0
      switch random.next() % 8 {
      case 0: try write(0x0B, form)
      case 1:
        // Time is set as drivers do it, in a form that it has then.
        try write(0x0B, 0x80 | form)
        // Before 1970 QEMU's seconds are off by one now and then: it counts without signs.
        let year = 1970 + random.next() % 130
        try write(9, digits(year % 100, binary: isBinary))
        try write(0x32, digits(year / 100, binary: isBinary))
        try write(8, digits(1 + random.next() % 12, binary: isBinary))
        try write(7, digits(1 + random.next() % 28, binary: isBinary))
        let hour = random.next() % 12
        if form & 2 != 0 {
          try write(4, digits(hour + 12 * (random.next() % 2), binary: isBinary))
        } else {
          let afternoon = UInt8(random.next() % 2) << 7
          try write(4, digits(hour == 0 ? 12 : hour, binary: isBinary) | afternoon)
        }
        try write(2, digits(random.next() % 60, binary: isBinary))
        try write(0, digits(random.next() % 60, binary: isBinary))
        for register in [0, 2, 4, 7, 8, 9, 0x32] as [UInt8] { try compare(register) }
        try write(0x0B, form)
      case 2, 3:
        // Seconds, alarms or memory, at any time and in any form.
        let place = random.next() % 4
        if place > 0 { try write(UInt8(2 * place - 1), UInt8(truncatingIfNeeded: random.next())) }
        if place == 0 { try write(0, digits(random.next() % 60, binary: try clock.read(0x0B) & 4 != 0)) }
        for register in 0...9 as ClosedRange<UInt8> { try compare(register) }
      case 5:
        let place = UInt8(0x40 + random.next() % 0x40)
        try write(place, UInt8(truncatingIfNeeded: random.next()))
        try compare(place)
      default: for register in [0, 2, 4, 6, 7, 8, 9, 0x0B, 0x0D, 0x32] as [UInt8] { try compare(register) }
      }
    }
  }
}
