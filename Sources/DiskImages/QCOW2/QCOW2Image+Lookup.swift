internal import HostSystem

extension QCOW2Image {
  /// A stretch of a disk whose contents are in one place.
  struct Run: Equatable {
    enum Place: Equatable {
      /// Side by side in the file, from an offset on.
      case data(host: UInt64, isCopied: Bool)
      case zero
      /// Underneath.
      case absent
      /// In a compressed cluster, by its descriptor.
      case compressed(UInt64)
    }

    let place: Place
    /// The byte of the disk behind the last.
    let end: UInt64
  }

  /// The offset of the L2 table of an L1 entry; 0 without one.
  func table(_ entry: UInt64) throws(Errno) -> UInt64 {
    let offset = entry & QCOW2Header.offsetMask
    guard offset & geometry.clusterMask == 0, offset < file.size else { throw .io }
    return offset
  }

  /// The page and index of a cluster's entry in an L2 table.
  @inline(__always)
  func entry(of cluster: UInt64, in table: UInt64) throws(Errno) -> (page: QCOW2Page, index: Int) {
    let place = (cluster & (1 << geometry.l2Bits - 1)) << geometry.entryBits
    let pageMask = UInt64(geometry.pageSize - 1)
    return (try tables.page(at: table + (place & ~pageMask)), Int((place & pageMask) >> 3))
  }

  func cluster(_ page: QCOW2Page, _ index: Int) throws(Errno) -> QCOW2Cluster {
    try QCOW2Cluster(page.word(index), bitmap: geometry.isExtended ? page.word(index + 1) : 0, geometry)
  }

  /// What an L1 table says of a disk from `position` on, up to `limit`, which is greater; not all of it at once where
  /// that would take long. The caller holds the lock.
  func run(_ l1: [UInt64], at position: UInt64, to limit: UInt64) throws(Errno) -> Run {
    let first = try part(l1, at: position, to: limit)
    var run = first
    // Bounds the time that the lock is held.
    var pagesLeft = 64
    while run.end < limit, pagesLeft > 0 {
      pagesLeft -= 1
      let next = try part(l1, at: run.end, to: limit)
      switch (run.place, next.place) {
      case (.zero, .zero), (.absent, .absent): run = Run(place: run.place, end: next.end)
      case (.data(let host, let isCopied), .data(let nextHost, let isNextCopied))
      where isCopied == isNextCopied && nextHost == host &+ (run.end - position):
        run = Run(place: run.place, end: next.end)
      default: return run
      }
    }
    return run
  }

  /// ``run(_:at:to:)`` in one page of one L2 table.
  private func part(_ l1: [UInt64], at position: UInt64, to limit: UInt64) throws(Errno) -> Run {
    let l1Index = position >> geometry.l2CoverageBits
    guard l1Index < UInt64(l1.count) else { return Run(place: .absent, end: limit) }
    let table = try table(l1[Int(l1Index)])
    guard table != 0 else {
      var index = Int(l1Index) + 1
      let last = Int(min(UInt64(l1.count), (limit - 1) >> geometry.l2CoverageBits + 1))
      while index < last, l1[index] & QCOW2Header.offsetMask == 0 { index += 1 }
      return Run(place: .absent, end: min(limit, UInt64(index) << geometry.l2CoverageBits))
    }
    var number = position >> geometry.clusterBits
    let (page, start) = try entry(of: number, in: table)
    let state = try cluster(page, start)
    let base = number << geometry.clusterBits
    if let descriptor = state.compressed {
      return Run(place: .compressed(descriptor), end: min(limit, base + geometry.clusterSize))
    }
    let sub = Int((position - base) >> geometry.subclusterBits)
    let subEnd = state.endOfRun(from: sub, geometry)
    let place: Run.Place =
      switch state.content(ofSubcluster: sub) {
      case .data: .data(host: state.host + (position - base), isCopied: state.isCopied)
      case .zero: .zero
      case .absent: .absent
      }
    if case .data = place, state.host >= file.size { throw .io }
    if geometry.isExtended || limit <= base + geometry.clusterSize {
      return Run(place: place, end: min(limit, base + UInt64(subEnd) << geometry.subclusterBits))
    }
    // Entries that go on in the same way differ by a fixed step.
    let step: UInt64 = if case .data = place { geometry.clusterSize } else { 0 }
    var expected = page.word(start) &+ step
    var index = start + 1
    let last = geometry.pageSize / 8
    let lastCluster = (limit - 1) >> geometry.clusterBits
    number += 1
    while index < last, number <= lastCluster, page.word(index) == expected {
      expected &+= step
      index += 1
      number += 1
    }
    if case .data = place, state.host + (UInt64(index - start - 1) << geometry.clusterBits) >= file.size {
      throw .io
    }
    return Run(place: place, end: min(limit, number << geometry.clusterBits))
  }

  /// Waits for `clusters` and calls a body that does without the lock.
  func working<Result>(
    on clusters: Range<UInt64>, exclusively: Bool, _ body: () throws(Errno) -> Result
  ) throws(Errno) -> Result {
    let ticket = lock.withLock { operations.enter(clusters, exclusive: exclusively, lock) }
    defer { lock.withLock { operations.leave(ticket, lock) } }
    return try body()
  }

  /// Calls a body while nobody else is at work at all, with the locks held: the disk stands still.
  func alone<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    try working(on: 0..<UInt64.max, exclusively: true) { () throws(Errno) in
      try committing.withLock { () throws(Errno) in try lock.withLock(body) }
    }
  }

  /// The clusters that a range of bytes, not empty, touches.
  func clusters(_ range: Range<UInt64>) -> Range<UInt64> {
    range.lowerBound >> geometry.clusterBits..<(range.upperBound - 1) >> geometry.clusterBits + 1
  }
}
