internal import Glibc

/// A lock that one can wait under until something has changed. Its holder may take it again, but not wait then.
final class QCOW2Lock: @unchecked Sendable {  // the C library's own objects
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    mutex.initialize(to: pthread_mutex_t())
    condition.initialize(to: pthread_cond_t())
    var attributes = pthread_mutexattr_t()
    pthread_mutexattr_init(&attributes)
    pthread_mutexattr_settype(&attributes, Int32(PTHREAD_MUTEX_RECURSIVE))
    pthread_mutex_init(mutex, &attributes)
    pthread_mutexattr_destroy(&attributes)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  @inline(__always)
  func withLock<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body()
  }

  /// Lets others have the lock until ``wakeAll()``.
  func wait() { pthread_cond_wait(condition, mutex) }

  func wakeAll() { pthread_cond_broadcast(condition) }
}

/// Who works on which clusters of a disk, in the order of arrival: those who share may be there together, one who
/// does not is alone, and nobody overtakes. Guarded by the image's lock, of which it lets go while it waits.
final class QCOW2Operations {
  typealias Ticket = UInt64

  private struct Operation {
    let ticket: Ticket
    let clusters: Range<UInt64>
    let isExclusive: Bool
  }

  private var operations: [Operation] = []
  private var nextTicket: Ticket = 0
  private var waiting = 0

  /// Returns once nobody who came earlier is in the way.
  func enter(_ clusters: Range<UInt64>, exclusive: Bool, _ lock: QCOW2Lock) -> Ticket {
    let ticket = nextTicket
    nextTicket &+= 1
    operations.append(Operation(ticket: ticket, clusters: clusters, isExclusive: exclusive))
    while isBlocked(ticket, clusters, exclusive) {
      waiting += 1
      lock.wait()
      waiting -= 1
    }
    return ticket
  }

  func leave(_ ticket: Ticket, _ lock: QCOW2Lock) {
    if let index = operations.firstIndex(where: { $0.ticket == ticket }) { operations.remove(at: index) }
    if waiting > 0 { lock.wakeAll() }
  }

  private func isBlocked(_ ticket: Ticket, _ clusters: Range<UInt64>, _ exclusive: Bool) -> Bool {
    for other in operations {
      if other.ticket == ticket { return false }
      if exclusive || other.isExclusive, other.clusters.overlaps(clusters) { return true }
    }
    return false
  }
}
