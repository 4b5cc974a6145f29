internal import Glibc
package import HostSystem

/// An internal snapshot, as its image lists it.
package struct QCOW2SnapshotInfo: Equatable, Sendable {
  package let id: String
  package let name: String
  /// Seconds since 1970, and the rest in nanoseconds.
  package let seconds: UInt32
  package let nanoseconds: UInt32
  /// Bytes of the disk.
  package let diskSize: UInt64
  /// Bytes of a virtual machine's state that another program stored with it.
  package let stateSize: UInt64
}

extension QCOW2Image {
  package var snapshotList: [QCOW2SnapshotInfo] {
    lock.withLock {
      snapshots.map {
        QCOW2SnapshotInfo(
          id: String(decoding: $0.id, as: UTF8.self), name: String(decoding: $0.name, as: UTF8.self),
          seconds: $0.seconds, nanoseconds: $0.nanoseconds, diskSize: $0.diskSize ?? size,
          stateSize: $0.stateSize)
      }
    }
  }

  /// The number of the snapshot of an ID or a name, in this order; `ENOENT` without one.
  private func number(ofSnapshot key: String) throws(Errno) -> Int {
    let bytes = Array(key.utf8)
    guard
      let found = snapshots.firstIndex(where: { $0.id == bytes })
        ?? snapshots.firstIndex(where: { $0.name == bytes })
    else { throw .notFound }
    return found
  }

  /// Keeps the disk as it is now under a name, which no other snapshot may have (`EEXIST`). Returns the ID. `ERANGE`
  /// when the image's refcounts are too narrow for one more. The disk stands still meanwhile.
  @discardableResult
  package func createSnapshot(_ name: String) throws(Errno) -> String {
    guard !isReadOnly else { throw Errno(EROFS) }
    guard (1...UInt16.max).contains(UInt16(clamping: name.utf8.count)), name.utf8.count <= 1023 else {
      throw .invalid
    }
    return try alone { () throws(Errno) in
      guard !snapshots.contains(where: { $0.name == Array(name.utf8) }) else { throw .exists }
      guard UInt32(snapshots.count) < QCOW2Header.maximumSnapshots else { throw .noSpace }
      guard !isCorrupt else { throw .io }
      var record = QCOW2SnapshotRecord()
      let highest = snapshots.compactMap { UInt64(String(decoding: $0.id, as: UTF8.self)) }.max() ?? 0
      record.id = Array(String(highest &+ 1).utf8)
      record.name = Array(name.utf8)
      var now = timespec()
      clock_gettime(CLOCK_REALTIME, &now)
      record.seconds = UInt32(truncatingIfNeeded: now.tv_sec)
      record.nanoseconds = UInt32(truncatingIfNeeded: now.tv_nsec)
      record.diskSize = size
      record.l1Size = UInt32(l1.count)
      try changing { () throws(Errno) in
        try share(l1)
        record.l1Offset = try storeL1(l1)
        for index in l1.indices { l1[index] &= ~QCOW2Cluster.copiedFlag }
        dirtyL1Pages.formUnion(0..<(l1.count * 8 + geometry.pageSize - 1) / geometry.pageSize)
        try commit()
        try storeSnapshots(snapshots + [record])
      }
      return String(decoding: record.id, as: UTF8.self)
    }
  }

