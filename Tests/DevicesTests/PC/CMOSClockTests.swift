internal import Devices
internal import Foundation
internal import Testing

@Suite("CMOS clock") struct CMOSClockTests {
  @Test func showsTheHostsTime() throws {
    let clock = PCClock()
    #expect(try clock.readTime() == [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x59, 0x57])
    clock.pass(3 * pcSecond)
    #expect(try clock.readTime() == [0x20, 0x24, 0x03, 0x01, 6, 0x00, 0x00, 0x00])
    #expect(try clock.read(0x0A) == 0x26 && clock.read(0x0B) == 0x02 && clock.read(0x0D) == 0x80)
    #expect(try clock.device.readPort(offset: 0, width: 1) == 0xFF)
  }

  @Test func formsOfNumbers() throws {
    let clock = PCClock()
    try clock.write(0x0B, 0x06)
    #expect(try clock.readTime() == [20, 24, 2, 29, 5, 23, 59, 57])
    try clock.write(0x0B, 0x04)
    #expect(try clock.read(4) == 0x80 | 11)
    try clock.write(0x0B, 0x00)
    #expect(try clock.read(4) == 0x91)
    clock.pass(10 * pcSecond)
    #expect(try clock.read(4) == 0x12, "twelve at night is in the morning")
    clock.pass(12 * 3600 * pcSecond)
    #expect(try clock.read(4) == 0x92, "and noon in the afternoon")
    try clock.write(0x0B, 0x02)
    #expect(try clock.read(4) == 0x12)
  }

  /// Against the calendar of Foundation, a day in every year, and every day of a leap year.
  @Test func calendar() throws {
    var calendar = Calendar(identifier: .gregorian)
    calendar.timeZone = try #require(TimeZone(secondsFromGMT: 0))
    let days = Array(stride(from: 0, to: 200_000, by: 331)) + Array(10_957..<10_957 + 366)
    for day in days {
      let seconds = day * 86_400 + 45_296
      let clock = PCClock(now: UInt64(seconds) * pcSecond)
      try clock.write(0x0B, 0x06)
      let fields: Set<Calendar.Component> = [.year, .month, .day, .weekday, .hour, .minute, .second]
      let date = calendar.dateComponents(fields, from: Date(timeIntervalSince1970: Double(seconds)))
      let year = try #require(date.year)
      let expected = [
        year / 100, year % 100, date.month, date.day, date.weekday, date.hour, date.minute, date.second,
      ].compactMap { $0.map { UInt8($0) } }
      #expect(try clock.readTime() == expected, "day \(day)")
    }
  }

  @Test func theGuestSetsItsTimeAsLinuxDoes() throws {
    let clock = PCClock()
    try clock.write(0x0B, 0x82)
    try clock.write(0x0A, 0x76)
    for (register, value) in [(0x32, 0x19), (9, 0x99), (8, 0x12), (7, 0x31), (4, 0x23), (2, 0x59), (0, 0x59)]
      as [(UInt8, UInt8)]
    { try clock.write(register, value) }
    clock.pass(5 * pcSecond)
    #expect(try clock.read(0) == 0x59, "time stands")
    try clock.write(0x0B, 0x02)
    #expect(try clock.read(0) == 0x59, "the divider is held still")
    try clock.write(0x0A, 0x26)
    // The first second is over after half of one.
    clock.pass(pcSecond / 2 - 1)
    #expect(try clock.readTime() == [0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59])
    clock.pass(1)
    #expect(try clock.readTime() == [0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00])
    clock.device.reset()
    #expect(try clock.readTime() == [0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00])
  }

  @Test func settingASingleRegister() throws {
    let clock = PCClock()
    try clock.write(2, 0x30)
    #expect(try clock.readTime() == [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x30, 0x57])
    clock.pass(3 * pcSecond)
    #expect(try clock.readTime() == [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x31, 0x00])
  }

  @Test func updateIsAnnounced() throws {
    let clock = PCClock(now: 10 * pcSecond)
    #expect(try clock.read(0x0A) == 0x26)
    clock.host.set(11 * pcSecond - 244_001)
    #expect(try clock.read(0x0A) == 0x26)
    clock.host.set(11 * pcSecond - 244_000)
    #expect(try clock.read(0x0A) == 0xA6)
    clock.host.set(11 * pcSecond)
    #expect(try clock.read(0x0A) == 0x26)
    try clock.write(0x0B, 0x82)
    clock.host.set(12 * pcSecond - 1)
    #expect(try clock.read(0x0A) == 0x26, "time stands, so nothing is updated")
  }

  @Test func updateInterrupt() throws {
    let clock = PCClock()
    try clock.write(0x0B, 0x12)
    #expect(clock.host.deadline == PCClock.start + 750_000_000)
    clock.pass(749_999_999)
    #expect(!clock.sink.level)
    clock.pass(1)
    #expect(clock.sink.level)
    #expect(clock.host.deadline == nil, "one that is not served is enough")
    #expect(try clock.read(0x0C) & 0xB0 == 0x90)
    #expect(!clock.sink.level)
    #expect(try clock.read(0x0C) == 0)
    clock.pass(pcSecond)
    #expect(clock.sink.level)
    try clock.write(0x0B, 0x92)
    #expect(try clock.read(0x0B) == 0x82, "to set time ends its interrupt")
    #expect(!clock.sink.level)
  }

  @Test func flagsComeWithoutInterrupts() throws {
    let clock = PCClock()
    clock.pass(pcSecond)
    #expect(try clock.read(0x0C) & 0x50 == 0x50)
    #expect(clock.host.deadline == nil && !clock.sink.level)
  }

