package import Devices
package import HostSystem

/// What time it is outside, as a board's real-time clock tells it.
package struct WallClock: Sendable {
  /// Nanoseconds since 1970.
  package var now: @Sendable () -> UInt64
  /// Of the same clock.
  package var alarms: any AlarmScheduler

  package init(now: @escaping @Sendable () -> UInt64, alarms: any AlarmScheduler) {
    self.now = now
    self.alarms = alarms
  }

  /// The host's clock.
  package static func host() throws(Errno) -> WallClock {
    WallClock(now: realtimeNanoseconds, alarms: try HostAlarmScheduler())
  }
}
