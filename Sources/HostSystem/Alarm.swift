internal import CHost

/// A descriptor that becomes ready at a moment (timerfd_create(2)).
package final class Alarm: Sendable {
  package let descriptor: Descriptor

  package init() throws(Errno) { descriptor = Descriptor(owning: try check(volary_timerfd())) }

  /// Sets the moment, on the clock of ``monotonicNanoseconds()``; nil for none. What was ready is not any more.
  package func set(_ moment: UInt64?) {
    _ = volary_timerfd_set(descriptor.raw, moment.map { max($0, 1) } ?? 0)
  }
}
