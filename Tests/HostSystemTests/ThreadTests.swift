import HostSystem
import Synchronization
import Testing

@Suite struct ThreadTests {
  @Test func staysWhereItIsTold() throws {
    let all = HostSystem.Thread.usableCPUs
    #expect(!all.isEmpty)
    for cpu in all {
      let seen = Mutex<[Int]>([])
      let thread = try HostSystem.Thread.start(name: "stays") {
        try? HostSystem.Thread.stay(onCPU: cpu)
        seen.withLock { $0 = HostSystem.Thread.usableCPUs }
      }
      thread.join()
      #expect(seen.withLock { $0 } == [cpu])
    }
    #expect(HostSystem.Thread.usableCPUs == all)
    #expect(throws: Errno.self) { try HostSystem.Thread.stay(onCPU: 1 << 20) }
  }

  /// Threads that count under a lock, waiting for it or only trying, lose no count.
  @Test func locksOut() throws {
    let counter = Counter()
    let each = 20_000
    let threads = try (0..<4).map { number in
      try HostSystem.Thread.start(name: "counts\(number)") {
        for _ in 0..<each {
          if number & 1 == 0 {
            counter.lock.withLock { counter.value += 1 }
          } else {
            while counter.lock.withLockIfFree({ counter.value += 1 }) == nil { hostYield() }
          }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(counter.value == 4 * each)
    counter.lock.withLock { #expect(counter.lock.withLockIfFree {} == nil) }
    #expect(counter.lock.withLockIfFree {} != nil)
  }

  private final class Counter: @unchecked Sendable {  // under the lock
    let lock = FutexLock()
    var value = 0
  }
}
