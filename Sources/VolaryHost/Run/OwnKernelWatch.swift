/// Watches over a kernel of the person's own, which has no first process of ours to say how it fares:
/// whether it speaks at all, stands still after a panic, or restarts for ever.
///
/// Times are nanoseconds of the monotonic clock.
package struct OwnKernelWatch {
  package enum Finding: Equatable {
    /// Nothing came over the console that is shown. Told once.
    case silent
    case panicked(String)
    /// It restarted so often, each time soon after its start.
    case restartsInVain(Int)
  }

  /// Time in which a kernel speaks, also on a slow host.
  package static let silence: UInt64 = 20_000_000_000
  /// Time after a panic's last line in which something else could follow it after all.
  package static let panicPatience: UInt64 = 5_000_000_000
  /// A life shorter than this got nothing done.
  package static let shortLife: UInt64 = 10_000_000_000
  package static let mostShortLives = 10

  private var startedAt: UInt64
  private var heardAt: UInt64?
  /// Whether the shown console has spoken, or its silence was told.
  private var isSilenceSettled = false
  private var shortLives = 0

  package init(now: UInt64) { startedAt = now }

  /// Something came over a console of the guest, the one that is shown or another.
  package mutating func heard(at now: UInt64, isShown: Bool) {
    heardAt = now
    if isShown { isSilenceSettled = true }
  }

  /// The guest restarts. `panic` is what its kernel said when it gave up, if it did.
  package mutating func restarted(at now: UInt64, panic: String?) -> Finding? {
    if let panic { return .panicked(panic) }
    shortLives = now - startedAt < Self.shortLife ? shortLives + 1 : 0
    startedAt = now
    return shortLives == Self.mostShortLives ? .restartsInVain(shortLives) : nil
  }

  /// When to call ``look(at:panic:)`` next; `standsStill` when a panic's last line was the last.
  package func nextLook(standsStill: Bool) -> UInt64? {
    if let heardAt, standsStill { return heardAt + Self.panicPatience }
    return isSilenceSettled ? nil : startedAt + Self.silence
  }

  /// What is to be said or done now. `panic` is what a kernel said that stands still since.
  package mutating func look(at now: UInt64, panic: String?) -> Finding? {
    guard let time = nextLook(standsStill: panic != nil), now >= time else { return nil }
    if let panic, heardAt != nil { return .panicked(panic) }
    isSilenceSettled = true
    return .silent
  }
}
