internal import Synchronization

/// What threads sleep by until another rings (futex(2)). Who will sleep looks at the ``position`` first, then at what it
/// waits for; a ring in between is not missed.
package final class Bell: @unchecked Sendable {  // one atomic word, whose address the kernel needs
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  package init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic(0))
  }

  deinit {
    word.deinitialize(count: 1)
    word.deallocate()
  }

  /// How often it rang.
  package var position: UInt32 { word.pointee.load(ordering: .acquiring) }

  /// Wakes up to `count` sleepers.
  package func ring(count: Int32 = .max) {
    word.pointee.wrappingAdd(1, ordering: .acquiringAndReleasing)
    futexWake(word, count: count)
  }

  /// Sleeps until the bell has rung since `position`; may return before.
  package func wait(after position: UInt32) { futexWait(word, expected: position) }
}