  @Test(
    arguments: [
      (0x00, 0x00, 0x00, 3), (0x01, 0x00, 0x00, 4), (0x59, 0x59, 0x23, 2), (0x58, 0x59, 0x23, 1),
      (0x57, 0x59, 0x23, 86_400), (0x56, 0x59, 0x23, 86_399), (0xFF, 0xFF, 0xFF, 1), (0x05, 0xFF, 0xC0, 8),
      (0x30, 0x15, 0x08, 3 + 8 * 3600 + 15 * 60 + 30), (0xC1, 0x00, 0xFF, 3),
      (0x00, 0xFF, 0x23, 3 + 23 * 3600),
      (0x57, 0xFF, 0x23, 3 + 23 * 3600 + 57), (0x57, 0x59, 0xFF, 3600), (0x7A, 0x00, 0x00, nil),
      (0x00, 0x60, 0x00, nil), (0x00, 0x00, 0x24, nil),
    ] as [(UInt8, UInt8, UInt8, UInt64?)])
  func alarm(second: UInt8, minute: UInt8, hour: UInt8, expected: UInt64?) throws {
    let clock = PCClock(now: PCClock.start - 250_000_000)
    try clock.write(1, second)
    try clock.write(3, minute)
    try clock.write(5, hour)
    try clock.write(0x0B, 0x22)
    let start = clock.host.now
    #expect(clock.host.deadline == expected.map { start + $0 * pcSecond })
    guard let expected else { return }
    clock.host.set(start + expected * pcSecond - 1)
    #expect(!clock.sink.level)
    clock.host.set(start + expected * pcSecond)
    #expect(clock.sink.level)
    #expect(try clock.read(0x0C) & 0xA0 == 0xA0)
    #expect(try clock.read(1) == second)
  }

  @Test(
    arguments: [
      (3, 122_070), (6, 976_563), (15, 500_000_000), (1, 3_906_250), (2, 7_812_500),
    ] as [(UInt8, UInt64)])
  func periodicInterrupt(rate: UInt8, interval: UInt64) throws {
    let clock = PCClock(now: 1_000 * pcSecond)
    try clock.write(0x0A, 0x20 | rate)
    try clock.write(0x0B, 0x42)
    for _ in 0..<20 {
      let last = clock.host.now
      let deadline = try #require(clock.host.deadline)
      #expect(deadline > last && deadline - last <= interval + 1)
      clock.host.set(deadline - 1)
      #expect(!clock.sink.level)
      clock.host.set(deadline)
      #expect(clock.sink.level)
      #expect(try clock.read(0x0C) & 0xC0 == 0xC0)
    }
    // Twenty intervals, to a nanosecond a time.
    let passed = clock.host.now - 1_000 * pcSecond
    #expect(passed >= 20 * (interval - 1) && passed <= 20 * (interval + 1))
    try clock.write(0x0A, 0x20)
    #expect(clock.host.deadline == nil)
  }

  @Test func memoryOutlivesAReset() throws {
    let clock = PCClock()
    for register in 0x0E..<0x80 as Range<UInt8> where register != 0x32 {
      try clock.write(register, ~register)
    }
    // Only seven bits of the index count.
    #expect(try clock.read(0x8E) == ~0x0E)
    clock.device.reset()
    for register in 0x0E..<0x80 as Range<UInt8> where register != 0x32 {
      #expect(try clock.read(register) == ~register)
    }
  }

  @Test func resetDisablesInterrupts() throws {
    let clock = PCClock()
    try clock.write(0x0B, 0x7E)
    clock.pass(pcSecond)
    #expect(clock.sink.level)
    clock.device.reset()
    #expect(!clock.sink.level && clock.host.deadline == nil)
    #expect(try clock.read(0x0B) == 0x06)
  }

  @Test func stateMovesToAnotherHost() throws {
    let clock = PCClock()
    try clock.write(2, 0x30)
    try clock.write(1, 0x00)
    try clock.write(3, 0x31)
    try clock.write(5, 0x23)
    try clock.write(0x0B, 0x22)
    let other = PCClock(now: PCClock.start + pcSecond)
    other.device.state = clock.device.state
    #expect(other.host.deadline == PCClock.start + 2_750_000_000)
    other.pass(2 * pcSecond)
    #expect(other.sink.level)
    #expect(try other.readTime() == [0x20, 0x24, 0x02, 0x29, 5, 0x23, 0x31, 0x00])
  }

  @Test func stateOfChanceIsBroughtIntoRange() throws {
    var state = PCClock().device.state
    state.index = 0xFF
    state.secondsOffset = .min
    state.phase = .max
    state.lastSecond = .max
    state.lastPeriod = .max
    state.memory = [1]
    let clock = PCClock()
    clock.device.state = state
    for register in 0..<0x80 as Range<UInt8> { _ = try clock.read(register) }
    try clock.write(0x0B, 0x72)
    clock.pass(pcSecond)
    #expect(clock.sink.level)
    state.secondsOffset = .max
    state.memory = [UInt8](repeating: 0xFF, count: 1000)
    clock.device.state = state
    for register in 0..<0x80 as Range<UInt8> { _ = try clock.read(register) }
  }

  @Test func portsThatOneCannotUse() {
    let clock = PCClock()
    #expect(throws: BusFault.badWidth) { try clock.device.readPort(offset: 0, width: 2) }
    #expect(throws: BusFault.badWidth) { try clock.device.writePort(offset: 1, width: 4, value: 0) }
    #expect(throws: BusFault.noRegister) { try clock.device.readPort(offset: 2, width: 1) }
    #expect(throws: BusFault.noRegister) { try clock.device.writePort(offset: -1, width: 1, value: 0) }
  }
}
