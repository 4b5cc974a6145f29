internal import HostSystem
internal import Synchronization

/// The machine's one clock: ticks of a fixed frequency since power-on, as `time` shows them.
///
/// It follows the host's monotonic clock, or is driven by hand, so that a run repeats exactly.
package final class MachineClock: Sendable {
  /// Ticks a second.
  package static let frequency: UInt64 = 10_000_000
  /// Nanoseconds a tick.
  package static let tick: UInt64 = 1_000_000_000 / frequency

  /// The host's time at which the clock showed 0; it may wrap around, as when the clock was set ahead.
  private let start: Atomic<UInt64>
  private let manual: Atomic<UInt64>
  /// Whether ticks come from ``advance(to:)`` alone.
  package let isManual: Bool

  package init(manual isManual: Bool = false) {
    self.isManual = isManual
    manual = Atomic(0)
    start = Atomic(monotonicNanoseconds())
  }

  /// Ticks now.
  package var now: UInt64 {
    if isManual { return manual.load(ordering: .relaxed) }
    return (monotonicNanoseconds() &- start.load(ordering: .relaxed)) / Self.tick
  }

  /// Has the clock show `ticks` now, and go on from there. Nobody may read it meanwhile.
  package func set(to ticks: UInt64) {
    manual.store(ticks, ordering: .relaxed)
    start.store(monotonicNanoseconds() &- ticks &* Self.tick, ordering: .relaxed)
  }

  /// Sets a manual clock.
  package func advance(to ticks: UInt64) { manual.store(ticks, ordering: .relaxed) }

  /// Nanoseconds from now until `ticks`; 0 when past, nil when so far off that it never comes.
  package func nanoseconds(until ticks: UInt64) -> Int64? {
    let now = now
    if ticks <= now { return 0 }
    let (product, overflow) = (ticks - now).multipliedReportingOverflow(by: Self.tick)
    return overflow || product > UInt64(Int64.max) ? nil : Int64(product)
  }
}
