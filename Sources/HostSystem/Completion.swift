internal import Synchronization

/// A promise that one thread keeps and another waits for.
package final class Completion: @unchecked Sendable {  // one atomic word, whose address the kernel needs
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  package init() {
    word = .allocate(capacity: 1)
    word.initialize(to: Atomic(0))
  }

  deinit {
    word.deinitialize(count: 1)
    word.deallocate()
  }

  package func complete() {
    word.pointee.store(1, ordering: .releasing)
    futexWake(word)
  }

  package func wait() {
    while word.pointee.load(ordering: .acquiring) == 0 { futexWait(word, expected: 0) }
  }

  /// Waits for so many nanoseconds at most; whether the promise was kept by then.
  package func wait(nanoseconds: Int64) -> Bool {
    let deadline = monotonicNanoseconds().addingReportingOverflow(UInt64(max(0, nanoseconds))).partialValue
    while word.pointee.load(ordering: .acquiring) == 0 {
      let now = monotonicNanoseconds()
      guard now < deadline else { return false }
      futexWait(word, expected: 0, nanoseconds: Int64(clamping: deadline - now))
    }
    return true
  }
}
