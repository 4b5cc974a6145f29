package import HostSystem

extension QCOW2Image {
  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkChange(offset, UInt64(buffer.count))
    guard !buffer.isEmpty else { return }
    try noteChange(offset..<offset + UInt64(buffer.count))
    var done = 0
    while done < buffer.count {
      let rest = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let position = offset + UInt64(done)
      let step = try writeInPlace(at: position, from: rest)
      done += step > 0 ? step : try writeAllocating(at: position, from: rest)
    }
  }

  /// Writes as much as may be overwritten in place and lies side by side in the file; returns how much.
  private func writeInPlace(at position: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    let end = position + UInt64(buffer.count)
    let clusters = clusters(position..<end)
    let found = try lock.withLock { () throws(Errno) -> (QCOW2Operations.Ticket, UInt64, UInt64)? in
      let ticket = operations.enter(clusters, exclusive: false, lock)
      do throws(Errno) {
        let run = try run(l1, at: position, to: end)
        if case .data(let host, true) = run.place {
          try checkOverwriting(host..<host + (run.end - position))
          return (ticket, host, run.end)
        }
      } catch {
        operations.leave(ticket, lock)
        throw error
      }
      operations.leave(ticket, lock)
      return nil
    }
    guard let (ticket, host, stop) = found else { return 0 }
    defer { lock.withLock { operations.leave(ticket, lock) } }
    let count = Int(stop - position)
    try file.write(at: host, from: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    return count
  }

  /// Refuses to write contents over a table. The caller holds the lock.
  func checkOverwriting(_ host: Range<UInt64>) throws(Errno) {
    try guardingTables { () throws(Errno) in
      if places.isUsed(clusters(host)) { throw QCOW2Places.corruption }
    }
  }

  /// Where contents go that cannot be written in place.
  private struct Plan {
    /// Where the table's entry of the first cluster is.
    let table: UInt64
    /// What the clusters were before.
    let states: [QCOW2Cluster]
    let host: UInt64
    /// Whether the host clusters are new; otherwise there is one, which was reserved or is partly used.
    let isNew: Bool
    /// Whether what is not written there reads as zero.
    let isFresh: Bool
  }

  /// Writes the beginning of `buffer` to new clusters side by side, or to a reserved one; returns how much.
  private func writeAllocating(at position: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) -> Int
  {
    try commitIfMuch()
    let end = min(position + UInt64(buffer.count), pieceEnd(from: position))
    let clusters = clusters(position..<end)
    return try working(on: clusters, exclusively: true) { () throws(Errno) in
      try allocateAndWrite(at: position, to: end, buffer)
    }
  }

  /// ``writeAllocating(at:from:)`` for who is alone on the clusters up to `end`, which are of one page.
  func allocateAndWrite(
    at position: UInt64, to end: UInt64, _ buffer: UnsafeRawBufferPointer
  ) throws(Errno) -> Int {
    let clusters = clusters(position..<end)
    let plan = try lock.withLock { () throws(Errno) in
      try guardingTables { () throws(Errno) in try prepare(clusters) }
    }
    let first = clusters.lowerBound
    let stop = min(end, (first + UInt64(plan.states.count)) << geometry.clusterBits)
    let part = UnsafeRawBufferPointer(rebasing: buffer[..<Int(stop - position)])
    do throws(Errno) {
      try fill(plan, position..<stop, part)
      try lock.withLock { () throws(Errno) in try link(plan, first, position..<stop) }
    } catch {
      if plan.isNew { lock.withLock { release(plan.host, count: plan.states.count) } }
      throw error
    }
    return part.count
  }

  /// Where an operation from `position` on ends at most: with a page of the table, and not too far away.
  func pieceEnd(from position: UInt64) -> UInt64 {
    let pageEnd = (position / geometry.pageCoverage + 1) * geometry.pageCoverage
    let far = (position & ~geometry.clusterMask) + max(Self.pieceSize, geometry.clusterSize)
    return min(pageEnd, far)
  }

  /// Takes clusters for the first of `clusters`, as many as are alike. The caller holds the lock.
  private func prepare(_ clusters: Range<UInt64>) throws(Errno) -> Plan {
    let table = try writableTable(Int(clusters.lowerBound >> geometry.l2Bits))
    let (page, index) = try entry(of: clusters.lowerBound, in: table)
    let step = 1 << Int(geometry.entryBits - 3)
    let first = try cluster(page, index)
    if first.host != 0, first.isCopied {
      try checkOverwriting(first.host..<first.host + geometry.clusterSize)
      return Plan(table: table, states: [first], host: first.host, isNew: false, isFresh: false)
    }
    var states = [first]
    while states.count < clusters.count {
      let state = try cluster(page, index + states.count * step)
      if state.host != 0, state.isCopied { break }
      states.append(state)
    }
    let run = try refcounts.allocate(upTo: UInt64(states.count))
    let host = run.lowerBound << geometry.clusterBits
    return Plan(
      table: table, states: Array(states.prefix(run.count)), host: host, isNew: true,
      isFresh: host >= file.size)
  }

  /// Gives back what nothing refers to. The caller holds the lock.
  private func release(_ host: UInt64, count: Int) {
    for cluster in 0..<UInt64(count) { try? refcounts.set(host >> geometry.clusterBits + cluster, to: 0) }
  }

  /// The L2 table of an L1 entry, made or copied where it must be. The caller holds the lock.
  func writableTable(_ l1Index: Int) throws(Errno) -> UInt64 {
    guard l1Index < l1.count else { throw .io }
    let old = try table(l1[l1Index])
    if old != 0, l1[l1Index] & QCOW2Cluster.copiedFlag != 0 { return old }
    let run = try refcounts.allocate(upTo: 1)
    let new = run.lowerBound << geometry.clusterBits
    do throws(Errno) {
      if old == 0 {
        try file.fillWithZeroes(at: new, count: geometry.clusterSize)
      } else {
        // Nothing of a shared table is changed in memory alone.
        let contents = QCOW2Buffer(count: Int(geometry.clusterSize))
        try file.read(at: old, into: contents.bytes)
        try file.write(at: new, from: UnsafeRawBufferPointer(contents.bytes))
      }
    } catch {
      release(new, count: 1)
      throw error
    }
    tables.forget(new..<new + geometry.clusterSize)
    if old != 0 {
      places.remove(old >> geometry.clusterBits)
      free(old)
    }
    places.insert(run.lowerBound)
    l1[l1Index] = new | QCOW2Cluster.copiedFlag
    dirtyL1Pages.insert(l1Index * 8 / geometry.pageSize)
    hasNewClusters = true
    return new
  }

  /// Lets go of a host cluster, once that is durable. The caller holds the lock.
  func free(_ host: UInt64) {
    let cluster = host >> geometry.clusterBits
    if let last = pendingFrees.last, last.upperBound == cluster {
      pendingFrees[pendingFrees.count - 1] = last.lowerBound..<cluster + 1
    } else {
      pendingFrees.append(cluster..<cluster + 1)
    }
  }

  /// Lets go of what a state refers to, a table's own entry. The caller holds the lock.
  func free(_ state: QCOW2Cluster) {
    if let descriptor = state.compressed {
      let range = QCOW2Cluster.compressedRange(descriptor, geometry)
      for cluster in clusters(range) { free(cluster << geometry.clusterBits) }
      compressor.forget()
      compressedEnd = 0
    } else if state.host != 0 {
      free(state.host)
    }
  }

  // MARK: - Contents

  /// What must be put around the written bytes in one cluster: the rest of subclusters that are touched, and those
  /// that would be lost.
  private func surroundings(_ state: QCOW2Cluster, _ base: UInt64, _ written: Range<UInt64>, isNew: Bool)
    -> [Range<UInt64>]
  {
    var found: [Range<UInt64>] = []
    func add(_ range: Range<UInt64>) {
      guard !range.isEmpty else { return }
      if let last = found.last, last.upperBound == range.lowerBound {
        found[found.count - 1] = last.lowerBound..<range.upperBound
      } else {
        found.append(range)
      }
    }
    for index in 0..<geometry.subclusters {
      let start = base + UInt64(index) << geometry.subclusterBits
      let sub = start..<start + geometry.subclusterSize
      let isHeld = state.compressed != nil || state.allocated >> UInt32(index) & 1 != 0
      if sub.overlaps(written) {
        guard isNew || !isHeld else { continue }
        add(sub.lowerBound..<max(sub.lowerBound, min(written.lowerBound, sub.upperBound)))
        add(min(sub.upperBound, max(written.upperBound, sub.lowerBound))..<sub.upperBound)
      } else if isNew, isHeld {
        add(sub)
      }
    }
    return found
  }

  /// Writes contents and what must be around them.
  private func fill(_ plan: Plan, _ range: Range<UInt64>, _ part: UnsafeRawBufferPointer) throws(Errno) {
    let firstBase = range.lowerBound & ~geometry.clusterMask
    let lastBase = (range.upperBound - 1) & ~geometry.clusterMask
    var around: [(state: QCOW2Cluster, range: Range<UInt64>)] = []
    for base in firstBase == lastBase ? [firstBase] : [firstBase, lastBase] {
      let state = plan.states[Int((base - firstBase) >> geometry.clusterBits)]
      let written = range.clamped(to: base..<base + geometry.clusterSize)
      for piece in surroundings(state, base, written, isNew: plan.isNew)
      where !(plan.isFresh && readsAsZero(state, piece)) {
        around.append((state, piece))
      }
    }
    let host = { (position: UInt64) in plan.host + (position - firstBase) }
    guard !around.isEmpty else { return try file.write(at: host(range.lowerBound), from: part) }
    // One write of everything, where that is not much and side by side.
    let start = min(range.lowerBound, around[0].range.lowerBound)
    let end = max(range.upperBound, around[around.count - 1].range.upperBound)
    let total = around.reduce(range.upperBound - range.lowerBound) {
      $0 + $1.range.upperBound - $1.range.lowerBound
    }
    if end - start == total, total <= 256 << 10 {
      let joined = QCOW2Buffer(count: Int(total))
      for (state, piece) in around {
        try read(state, piece, into: joined[Int(piece.lowerBound - start)..<Int(piece.upperBound - start)])
      }
      joined[Int(range.lowerBound - start)..<Int(range.upperBound - start)].copyMemory(from: part)
      return try file.write(at: host(start), from: UnsafeRawBufferPointer(joined[0..<Int(total)]))
    }
    try file.write(at: host(range.lowerBound), from: part)
    for (state, piece) in around {
      let contents = QCOW2Buffer(count: Int(piece.upperBound - piece.lowerBound))
      try read(state, piece, into: contents.bytes)
      try file.write(at: host(piece.lowerBound), from: UnsafeRawBufferPointer(contents.bytes))
    }
  }

  /// Makes the table say where the contents are now. The caller holds the lock.
  private func link(_ plan: Plan, _ first: UInt64, _ range: Range<UInt64>) throws(Errno) {
    let (page, index) = try entry(of: first, in: plan.table)
    let step = 1 << Int(geometry.entryBits - 3)
    for (number, old) in plan.states.enumerated() {
      let base = (first + UInt64(number)) << geometry.clusterBits
      guard base < range.upperBound else { break }
      let written = range.clamped(to: base..<base + geometry.clusterSize)
      let touched = subclusters(written.lowerBound - base..<written.upperBound - base)
      var new = QCOW2Cluster()
      new.host = plan.host + UInt64(number) << geometry.clusterBits
      new.isCopied = true
      new.allocated = (old.compressed != nil ? geometry.allSubclusters : old.allocated) | touched
      new.zeroes = old.zeroes & ~touched
      guard new != old else { continue }
      set(new, page, index + number * step)
      if plan.isNew { free(old) }
    }
    hasNewClusters = true
  }

  func set(_ state: QCOW2Cluster, _ page: QCOW2Page, _ index: Int) {
    let (entry, bitmap) = state.encoded(geometry)
    tables.setWord(index, of: page, to: entry)
    if geometry.isExtended { tables.setWord(index + 1, of: page, to: bitmap) }
  }

  /// A bit for each subcluster that a range of bytes inside a cluster, not empty, touches.
  func subclusters(_ range: Range<UInt64>) -> UInt32 {
    let first = range.lowerBound >> geometry.subclusterBits
    let last = (range.upperBound - 1) >> geometry.subclusterBits
    return UInt32.max >> UInt32(31 - last) & ~(1 << UInt32(first) &- 1)
  }
}
