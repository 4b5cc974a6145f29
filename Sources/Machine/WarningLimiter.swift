internal import HostSystem
internal import Synchronization

/// Lets through so many lines in a while that a guest which misbehaves all the time fills no log.
final class WarningLimiter: Sendable {
  private static let burst = 10
  /// Nanoseconds until the burst is allowed again.
  private static let window: UInt64 = 10_000_000_000

  private struct State {
    var windowStart: UInt64 = 0
    var sent = 0
    var suppressed = 0
  }

  private let state = Mutex(State())
  private let send: @Sendable (String) -> Void

  init(_ send: @escaping @Sendable (String) -> Void) { self.send = send }

  func report(_ line: String) {
    let now = monotonicNanoseconds()
    let (passes, missed) = state.withLock { state -> (Bool, Int) in
      if now - state.windowStart > Self.window {
        let missed = state.suppressed
        state = State(windowStart: now, sent: 1)
        return (true, missed)
      }
      if state.sent < Self.burst {
        state.sent += 1
        return (true, 0)
      }
      state.suppressed += 1
      return (false, 0)
    }
    if missed > 0 { send("\(missed) more warnings were left out") }
    if passes { send(line) }
  }
}
