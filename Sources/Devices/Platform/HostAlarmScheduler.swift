package import HostSystem
internal import Synchronization

/// Alarms by a thread that sleeps until the next one, to the millisecond. It holds itself until it is
/// stopped.
package final class HostAlarmScheduler: AlarmScheduler {
  private struct Guarded {
    var deadline: UInt64?
    var alarm: @Sendable () -> Void = {}
    var thread: HostSystem.Thread?
    var isStopped = false
  }

  /// What the thread is to do next.
  private enum Step {
    case sleep(milliseconds: Int32)
    case call(@Sendable () -> Void)
    case end
  }

  /// The longest sleep. The clock may be set while we sleep by another, so we look now and then.
  private static let longestSleep: UInt64 = 10_000_000_000

  private let clock: @Sendable () -> UInt64
  private let wake: EventCounter
  private let poller: Poller
  private let guarded = Mutex(Guarded())

  /// Starts the thread. `clock` is what deadlines are by, in nanoseconds. Throws `Errno` when the host has
  /// no more descriptors or threads.
  package init(clock: @escaping @Sendable () -> UInt64 = realtimeNanoseconds) throws(Errno) {
    self.clock = clock
    wake = try EventCounter()
    poller = try Poller()
    try poller.add(wake.descriptor.raw, .read, token: 0)
    let thread = try HostSystem.Thread.start(name: "alarm") { self.run() }
    guarded.withLock { $0.thread = thread }
  }

  package func arm(at deadline: UInt64, _ alarm: @escaping @Sendable () -> Void) {
    guarded.withLock {
      $0.deadline = deadline
      $0.alarm = alarm
    }
    wake.signal()
  }

  package func disarm() { guarded.withLock { $0.deadline = nil } }

  package func stop() {
    let thread = guarded.withLock { guarded in
      guarded.isStopped = true
      defer { guarded.thread = nil }
      return guarded.thread
    }
    wake.signal()
    thread?.join()
  }

  private func run() {
    while true {
      switch nextStep() {
      case .end: return
      case .call(let alarm): alarm()
      case .sleep(let milliseconds):
        // A poller of one eventfd fails only on an interruption: then we look again.
        _ = try? poller.wait(milliseconds: milliseconds)
        wake.drain()
      }
    }
  }

  private func nextStep() -> Step {
    guarded.withLock { guarded in
      if guarded.isStopped { return .end }
      guard let deadline = guarded.deadline else { return .sleep(milliseconds: -1) }
      let now = clock()
      guard now < deadline else {
        guarded.deadline = nil
        return .call(guarded.alarm)
      }
      let rest = min(deadline - now, Self.longestSleep)
      return .sleep(milliseconds: Int32((rest + 999_999) / 1_000_000))
    }
  }
}
