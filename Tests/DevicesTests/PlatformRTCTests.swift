internal import Devices
internal import HostSystem
internal import Testing

@Suite("Goldfish RTC") struct PlatformRTCTests {
  struct Board {
    static let start: UInt64 = 1_700_000_000_123_456_789
    let sink = PlatformSink()
    let clock = PlatformClock(now: Board.start)
    let rtc: GoldfishRTC

    init() { rtc = GoldfishRTC(interrupt: sink.line, clock: { [clock] in clock.now }, scheduler: clock) }

    func read(_ register: UInt64) throws -> UInt32 { UInt32(try rtc.read(offset: register, width: 4)) }
    func write(_ register: UInt64, _ value: UInt64) throws {
      try rtc.write(offset: register, width: 4, value: value & 0xFFFF_FFFF)
    }

    func readTime() throws -> UInt64 { UInt64(try read(0)) | UInt64(try read(4)) << 32 }
    func setTime(_ time: UInt64) throws {
      try write(4, time >> 32)
      try write(0, time)
    }
    func setAlarm(_ time: UInt64) throws {
      try write(0x0C, time >> 32)
      try write(0x08, time)
    }
  }

  @Test func lowHalfLatchesHighHalf() throws {
    let board = Board()
    board.clock.set(0x1234_FFFF_FFFF)
    #expect(try board.read(0) == 0xFFFF_FFFF)
    board.clock.set(0x1235_0000_0001)
    #expect(try board.read(4) == 0x1234)
    #expect(try board.read(0) == 1)
    #expect(try board.read(4) == 0x1235)
  }

  @Test func theGuestSetsItsTime() throws {
    let board = Board()
    #expect(try board.readTime() == Board.start)
    try board.setTime(42_000_000_000)
    #expect(try board.readTime() == 42_000_000_000)
    board.clock.set(Board.start + 5_000_000_000)
    #expect(try board.readTime() == 47_000_000_000)
    board.rtc.reset()
    #expect(try board.readTime() == Board.start + 5_000_000_000)
  }

  @Test func alarmRings() throws {
    let board = Board()
    let due = Board.start + 10_000_000_000
    try board.setAlarm(due)
    try board.write(0x10, 1)
    #expect(try board.read(0x18) == 1)
    #expect(try board.read(0x08) == UInt32(truncatingIfNeeded: due))
    #expect(try board.read(0x0C) == UInt32(due >> 32))
    #expect(board.clock.deadline == due)
    board.clock.set(due - 1)
    #expect(!board.sink.level)
    board.clock.set(due)
    #expect(board.sink.level)
    #expect(try board.read(0x18) == 0)
    try board.write(0x1C, 1)
    #expect(!board.sink.level)
  }

  @Test func alarmInThePastRingsAtOnce() throws {
    let board = Board()
    try board.write(0x10, 1)
    try board.setAlarm(Board.start)
    #expect(board.sink.level)
    #expect(try board.read(0x18) == 0)
    #expect(board.clock.deadline == nil)
  }

  @Test func interruptIsMaskedButKept() throws {
    let board = Board()
    try board.setAlarm(Board.start - 1)
    #expect(!board.sink.level)
    try board.write(0x10, 1)
    #expect(board.sink.level)
    try board.write(0x10, 0)
    #expect(!board.sink.level)
  }

  @Test func alarmIsCleared() throws {
    let board = Board()
    try board.setAlarm(Board.start + 100)
    try board.write(0x10, 1)
    try board.write(0x14, 1)
    #expect(try board.read(0x18) == 0)
    #expect(board.clock.deadline == nil)
    board.clock.set(Board.start + 200)
    #expect(!board.sink.level)
  }

  @Test func alarmGoesByTheGuestsTime() throws {
    let board = Board()
    try board.write(0x10, 1)
    try board.setTime(1_000)
    try board.setAlarm(5_000)
    #expect(board.clock.deadline == Board.start + 4_000)
    try board.setTime(4_500)
    #expect(board.clock.deadline == Board.start + 500)
    try board.setTime(6_000)
    #expect(board.sink.level)
  }

  @Test func registersThatOneCannotUse() throws {
    let board = Board()
    #expect(throws: BusFault.forbidden) { try board.read(0x14) }
    #expect(throws: BusFault.forbidden) { try board.read(0x1C) }
    #expect(throws: BusFault.forbidden) { try board.write(0x18, 0) }
    #expect(throws: BusFault.noRegister) { try board.read(0x20) }
    #expect(throws: BusFault.badWidth) { try board.rtc.read(offset: 0, width: 8) }
  }

  @Test func stateMovesToAnotherClock() throws {
    let board = Board()
    try board.setTime(1_000)
    try board.setAlarm(5_000)
    try board.write(0x10, 1)
    let other = Board()
    other.rtc.state = board.rtc.state
    #expect(other.rtc.state == board.rtc.state)
    #expect(other.clock.deadline == Board.start + 4_000)
    other.clock.set(Board.start + 4_000)
    #expect(other.sink.level)
  }

  @Test func stopEndsTheScheduler() {
    let board = Board()
    board.rtc.stop()
    #expect(board.clock.isStopped)
  }

  /// The real scheduler: it calls not before the deadline, the latest armed alone, and none after `stop`.
  @Test func hostScheduler() throws {
    let scheduler = try HostAlarmScheduler(clock: { monotonicNanoseconds() })
    let rang = PlatformLog<UInt64>()
    let late = monotonicNanoseconds() + 3_600_000_000_000
    scheduler.arm(at: late) { rang.append(0) }
    let deadline = monotonicNanoseconds() + 20_000_000
    scheduler.arm(at: deadline) { rang.append(monotonicNanoseconds()) }
    while rang.all.isEmpty, monotonicNanoseconds() < deadline + 30_000_000_000 {}
    #expect(rang.all.count == 1 && rang.all[0] >= deadline)
    scheduler.arm(at: late) { rang.append(0) }
    scheduler.disarm()
    scheduler.stop()
    scheduler.stop()
    #expect(rang.all.count == 1)
  }
}
