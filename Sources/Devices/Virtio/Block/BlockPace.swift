/// Whether a disk makes requests wait, so that they are better carried out by other threads: handing one over and being
/// told takes some ten microseconds and wakes two threads. What is in the host's memory is there sooner than that.
package struct BlockPace {
  /// How it is decided.
  package enum Policy: Sendable {
    /// By how long requests took lately.
    case measured
    /// None is handed over.
    case inline
    /// Every one is.
    case helpers
  }

  /// Nanoseconds above which several requests are carried out beside each other.
  private static let slow: UInt64 = 60_000
  /// Nanoseconds above which one by itself is handed over too, for another may come.
  private static let slowAlone: UInt64 = 250_000

  private let policy: Policy
  /// How long requests took lately, in nanoseconds: flushes, and all others.
  private var flush: UInt64 = 0
  private var data: UInt64 = 0

  package init(_ policy: Policy) { self.policy = policy }

  package mutating func note(isFlush: Bool, nanoseconds: UInt64) {
    // A stop of the whole host says nothing of the disk.
    let duration = min(nanoseconds, 10_000_000)
    if isFlush {
      flush = flush - flush / 8 + duration / 8
    } else {
      data = data - data / 8 + duration / 8
    }
  }

  /// `isAlone`: no other request is there.
  package func handsOver(isFlush: Bool, isAlone: Bool) -> Bool {
    switch policy {
    case .inline: return false
    case .helpers: return true
    case .measured: return (isFlush ? flush : data) > (isAlone ? Self.slowAlone : Self.slow)
    }
  }
}
