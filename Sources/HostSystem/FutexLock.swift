internal import Synchronization

/// A lock that costs one atomic step each way while nobody waits, also where it is only tried: the standard library's
/// asks the kernel before it gives up. Not fair, and not to be taken twice by one thread.
///
/// The word is 0 while the lock is free, 1 while somebody has it, and 2 while somebody may be waiting too.
package struct FutexLock: ~Copyable, @unchecked Sendable {  // atomic
  private let word: UnsafeMutablePointer<Atomic<UInt32>>

  /// Bytes of a line of the host's caches: whoever tries the lock disturbs no neighbour.
  private static let lineSize = 64
  /// Times that a thread looks before it sleeps.
  private static let looks = 100

  package init() {
    word = UnsafeMutableRawPointer.allocate(byteCount: Self.lineSize, alignment: Self.lineSize)
      .bindMemory(to: Atomic<UInt32>.self, capacity: 1)
    word.initialize(to: Atomic(0))
  }

  deinit { UnsafeMutableRawPointer(word).deallocate() }

  /// Calls `body` once nobody else has the lock.
  @inline(__always)
  package func withLock<Result: ~Copyable>(_ body: () -> Result) -> Result {
    if !take() { wait() }
    defer { free() }
    return body()
  }

  /// Calls `body` if nobody else has the lock; otherwise nil.
  @inline(__always)
  package func withLockIfFree<Result: ~Copyable>(_ body: () -> Result) -> Result? {
    guard take() else { return nil }
    defer { free() }
    return body()
  }

  @inline(__always) private func take() -> Bool {
    word.pointee.load(ordering: .relaxed) == 0
      && word.pointee.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged
  }

  @inline(never) private func wait() {
    for _ in 0..<Self.looks where take() { return }
    while word.pointee.exchange(2, ordering: .acquiring) != 0 {
      futexWait(UnsafeRawPointer(word), expected: 2)
    }
  }

  @inline(__always) private func free() {
    if word.pointee.exchange(0, ordering: .releasing) == 2 { futexWake(UnsafeRawPointer(word), count: 1) }
  }
}
