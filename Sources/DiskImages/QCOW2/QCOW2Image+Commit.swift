package import HostSystem

extension QCOW2Image {
  /// Clusters let go of at which a commit is due, so that they can be used again.
  static let manyFrees = 16384

  /// What is to be stored, as it was at one moment.
  private struct Changes {
    var counts: [QCOW2Pages.Copy] = []
    var refcountTable: [(offset: UInt64, words: ArraySlice<UInt64>)] = []
    var refcountTablePages: Set<Int> = []
    var entries: [QCOW2Pages.Copy] = []
    var l1: [(offset: UInt64, words: ArraySlice<UInt64>)] = []
    var l1Pages: Set<Int> = []
    var frees: [Range<UInt64>] = []
    var hasNewClusters = false
  }

  package func flush() throws(Errno) {
    guard !isReadOnly else { return }
    try commit()
  }

  /// A commit, if memory or the file would otherwise grow.
  func commitIfMuch() throws(Errno) {
    let isMuch = lock.withLock {
      (tables.dirtyCount + refcounts.pages.dirtyCount) * geometry.pageSize > limit
        || pendingFrees.count > Self.manyFrees
    }
    if isMuch { try commit() }
  }

  /// Makes everything durable that was written before the call, and gives back what nothing refers to then.
  func commit() throws(Errno) {
    try committing.withLock { () throws(Errno) in
      let changes = lock.withLock { takeChanges() }
      do throws(Errno) {
        try store(changes)
      } catch {
        lock.withLock { restore(changes) }
        throw error
      }
      lock.withLock {
        refcounts.pages.markStored(changes.counts)
        tables.markStored(changes.entries)
      }
      if !changes.frees.isEmpty { lower(changes.frees) }
    }
  }

  private func takeChanges() -> Changes {
    var changes = Changes()
    changes.counts = refcounts.pages.copies()
    changes.refcountTablePages = refcounts.dirtyTablePages
    changes.refcountTable = pieces(refcounts.table, refcounts.dirtyTablePages, at: refcounts.tableOffset)
    changes.entries = tables.copies()
    changes.l1Pages = dirtyL1Pages
    changes.l1 = pieces(l1, dirtyL1Pages, at: header.l1Offset)
    changes.frees = pendingFrees
    changes.hasNewClusters = hasNewClusters
    refcounts.dirtyTablePages = []
    dirtyL1Pages = []
    pendingFrees = []
    hasNewClusters = false
    return changes
  }

  private func restore(_ changes: Changes) {
    refcounts.dirtyTablePages.formUnion(changes.refcountTablePages)
    dirtyL1Pages.formUnion(changes.l1Pages)
    pendingFrees += changes.frees
    hasNewClusters = hasNewClusters || changes.hasNewClusters
  }

  private func pieces(
    _ table: [UInt64], _ pages: Set<Int>, at offset: UInt64
  ) -> [(offset: UInt64, words: ArraySlice<UInt64>)] {
    let words = geometry.pageSize / 8
    return pages.sorted().filter { $0 * words < table.count }.map { page in
      (offset + UInt64(page * geometry.pageSize), table[page * words..<min(table.count, (page + 1) * words)])
    }
  }

  private func store(_ changes: Changes) throws(Errno) {
    try QCOW2Pages.write(changes.counts, to: file)
    if changes.hasNewClusters || !changes.refcountTable.isEmpty { try file.sync() }
    if !changes.refcountTable.isEmpty {
      // A block that the table names is whole on the medium before it does.
      for (offset, words) in changes.refcountTable { try file.write(words, at: offset) }
      try file.sync()
    }
    try QCOW2Pages.write(changes.entries, to: file)
    for (offset, words) in changes.l1 { try file.write(words, at: offset) }
    try file.sync()
  }

  /// Lowers the counts of what nothing durable refers to any more. What fails is a leak and nothing worse.
  private func lower(_ frees: [Range<UInt64>]) {
    var last: [Range<UInt64>] = []
    for range in frees {
      for cluster in range {
        let isLast = lock.withLock { () -> Bool in
          guard let count = try? refcounts.count(of: cluster), count > 0 else { return false }
          if count > 1 { try? refcounts.set(cluster, to: count - 1) }
          return count == 1
        }
        guard isLast else { continue }
        if let end = last.last?.upperBound, end == cluster {
          last[last.count - 1] = last[last.count - 1].lowerBound..<cluster + 1
        } else {
          last.append(cluster..<cluster + 1)
        }
      }
    }
    for range in last {
      // Still counted, so nobody uses it while its room is given back.
      file.release(range.lowerBound << geometry.clusterBits..<range.upperBound << geometry.clusterBits)
      lock.withLock { for cluster in range { try? refcounts.set(cluster, to: 0) } }
    }
    // Not in need of a sync: until then these are leaks.
    let copies = lock.withLock { refcounts.dirtyTablePages.isEmpty ? refcounts.pages.copies() : [] }
    guard (try? QCOW2Pages.write(copies, to: file)) != nil else { return }
    lock.withLock { refcounts.pages.markStored(copies) }
  }

  /// Makes everything durable, stores the bitmaps, and lowers the last refcounts. The image may be used on; whoever writes again closes
  /// again.
  package func close() throws(Errno) {
    guard !isReadOnly else { return }
    if lock.withLock({ needsRepair }) { _ = try repair() }
    if lock.withLock({ areBitmapsInUse }) { try alone { () throws(Errno) in try storeBitmaps() } }
    try commitAll()
  }

  /// A commit, and one of what that let go of.
  func commitAll() throws(Errno) {
    try commit()
    let isMore = lock.withLock { refcounts.pages.dirtyCount > 0 }
    if isMore { try commit() }
  }
}
