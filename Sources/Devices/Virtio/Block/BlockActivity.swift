internal import Synchronization

/// What a disk has done for its driver, in requests and bytes that succeeded.
package struct BlockActivity: Equatable, Sendable {
  package var reads: UInt64
  package var writes: UInt64
  package var bytesRead: UInt64
  package var bytesWritten: UInt64
  package var flushes: UInt64

  package init(
    reads: UInt64 = 0, writes: UInt64 = 0, bytesRead: UInt64 = 0, bytesWritten: UInt64 = 0,
    flushes: UInt64 = 0
  ) {
    self.reads = reads
    self.writes = writes
    self.bytesRead = bytesRead
    self.bytesWritten = bytesWritten
    self.flushes = flushes
  }
}

/// Counts it: the device's worker alone, while any thread may ask.
final class BlockCounters: Sendable {
  private let reads = Atomic<UInt64>(0)
  private let writes = Atomic<UInt64>(0)
  private let bytesRead = Atomic<UInt64>(0)
  private let bytesWritten = Atomic<UInt64>(0)
  private let flushes = Atomic<UInt64>(0)

  func count(_ operation: BlockTask.Operation, bytes: Int) {
    switch operation {
    case .read:
      reads.wrappingAdd(1, ordering: .relaxed)
      bytesRead.wrappingAdd(UInt64(bytes), ordering: .relaxed)
    case .write:
      writes.wrappingAdd(1, ordering: .relaxed)
      bytesWritten.wrappingAdd(UInt64(bytes), ordering: .relaxed)
    case .flush: flushes.wrappingAdd(1, ordering: .relaxed)
    case .discard, .writeZeroes: break
    }
  }

  var activity: BlockActivity {
    BlockActivity(
      reads: reads.load(ordering: .relaxed), writes: writes.load(ordering: .relaxed),
      bytesRead: bytesRead.load(ordering: .relaxed), bytesWritten: bytesWritten.load(ordering: .relaxed),
      flushes: flushes.load(ordering: .relaxed))
  }
}
