internal import CHost
internal import Glibc

/// A host thread with a name and a bounded stack, for the data path (CPUs, queues, disks): blocking
/// is its business, so it stays out of the cooperative pool.
package struct Thread: Sendable {
  private let handle: UInt64

  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Starts `body`. `name` shows in ps and top, 15 bytes of it.
  package static func start(
    name: String, stackSize: Int = 512 << 10, _ body: @escaping @Sendable () -> Void
  ) throws(Errno) -> Thread {
    let box = Unmanaged.passRetained(Body(body))
    var handle: UInt64 = 0
    let status = volary_thread_start(
      &handle, name, stackSize,
      { Unmanaged<Body>.fromOpaque($0!).takeRetainedValue().run() }, box.toOpaque())
    if status < 0 {
      box.release()
      throw Errno(-status)
    }
    return Thread(handle: handle)
  }

  /// Waits for the thread's end.
  package func join() { _ = volary_thread_join(handle) }

  /// The host's CPUs, by number, that the calling thread may run on (sched_getaffinity(2)).
  package static var usableCPUs: [Int] {
    var cpus = [UInt32](repeating: 0, count: 1024)
    let count = volary_thread_cpus(&cpus, UInt32(cpus.count))
    return cpus.prefix(Int(max(0, count))).map(Int.init)
  }

  /// Keeps the calling thread on one of the host's CPUs from now on (sched_setaffinity(2)).
  package static func stay(onCPU cpu: Int) throws(Errno) {
    let status = volary_thread_stay(UInt32(truncatingIfNeeded: cpu))
    if status < 0 { throw Errno(-status) }
  }
}

/// Sleeps while `word` holds `expected`, for at most `nanoseconds` (nil: for ever). Spurious
/// wake-ups happen: callers check their condition again (futex(2)).
package func futexWait(_ word: UnsafeRawPointer, expected: UInt32, nanoseconds: Int64? = nil) {
  _ = volary_futex_wait(word, expected, nanoseconds ?? -1)
}

/// Wakes up to `count` waiters of `word`.
package func futexWake(_ word: UnsafeRawPointer, count: Int32 = .max) {
  _ = volary_futex_wake(word, count)
}

/// Nanoseconds since some fixed moment, never going back (CLOCK_MONOTONIC).
package func monotonicNanoseconds() -> UInt64 { volary_monotonic_ns() }

/// Nanoseconds since 1970, as the host's clock has it (CLOCK_REALTIME).
package func realtimeNanoseconds() -> UInt64 { volary_realtime_ns() }

/// Lets other threads run.
package func hostYield() { sched_yield() }
