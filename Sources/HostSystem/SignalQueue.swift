internal import CHost
internal import Glibc

/// Signals as a descriptor to poll instead of handlers (signalfd(2)). They stay blocked in the thread
/// that made the queue and in those it starts, so make it before any other thread runs.
package final class SignalQueue: Sendable {
  package let descriptor: Descriptor

  package init(_ signals: [Int32]) throws(Errno) {
    descriptor = Descriptor(owning: try check(volary_signalfd(signals, Int32(signals.count))))
  }

  /// The next signal that waits, or nil.
  package func next() -> Int32? {
    let signal = volary_signalfd_read(descriptor.raw)
    return signal > 0 ? signal : nil
  }
}