  /// Lets go of a snapshot, by ID or name; `EBUSY` while it is open.
  package func deleteSnapshot(_ key: String) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    try alone { () throws(Errno) in
      let number = try number(ofSnapshot: key)
      guard !isCorrupt else { throw .io }
      let record = snapshots[number]
      guard openSnapshots[record.id] == nil else { throw Errno(EBUSY) }
      let old = try file.file.words(at: record.l1Offset, count: Int(record.l1Size))
      try changing { () throws(Errno) in
        var rest = snapshots
        rest.remove(at: number)
        try storeSnapshots(rest)
        try letGo(old, at: record.l1Offset)
        try commit()
        try restoreCopiedFlags()
      }
    }
  }

  /// Makes the disk what it was when a snapshot was taken; what was written since is lost. The disk has the
  /// snapshot's size then.
  package func applySnapshot(_ key: String) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    try noteChange(0..<size)
    try alone { () throws(Errno) in
      let record = snapshots[try number(ofSnapshot: key)]
      guard !isCorrupt else { throw .io }
      let oldSize = size
      let newSize = record.diskSize ?? oldSize
      let needed = geometry.l1Entries(for: newSize)
      guard needed <= QCOW2Header.maximumL1Entries, newSize % sectorSize == 0 else { throw .invalid }
      var new = try file.file.words(at: record.l1Offset, count: Int(record.l1Size))
      if UInt64(new.count) < needed { new += [UInt64](repeating: 0, count: Int(needed) - new.count) }
      for index in new.indices { new[index] &= QCOW2Header.offsetMask }
      loadAllBitmaps()
      try changing { () throws(Errno) in
        try share(new)
        let offset = try storeL1(new)
        try commit()
        let old = (l1, header.l1Offset)
        var changed = header
        changed.l1Offset = offset
        changed.l1Size = UInt32(new.count)
        changed.size = newSize
        try storeHeader(changed)
        takeL1(new)
        setSize(newSize)
        try letGo(old.0, at: old.1)
        try commit()
        try restoreCopiedFlags()
      }
      try resizeBitmaps(from: oldSize)
    }
  }

  /// A snapshot as a disk of its own that is only read. The image keeps it while it lives.
  package func openSnapshot(_ key: String) throws(Errno) -> any DiskImage {
    try alone { () throws(Errno) in
      let record = snapshots[try number(ofSnapshot: key)]
      let l1 = try file.file.words(at: record.l1Offset, count: Int(record.l1Size))
      openSnapshots[record.id, default: 0] += 1
      return QCOW2Snapshot(
        of: self, id: record.id, l1: l1, size: (record.diskSize ?? size) / sectorSize * sectorSize)
    }
  }

  func closeSnapshot(_ id: [UInt8]) {
    lock.withLock {
      let rest = (openSnapshots[id] ?? 1) - 1
      openSnapshots[id] = rest > 0 ? rest : nil
    }
  }

  // MARK: - Steps; the caller is alone

  /// Runs a change of what is shared, during which flags and counts need not agree. A failure in it is repaired.
  func changing(_ body: () throws(Errno) -> Void) throws(Errno) {
    try commit()
    if needsRepair { _ = try repairAlone() }
    try setDirty(true)
    do {
      try body()
    } catch {
      // If that fails too, the mark stays, and the next change, closing or opening does it.
      needsRepair = true
      if (try? commit()) != nil { _ = try? repairAlone() }
      throw error
    }
    try commitAll()
    try setDirty(false)
  }

  /// Adds a reference to each table of an L1 table and to what they name, and takes the mark off them that they have
  /// only one.
  private func share(_ l1: [UInt64]) throws(Errno) {
    var seen: Set<UInt64> = []
    for entry in l1 {
      let offset = try table(entry)
      guard offset != 0 else { continue }
      guard seen.insert(offset).inserted else { throw .io }
      try refcounts.raise(offset >> geometry.clusterBits)
      try forEachEntry(of: offset) { (page, index, state) throws(Errno) in
        for cluster in hosts(state) { try refcounts.raise(cluster) }
        if state.isCopied {
          var shared = state
          shared.isCopied = false
          set(shared, page, index)
        }
      }
      hasNewClusters = true
      try commitIfMuch()
    }
  }

  /// Drops a reference to an L1 table that the file does not name any more, and to all that it names.
  private func letGo(_ l1: [UInt64], at offset: UInt64) throws(Errno) {
    try letGo(l1)
    for cluster in 0..<geometry.clusters(for: UInt64(l1.count) * 8) {
      free(offset + cluster << geometry.clusterBits)
    }
  }

  /// Drops a reference to the L2 tables of entries and to all that they name.
  func letGo(_ l1: [UInt64]) throws(Errno) {
    var seen: Set<UInt64> = []
    for entry in l1 {
      guard let offset = try? table(entry), offset != 0, seen.insert(offset).inserted else { continue }
      try forEachEntry(of: offset) { (_, _, state) throws(Errno) in free(state) }
      free(offset)
      try commitIfMuch()
    }
  }

  private func forEachEntry(
    of table: UInt64, _ body: (QCOW2Page, Int, QCOW2Cluster) throws(Errno) -> Void
  ) throws(Errno) {
    let step = 1 << Int(geometry.entryBits - 3)
    for number in 0..<geometry.clusterSize / UInt64(geometry.pageSize) {
      let page = try tables.page(at: table + number << geometry.pageBits)
      for index in stride(from: 0, to: geometry.pageSize / 8, by: step) where page.word(index) != 0 {
        try body(page, index, try cluster(page, index))
      }
    }
  }

  /// The host clusters that a state refers to.
  private func hosts(_ state: QCOW2Cluster) -> Range<UInt64> {
    if let descriptor = state.compressed {
      return clusters(QCOW2Cluster.compressedRange(descriptor, geometry))
    }
    let first = state.host >> geometry.clusterBits
    return first..<first + (state.host == 0 ? 0 : 1)
  }

  /// Writes an L1 table, or a bitmap's, to a place of its own, which nothing refers to yet.
  func storeL1(_ l1: [UInt64], keepingFlags: Bool = false) throws(Errno) -> UInt64 {
    guard !l1.isEmpty else { return 0 }
    let count = geometry.clusters(for: UInt64(l1.count) * 8)
    let run = try guardingTables { () throws(Errno) in try refcounts.allocate(contiguous: count) }
    let offset = run.lowerBound << geometry.clusterBits
    var words = keepingFlags ? l1 : l1.map { $0 & ~QCOW2Cluster.copiedFlag }
    words += [UInt64](repeating: 0, count: Int(count << geometry.clusterBits) / 8 - words.count)
    try file.write(words[...], at: offset)
    hasNewClusters = true
    return offset
  }

  /// Uses an L1 table that the header names now.
  func takeL1(_ new: [UInt64]) {
    for entry in l1 where entry & QCOW2Header.offsetMask != 0 {
      places.remove((entry & QCOW2Header.offsetMask) >> geometry.clusterBits)
    }
    l1 = new
    dirtyL1Pages = []
    for entry in new where entry & QCOW2Header.offsetMask != 0 {
      places.insert((entry & QCOW2Header.offsetMask) >> geometry.clusterBits)
    }
    learnRanges()
  }

  /// Writes a snapshot table to a new place and makes the header name it.
  private func storeSnapshots(_ records: [QCOW2SnapshotRecord]) throws(Errno) {
    let bytes = records.flatMap { $0.encoded() }
    guard bytes.count <= QCOW2SnapshotRecord.maximumTableSize else { throw .noSpace }
    var new = header
    new.snapshotCount = UInt32(records.count)
    new.snapshotsOffset = 0
    if !bytes.isEmpty {
      let count = geometry.clusters(for: UInt64(bytes.count))
      let run = try guardingTables { () throws(Errno) in try refcounts.allocate(contiguous: count) }
      new.snapshotsOffset = run.lowerBound << geometry.clusterBits
      let padding = Int(count << geometry.clusterBits) - bytes.count
      try file.write(bytes + [UInt8](repeating: 0, count: padding), at: new.snapshotsOffset)
      hasNewClusters = true
    }
    try commit()
    let old = (header.snapshotsOffset, geometry.clusters(for: snapshotTableSize))
    try storeHeader(new)
    snapshots = records
    snapshotTableSize = UInt64(bytes.count)
    learnRanges()
    for cluster in 0..<old.1 { free(old.0 + cluster << geometry.clusterBits) }
  }
}
