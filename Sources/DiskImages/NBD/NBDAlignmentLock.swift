internal import Glibc

/// Changes of whole blocks share it; one of a part of a block, which reads the block and writes it again, is alone.
final class NBDAlignmentLock: @unchecked Sendable {  // pthread_rwlock_t
  private let lock: UnsafeMutablePointer<pthread_rwlock_t>

  init() {
    lock = .allocate(capacity: 1)
    pthread_rwlock_init(lock, nil)
  }

  deinit {
    pthread_rwlock_destroy(lock)
    lock.deallocate()
  }

  func with<Failure: Error>(alone: Bool, _ body: () throws(Failure) -> Void) throws(Failure) {
    if alone { pthread_rwlock_wrlock(lock) } else { pthread_rwlock_rdlock(lock) }
    defer { pthread_rwlock_unlock(lock) }
    try body()
  }
}
