/// Calls back at a time by some clock: a device's alarm.
package protocol AlarmScheduler: AnyObject, Sendable {
  /// Calls `alarm` once when the clock has reached `deadline` (in its nanoseconds), in place of what was
  /// armed before. Never calls back from within; a deadline that has passed is reached at once. The call
  /// may come although the alarm was armed anew or disarmed meanwhile.
  func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void)

  /// Forgets the alarm.
  func disarm()

  /// Ends the scheduler; returns when no call is under way.
  func stop()
}
