internal import Synchronization

/// How often addresses were reached that have no translation: a counter for a hash of each, which tells
/// code that runs a few times from code that is worth translating. A shared counter only warms sooner, and one
/// visit of two that harts count at once may be lost.
///
/// What was counted long ago counts less, or else everything would be warm in the end.
final class HeatTable: Sendable {
  private static let size = 1 << 18
  /// Visits of a hart after which what was counted so far is halved.
  private static let period = 1 << 20
  private nonisolated(unsafe) let counters: UnsafeMutablePointer<Atomic<UInt8>>
  init() {
    counters = .allocate(capacity: Self.size)
    for index in 0..<Self.size { (counters + index).initialize(to: Atomic(0)) }
  }

  deinit { counters.deallocate() }

  /// Counts a visit and returns how many there were, at most 255. `visits`: how many the hart has counted itself
  /// since it last halved everything.
  @inline(__always) func count(_ pc: UInt64, _ visits: inout Int) -> UInt8 {
    visits &+= 1
    if visits >= Self.period {
      visits = 0
      cool()
    }
    let index = Int(truncatingIfNeeded: ((pc >> 1) ^ (pc >> 19)) & UInt64(Self.size - 1))
    let runs = counters[index].load(ordering: .relaxed)
    guard runs < .max else { return runs }
    counters[index].store(runs + 1, ordering: .relaxed)
    return runs + 1
  }

  @inline(never) private func cool() {
    for index in 0..<Self.size {
      counters[index].store(counters[index].load(ordering: .relaxed) >> 1, ordering: .relaxed)
    }
  }
}
