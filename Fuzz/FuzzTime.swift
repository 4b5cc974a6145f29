import Devices
import Synchronization

/// A clock that is set, with alarms that ring when it is, so that cases repeat.
final class FuzzTime: AlarmScheduler {
  private struct Alarm {
    var deadline: UInt64
    let ring: @Sendable () -> Void
  }

  private let time = Atomic<UInt64>(1_800_000_000_000_000_000)
  private let alarm = Mutex<Alarm?>(nil)

  var now: UInt64 { time.load(ordering: .relaxed) }
  func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void) {
    self.alarm.withLock { $0 = Alarm(deadline: deadline, ring: alarm) }
  }
  func disarm() { alarm.withLock { $0 = nil } }
  func stop() {}

  func set(_ now: UInt64) {
    time.store(now, ordering: .relaxed)
    let due = alarm.withLock { alarm in
      guard let set = alarm, set.deadline <= now else { return nil as Alarm? }
      alarm = nil
      return set
    }
    due?.ring()
  }

  /// Rings though it is not due, as a scheduler may.
  func ring() { alarm.withLock { $0 }?.ring() }
}
