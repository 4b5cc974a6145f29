internal import HostSystem

/// Which clusters of the file hold the tables that are in use: data is never written there, whatever a damaged or
/// hostile table says. Guarded by the image's lock.
final class QCOW2Places {
  /// What ``QCOW2Refcounts`` throws when the counts give out a table's cluster.
  static let corruption = Errno(117 /* EUCLEAN */)

  enum Table: Hashable {
    case header, l1, refcountTable, snapshots, snapshotL1(Int)
  }

  /// Those of more than a cluster.
  private var ranges: [Table: Range<UInt64>] = [.header: 0..<1] {
    didSet { rangeList = Array(ranges.values) }
  }
  /// The same, quick to go through: every write does.
  private var rangeList = [0..<UInt64(1)]
  /// Those of one: L2 tables and refcount blocks.
  private var clusters: Set<UInt64> = []
  /// No cluster of the set is outside.
  private var bounds: Range<UInt64> = 0..<1

  /// False when the cluster is in the set already: two tables in one place.
  @discardableResult
  func insert(_ cluster: UInt64) -> Bool {
    bounds = min(bounds.lowerBound, cluster)..<max(bounds.upperBound, cluster + 1)
    return clusters.insert(cluster).inserted
  }

  func remove(_ cluster: UInt64) { clusters.remove(cluster) }

  func replace(_ table: Table, with range: Range<UInt64>?) { ranges[table] = range }

  func removeSnapshots() {
    ranges = ranges.filter { entry in
      if case .snapshotL1 = entry.key { return false }
      return entry.key != .snapshots
    }
  }

  func isUsed(_ range: Range<UInt64>) -> Bool {
    for other in rangeList where other.overlaps(range) { return true }
    for cluster in range.clamped(to: bounds) where clusters.contains(cluster) { return true }
    return false
  }

  /// Whether two of the tables share a cluster.
  var haveOverlaps: Bool {
    let sorted = ranges.values.filter { !$0.isEmpty }.sorted { $0.lowerBound < $1.lowerBound }
    for (left, right) in zip(sorted, sorted.dropFirst()) where left.upperBound > right.lowerBound {
      return true
    }
    return clusters.contains { cluster in sorted.contains { $0.contains(cluster) } }
  }
}
