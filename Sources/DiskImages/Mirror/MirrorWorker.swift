internal import HostSystem
internal import Synchronization

/// The thread that copies regions and clears marks while the disk is used. It holds the mirror only while it works,
/// and ends with it.
final class MirrorWorker: @unchecked Sendable {  // atomics; the rest is its thread's, or set before
  /// Marks stay for so many nanoseconds after a flush, since what was written once is often written again.
  static let clearingDelay: UInt64 = 5_000_000_000
  private static let pause: Int64 = 1_000_000_000
  /// Regions that are copied between two flushes, after which they need not be copied again.
  private static let batch = 64

  /// Counts wake-ups.
  private let bell = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
  private let isStopped = Atomic(false)
  private weak var mirror: MirrorImage?
  private var thread: Thread?
  private var copied = 0

  private init(_ mirror: MirrorImage) {
    self.mirror = mirror
    bell.initialize(to: Atomic(0))
  }

  deinit { bell.deallocate() }

  static func start(_ mirror: MirrorImage) throws(Errno) -> MirrorWorker {
    let worker = MirrorWorker(mirror)
    worker.thread = try Thread.start(name: "mirror") { worker.run() }
    return worker
  }

  func wake() {
    bell.pointee.add(1, ordering: .releasing)
    futexWake(UnsafeRawPointer(bell))
  }

  func stop() {
    isStopped.store(true, ordering: .releasing)
    wake()
  }

  /// Waits for the thread's end, after ``stop()``.
  func join() { thread?.join() }

  private func run() {
    while !isStopped.load(ordering: .acquiring) {
      let seen = bell.pointee.load(ordering: .acquiring)
      guard let isBusy = step() else { return }
      if !isBusy, !isStopped.load(ordering: .acquiring) {
        futexWait(UnsafeRawPointer(bell), expected: seen, nanoseconds: Self.pause)
      }
    }
  }

  /// Whether there is more to do at once; nil when the mirror is gone. Errors are met again by the guest's own
  /// operations, and here after a pause.
  private func step() -> Bool? {
    guard let mirror else { return nil }
    do throws(Errno) {
      let hasCopied = try mirror.copyNext()
      if hasCopied { copied += 1 }
      if copied >= Self.batch || !hasCopied && mirror.isRebuilt || !hasCopied && copied > 0 {
        copied = 0
        try mirror.checkpoint(clearingAfter: Self.clearingDelay)
      } else if !hasCopied {
        try mirror.clear(after: Self.clearingDelay)
      }
      return hasCopied
    } catch {
      return false
    }
  }
}

extension MirrorImage {
  /// Whether a side has everything and is not yet current.
  fileprivate var isRebuilt: Bool {
    lock.withLock { stale.isEmpty && sidesInUse.contains { state(of: $0.index) == .rebuilding } }
  }
}
