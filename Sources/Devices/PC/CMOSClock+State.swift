extension CMOSClock {
  /// The clock's registers and memory, and how its time follows from the host's.
  package struct State: Codable, Equatable, Sendable {
    /// The register that the data port shows.
    package var index: UInt8
    package var divider: Divider
    package var control: Control
    package var flags: Flags
    /// The 128 bytes. While time stands, what it shows is here too; while it goes on, those bytes are idle.
    package var memory: [UInt8]
    /// The guest's seconds less the clock's.
    package var secondsOffset: Int
    /// Nanoseconds by which the guest's seconds begin before the clock's; less than a second.
    package var phase: UInt64
    /// The last second and the last periodic interval whose beginning is in the flags.
    package var lastSecond: Int
    package var lastPeriod: UInt64

    private static let second: UInt64 = 1_000_000_000
    /// Times that a guest may set are within this of the host's: 30,000 years.
    private static let farthest = 1 << 40
    /// How long before a second's end the update-in-progress bit says that it is near (data sheet, "Update
    /// Cycle").
    private static let updateNotice: UInt64 = 244_000
    /// The time from a divider's start to the first update.
    private static let firstUpdate: UInt64 = second / 2
    /// The oscillator's frequency in hertz.
    private static let oscillator: UInt64 = 32_768

    /// With the host's time, at a time of the clock.
    init(now: UInt64) {
      index = 0
      divider = .initial
      control = .hours24
      flags = []
      memory = [UInt8](repeating: 0, count: Register.count)
      secondsOffset = 0
      phase = 0
      lastSecond = 0
      lastPeriod = 0
      forget(now)
    }

    /// A state from a snapshot, with what no register can hold taken away.
    init(_ other: State, now: UInt64) {
      self.init(now: now)
      index = other.index & 0x7F
      divider = Divider(rawValue: other.divider.rawValue)
      control = other.control
      flags = other.flags.intersection(.all)
      for (place, byte) in other.memory.prefix(memory.count).enumerated() { memory[place] = byte }
      secondsOffset = min(max(other.secondsOffset, -Self.farthest), Self.farthest)
      phase = other.phase % Self.second
      // What lies in the future has not happened.
      lastSecond = min(max(other.lastSecond, -Self.farthest), seconds(at: now))
      lastPeriod = min(other.lastPeriod, period(at: now))
    }

    /// What the reset pin does; time and memory have a battery.
    mutating func reset() {
      index = 0
      control.subtract(.clearedByReset)
      flags = []
    }

    // MARK: - Time

    /// Whether time goes on.
    var runs: Bool { divider.runs && !control.contains(.set) }

    /// The clock's time with the phase taken in: whole seconds, and nanoseconds of the next.
    private func split(_ now: UInt64) -> (seconds: Int, rest: UInt64) {
      let (seconds, rest) = now.quotientAndRemainder(dividingBy: Self.second)
      let sum = rest + phase
      return (Int(seconds) + (sum >= Self.second ? 1 : 0), sum % Self.second)
    }

    /// The guest's seconds since 1970.
    private func seconds(at now: UInt64) -> Int { split(now).seconds + secondsOffset }

    /// Periodic intervals since the clock's zero, by the rate that is set.
    private func period(at now: UInt64) -> UInt64 {
      guard divider.runs, let interval = divider.periodicInterval else { return 0 }
      let (seconds, rest) = now.quotientAndRemainder(dividingBy: Self.second)
      return (seconds &* Self.oscillator &+ rest * Self.oscillator / Self.second) / interval
    }

    /// Takes what has happened up to now as seen.
    private mutating func forget(_ now: UInt64) {
      lastSecond = seconds(at: now)
      lastPeriod = period(at: now)
    }

    /// Puts what time it is in the registers, where it stays when time stands.
    private mutating func hold(_ now: UInt64) {
      let seconds = seconds(at: now)
      let time = CivilTime(seconds: seconds)
      memory[Register.second] = encode(time.second)
      memory[Register.minute] = encode(time.minute)
      memory[Register.hour] = encodeHour(time.hour)
      memory[Register.weekday] = encode(CivilTime.weekday(seconds: seconds))
      memory[Register.day] = encode(time.day)
      memory[Register.month] = encode(time.month)
      memory[Register.year] = encode((time.year % 100 + 100) % 100)
      memory[Register.century] = encode(abs(time.year / 100) % 100)
    }

    /// Makes the time in the registers the guest's time. The day of the week follows from the date.
    private mutating func take(_ now: UInt64) {
      let time = CivilTime(
        year: 100 * decode(memory[Register.century]) + decode(memory[Register.year]),
        month: decode(memory[Register.month]), day: decode(memory[Register.day]),
        hour: decodeHour(memory[Register.hour]), minute: decode(memory[Register.minute]),
        second: decode(memory[Register.second]))
      secondsOffset = time.seconds - split(now).seconds
      lastSecond = time.seconds
    }

    // MARK: - The form of numbers

    private func encode(_ number: Int) -> UInt8 {
      UInt8(truncatingIfNeeded: control.contains(.binary) ? number : (number / 10) << 4 | number % 10)
    }

    private func decode(_ byte: UInt8) -> Int {
      control.contains(.binary) ? Int(byte) : 10 * Int(byte >> 4) + Int(byte & 0x0F)
    }

    private static let afternoon: UInt8 = 1 << 7

    private func encodeHour(_ hour: Int) -> UInt8 {
      if control.contains(.hours24) { return encode(hour) }
      return encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? Self.afternoon : 0)
    }

    private func decodeHour(_ byte: UInt8) -> Int {
      if control.contains(.hours24) { return decode(byte) }
      return decode(byte & ~Self.afternoon) % 12 + (byte & Self.afternoon != 0 ? 12 : 0)
    }

    // MARK: - Registers

    /// Reads the register of the index, with what reading changes.
    mutating func read(_ now: UInt64) -> UInt8 {
      let place = Int(index)
      switch place {
      case Register.a: return divider.rawValue | (isUpdateNear(now) ? Divider.updateInProgress : 0)
      case Register.b: return control.rawValue
      case Register.c:
        defer { flags = [] }
        return flags.rawValue | (interrupts ? Flags.interrupt : 0)
      case Register.d: return CMOSClock.validTime
      default:
        if runs, Register.time.contains(place) { hold(now) }
        return memory[place]
      }
    }

    /// Whether the registers of time are about to change.
    private func isUpdateNear(_ now: UInt64) -> Bool {
      runs && split(now).rest >= Self.second - Self.updateNotice
    }

    /// Writes the register of the index.
    mutating func write(_ value: UInt8, _ now: UInt64) {
      let place = Int(index)
      switch place {
      case Register.a:
        let divider = Divider(rawValue: value)
        restart(now) { $0.divider = divider }
        lastPeriod = period(at: now)
      case Register.b:
        var control = Control(rawValue: value)
        if control.contains(.set) { control.remove(.updateInterrupt) }
        restart(now) { $0.control = control }
      case Register.c, Register.d: break
      case let place where Register.time.contains(place):
        if runs { hold(now) }
        memory[place] = value
        if runs { take(now) }
      default: memory[place] = value
      }
    }

    /// Changes whether time goes on, or the form of its numbers. What it showed when it began to stand it goes
    /// on from.
    private mutating func restart(_ now: UInt64, _ change: (inout State) -> Void) {
      let (ran, dividerRan) = (runs, divider.runs)
      if ran { hold(now) }
      change(&self)
      if runs, !ran {
        if !dividerRan {
          // The next second begins so long after the divider does.
          let rest = now % Self.second
          phase = (Self.second - Self.firstUpdate + Self.second - rest) % Self.second
        }
        take(now)
      }
    }

    // MARK: - Events

    var interrupts: Bool { !flags.isDisjoint(with: Flags(rawValue: control.rawValue)) }

    /// Brings the flags to a time.
    mutating func advance(to now: UInt64) {
      let period = period(at: now)
      if period > lastPeriod { flags.insert(.periodic) }
      lastPeriod = period
      guard runs else { return }
      let seconds = seconds(at: now)
      if seconds > lastSecond {
        flags.insert(.updated)
        if let alarm = nextAlarm(after: lastSecond), alarm <= seconds { flags.insert(.alarm) }
      }
      lastSecond = seconds
    }

    /// When the next interrupt is due by the clock; nil if none will come, or one has come that keeps the line
    /// high.
    func deadline(_ now: UInt64) -> UInt64? {
      guard !interrupts else { return nil }
      var deadlines: [UInt64?] = []
      if runs, control.contains(.updateInterrupt) { deadlines.append(time(ofSecond: lastSecond + 1)) }
      if runs, control.contains(.alarmInterrupt), let alarm = nextAlarm(after: lastSecond) {
        deadlines.append(time(ofSecond: alarm))
      }
      if control.contains(.periodicInterrupt), divider.runs, let interval = divider.periodicInterval {
        let (ticks, isNever) = (lastPeriod + 1).multipliedReportingOverflow(by: interval)
        if !isNever { deadlines.append(time(ofTick: ticks)) }
      }
      return deadlines.compactMap { $0 }.min()
    }

    /// When a second of the guest's begins, by the clock.
    private func time(ofSecond second: Int) -> UInt64? {
      guard let seconds = UInt64(exactly: second - secondsOffset) else { return nil }
      let (time, overflow) = seconds.multipliedReportingOverflow(by: Self.second)
      return overflow ? nil : time < phase ? 0 : time - phase
    }

    /// When the oscillator has made so many periods, by the clock, rounded up.
    private func time(ofTick tick: UInt64) -> UInt64? {
      let (seconds, rest) = tick.quotientAndRemainder(dividingBy: Self.oscillator)
      let (time, overflow) = seconds.multipliedReportingOverflow(by: Self.second)
      let (sum, isNever) = time.addingReportingOverflow(
        (rest * Self.second + Self.oscillator - 1) / Self.oscillator)
      return overflow || isNever ? nil : sum
    }

    // MARK: - Alarm

    /// The first second after another at which the time of day is that of the alarm; nil if it never is.
    private func nextAlarm(after second: Int) -> Int? {
      let hours = (0..<24).filter { matches(Register.hourAlarm, encodeHour($0)) }
      let minutes = (0..<60).filter { matches(Register.minuteAlarm, encode($0)) }
      let seconds = (0..<60).filter { matches(Register.secondAlarm, encode($0)) }
      guard let firstHour = hours.first, let firstMinute = minutes.first, let firstSecond = seconds.first
      else { return nil }
      let start = second + 1
      let time = CivilTime(seconds: start)
      let (hour, minute) = (time.hour, time.minute)
      let midnight = start - (3600 * hour + 60 * minute + time.second)
      // In this minute, in this hour, today, tomorrow.
      if hours.contains(hour) {
        if minutes.contains(minute), let second = seconds.first(where: { $0 >= time.second }) {
          return midnight + 3600 * hour + 60 * minute + second
        }
        if let minute = minutes.first(where: { $0 > minute }) {
          return midnight + 3600 * hour + 60 * minute + firstSecond
        }
      }
      let later = hours.first { $0 > hour }
      return midnight + 3600 * (later ?? firstHour + 24) + 60 * firstMinute + firstSecond
    }

    /// Whether a number in its form is an alarm register's, which may stand for any ("don't care").
    private func matches(_ register: Int, _ value: UInt8) -> Bool {
      memory[register] & 0xC0 == 0xC0 || memory[register] == value
    }
  }
}
