// The MC146818's registers (Motorola MC146818 data sheet).

extension CMOSClock {
  /// Places in the memory of 128 bytes, of which the clock has the first, and by custom one for the century.
  enum Register {
    static let second = 0x00
    static let secondAlarm = 0x01
    static let minute = 0x02
    static let minuteAlarm = 0x03
    static let hour = 0x04
    static let hourAlarm = 0x05
    static let weekday = 0x06
    static let day = 0x07
    static let month = 0x08
    static let year = 0x09
    static let a = 0x0A
    static let b = 0x0B
    static let c = 0x0C
    static let d = 0x0D
    static let century = 0x32
    static let count = 0x80

    /// The registers that time goes on in.
    static let time = [second, minute, hour, weekday, day, month, year, century]
  }

  /// Register A: the divider that makes seconds of the oscillator's periods.
  package struct Divider: Equatable, Codable, Sendable {
    package private(set) var rawValue: UInt8

    static let updateInProgress: UInt8 = 1 << 7

    init(rawValue: UInt8) { self.rawValue = rawValue & ~Self.updateInProgress }

    /// A 32,768 Hz oscillator, 1024 periodic interrupts a second.
    static let initial = Divider(rawValue: 0x26)

    /// DV: whether the divider runs, for any of the three oscillators; else it is held, or for tests.
    var runs: Bool { rawValue >> 4 & 7 <= 2 }

    /// RS: the oscillator's periods from one periodic interrupt to the next; nil for none.
    var periodicInterval: UInt64? {
      switch rawValue & 0x0F {
      case 0: nil
      // The two lowest are those of the frequency for which others have another place.
      case 1: 1 << 7
      case 2: 1 << 8
      case let rate: 1 << UInt64(rate - 1)
      }
    }
  }

  /// Register B.
  package struct Control: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Hours count to 23, not to 12 with a bit for the afternoon.
    package static let hours24 = Control(rawValue: 1 << 1)
    /// Numbers are binary, not two decimal digits.
    package static let binary = Control(rawValue: 1 << 2)
    package static let updateInterrupt = Control(rawValue: 1 << 4)
    package static let alarmInterrupt = Control(rawValue: 1 << 5)
    package static let periodicInterrupt = Control(rawValue: 1 << 6)
    /// SET: time stands, to be set.
    package static let set = Control(rawValue: 1 << 7)
    /// What a reset clears: the interrupts, and the square wave.
    static let clearedByReset = Control(rawValue: 0x78)
  }

  /// Register C: what happened since it was read. The bits are at the places of those in ``Control`` that have
  /// them interrupt.
  package struct Flags: OptionSet, Codable, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// A second has begun.
    package static let updated = Flags(rawValue: 1 << 4)
    package static let alarm = Flags(rawValue: 1 << 5)
    package static let periodic = Flags(rawValue: 1 << 6)
    static let all: Flags = [.updated, .alarm, .periodic]
    /// The bit that says that any of them interrupts.
    static let interrupt: UInt8 = 1 << 7
  }

  /// Register D: the battery is good.
  static let validTime: UInt8 = 1 << 7
}
