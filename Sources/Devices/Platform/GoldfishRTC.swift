internal import Synchronization

/// A real-time clock: the goldfish platform's, as Linux' `rtc-goldfish` driver and QEMU have it. Time is
/// nanoseconds since 1970 in 64 bits, read and set in halves.
package final class GoldfishRTC: MMIODevice {
  /// Byte offsets; all registers are 32 bits wide.
  private enum Register {
    /// Reading latches the high half.
    static let timeLow: UInt64 = 0x00
    static let timeHigh: UInt64 = 0x04
    /// Writing arms the alarm, for the high half written before.
    static let alarmLow: UInt64 = 0x08
    static let alarmHigh: UInt64 = 0x0C
    static let interruptEnabled: UInt64 = 0x10
    static let clearAlarm: UInt64 = 0x14
    static let alarmStatus: UInt64 = 0x18
    static let clearInterrupt: UInt64 = 0x1C
  }

  package struct State: Codable, Equatable, Sendable {
    /// The guest's time less the clock's, modulo 2⁶⁴ ns: the guest may set its time.
    package var timeOffset: UInt64
    /// What TIME_HIGH reads, from the last read of TIME_LOW.
    package var latchedTimeHigh: UInt32
    /// The alarm's time by the guest's time.
    package var alarm: UInt64
    package var isAlarmArmed: Bool
    package var isInterruptEnabled: Bool
    package var isInterruptPending: Bool
  }

  package let name: String
  package let registerSpace: UInt64 = 0x1000
  private let interrupt: InterruptLine
  private let clock: @Sendable () -> UInt64
  private let scheduler: any AlarmScheduler
  private let guarded = Mutex(GoldfishRTC.initialState)

  /// `clock` gives nanoseconds since 1970; `scheduler` goes by the same clock, and is this device's own.
  package init(
    name: String = "rtc", interrupt: InterruptLine, clock: @escaping @Sendable () -> UInt64,
    scheduler: any AlarmScheduler
  ) {
    self.name = name
    self.interrupt = interrupt
    self.clock = clock
    self.scheduler = scheduler
  }

  private static let initialState = State(
    timeOffset: 0, latchedTimeHigh: 0, alarm: 0, isAlarmArmed: false, isInterruptEnabled: false,
    isInterruptPending: false)

  /// Back to the state after power-on, and the host's time.
  package func reset() {
    guarded.withLock { state in
      state = Self.initialState
      sync(&state)
    }
  }

  package func stop() { scheduler.stop() }

  /// Lets an alarm that is due go off, has one that is not called back, and brings the interrupt line to
  /// the state. Under the lock, so that levels and deadlines stay in order.
  private func sync(_ state: inout State) {
    if state.isAlarmArmed {
      let now = clock() &+ state.timeOffset
      if now >= state.alarm {
        state.isAlarmArmed = false
        state.isInterruptPending = true
      } else {
        let (deadline, isNever) = clock().addingReportingOverflow(state.alarm - now)
        if !isNever { scheduler.arm(at: deadline) { [weak self] in self?.alarmRang() } }
      }
    }
    if !state.isAlarmArmed { scheduler.disarm() }
    interrupt.setLevel(state.isInterruptPending && state.isInterruptEnabled)
  }

  private func alarmRang() { guarded.withLock { sync(&$0) } }

  // MARK: - Registers

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    guard width == 4 else { throw .badWidth }
    return try guarded.withLock { state throws(BusFault) in
      switch offset {
      case Register.timeLow:
        let now = clock() &+ state.timeOffset
        state.latchedTimeHigh = UInt32(truncatingIfNeeded: now >> 32)
        return now & 0xFFFF_FFFF
      case Register.timeHigh: return UInt64(state.latchedTimeHigh)
      case Register.alarmLow: return state.alarm & 0xFFFF_FFFF
      case Register.alarmHigh: return state.alarm >> 32
      case Register.interruptEnabled: return state.isInterruptEnabled ? 1 : 0
      case Register.alarmStatus: return state.isAlarmArmed ? 1 : 0
      case Register.clearAlarm, Register.clearInterrupt: throw .forbidden
      default: throw .noRegister
      }
    }
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    guard width == 4 else { throw .badWidth }
    let half = value & 0xFFFF_FFFF
    try guarded.withLock { state throws(BusFault) in
      switch offset {
      case Register.timeLow:
        let now = clock() &+ state.timeOffset
        state.timeOffset &+= (now & ~0xFFFF_FFFF | half) &- now
      case Register.timeHigh:
        let now = clock() &+ state.timeOffset
        state.timeOffset &+= (now & 0xFFFF_FFFF | half << 32) &- now
      case Register.alarmLow:
        state.alarm = state.alarm & ~0xFFFF_FFFF | half
        state.isAlarmArmed = true
      case Register.alarmHigh: state.alarm = state.alarm & 0xFFFF_FFFF | half << 32
      case Register.interruptEnabled: state.isInterruptEnabled = half & 1 != 0
      case Register.clearAlarm: state.isAlarmArmed = false
      case Register.clearInterrupt: state.isInterruptPending = false
      case Register.alarmStatus: throw .forbidden
      default: throw .noRegister
      }
      sync(&state)
    }
  }
}

// MARK: - State

extension GoldfishRTC: StatefulDevice {
  package static let stateKind = "google,goldfish-rtc"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0 } }
    set {
      guarded.withLock { state in
        state = State(
          timeOffset: newValue.timeOffset, latchedTimeHigh: newValue.latchedTimeHigh,
          alarm: newValue.alarm, isAlarmArmed: newValue.isAlarmArmed,
          isInterruptEnabled: newValue.isInterruptEnabled,
          isInterruptPending: newValue.isInterruptPending)
        sync(&state)
      }
    }
  }
}

// MARK: - Device tree

extension GoldfishRTC: DeviceTreeDescribed {
  package func describe(in bus: inout DeviceTree.Node, at base: UInt64) {
    bus.node(name, at: base) {
      $0.property("compatible", .string("google,goldfish-rtc"))
      $0.property("reg", .u64([base, registerSpace]))
      $0.property("interrupts", .cells([UInt32(interrupt.input)]))
    }
  }
}
