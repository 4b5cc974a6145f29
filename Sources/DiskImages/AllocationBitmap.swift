internal import HostSystem
internal import Synchronization

/// Which clusters of an overlay are its own, one bit each; bits are only ever set. Any thread may ask
/// and set. Which parts differ from the file is kept too, in blocks.
final class AllocationBitmap: @unchecked Sendable {  // the words are atomic; the rest is immutable or locked
  /// Bytes of the bitmap that are written to the file at once.
  static let blockSize = 4096
  private static let wordsInBlock = UInt64(blockSize / 8)

  let clusterCount: UInt64
  private let memory: Mapping
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let dirtyBlocks = Mutex<Set<Int>>([])

  /// A bitmap with no bit set.
  init(clusterCount: UInt64) throws(Errno) {
    self.clusterCount = clusterCount
    memory = try Mapping.map(
      size: Int((clusterCount - 1) / 8) / Self.blockSize * Self.blockSize + Self.blockSize)
    words = memory.base.assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  /// The whole bitmap, to be filled from the file before anybody else knows it.
  var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: memory.base, count: memory.size)
  }

  /// Whether a bit is set behind the last cluster's, as no sound file has it.
  var hasStrayBits: Bool {
    let end = UInt64(memory.size) * 8
    return clusterCount < end && run(from: clusterCount, to: end) != Run(isAllocated: false, end: end)
  }

  /// Clusters side by side of which all or none are allocated.
  struct Run: Equatable {
    let isAllocated: Bool
    /// The first cluster behind.
    let end: UInt64
  }

  /// The run that begins at a cluster, cut at `limit`, which is greater.
  func run(from first: UInt64, to limit: UInt64) -> Run {
    let isAllocated = word(first / 64) >> (first % 64) & 1 == 1
    var cluster = first
    while cluster < limit {
      let bits = word(cluster / 64)
      // Ones where the run ends.
      let others = (isAllocated ? ~bits : bits) >> (cluster % 64)
      if others != 0 {
        return Run(isAllocated: isAllocated, end: min(limit, cluster + UInt64(others.trailingZeroBitCount)))
      }
      cluster = (cluster / 64 + 1) * 64
    }
    return Run(isAllocated: isAllocated, end: limit)
  }

  func isAllocated(_ clusters: Range<UInt64>) -> Bool {
    run(from: clusters.lowerBound, to: clusters.upperBound)
      == Run(isAllocated: true, end: clusters.upperBound)
  }

  /// Sets bits, after the clusters' contents have been written.
  func set(_ clusters: Range<UInt64>) {
    var cluster = clusters.lowerBound
    while cluster < clusters.upperBound {
      let end = min(clusters.upperBound, (cluster / 64 + 1) * 64)
      let bits = (UInt64.max >> (64 - (end - cluster))) << (cluster % 64)
      words[Int(cluster / 64)].bitwiseOr(bits, ordering: .releasing)
      cluster = end
    }
    let bitsInBlock = Self.wordsInBlock * 64
    dirtyBlocks.withLock { blocks in
      for block in clusters.lowerBound / bitsInBlock...(clusters.upperBound - 1) / bitsInBlock {
        blocks.insert(Int(block))
      }
    }
  }

  /// The numbers and contents of the blocks that changed since the last call.
  func takeDirtyBlocks() -> [(block: Int, contents: [UInt64])] {
    let blocks = dirtyBlocks.withLock { blocks in
      let taken = blocks
      blocks = []
      return taken
    }
    return blocks.sorted().map { block in
      let first = UInt64(block) * Self.wordsInBlock
      return (block, (first..<first + Self.wordsInBlock).map { word($0).littleEndian })
    }
  }

  /// Counts blocks as changed again, when they could not be written.
  func markDirty(_ blocks: [Int]) {
    dirtyBlocks.withLock { $0.formUnion(blocks) }
  }

  private func word(_ index: UInt64) -> UInt64 { words[Int(index)].load(ordering: .acquiring) }
}
