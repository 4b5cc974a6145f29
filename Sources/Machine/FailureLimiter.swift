internal import HostSystem
internal import Synchronization

/// Lets through the first of equal failures, and again after a while: a guest on a full disk fails with
/// every write.
final class FailureLimiter: Sendable {
  /// Nanoseconds until the same failure is news again.
  private static let window: UInt64 = 60_000_000_000

  private let told = Mutex<[Int32: UInt64]>([:])

  /// Whether `error` is to be told now.
  func passes(_ error: Errno) -> Bool {
    let now = monotonicNanoseconds()
    return told.withLock { told in
      if let last = told[error.code], now - last < Self.window { return false }
      told[error.code] = now
      return true
    }
  }
}
