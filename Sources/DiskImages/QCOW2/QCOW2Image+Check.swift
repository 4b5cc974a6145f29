package import HostSystem

/// What a check found, as `qemu-img check` counts it.
package struct QCOW2CheckResult: Equatable, Sendable {
  /// What may show wrong contents, now or after a write.
  package var corruptions = 0
  /// Clusters that are counted as used more often than they are: lost room.
  package var leaks = 0
  /// Clusters of the file that are in use.
  package var usedClusters: UInt64 = 0
  /// What is wrong, the first twenty.
  package var messages: [String] = []

  package var isClean: Bool { corruptions == 0 && leaks == 0 }
}

extension QCOW2Image {
  /// Counts all references anew and compares. The disk stands still meanwhile.
  package func check() throws(Errno) -> QCOW2CheckResult {
    try alone { () throws(Errno) in
      try commitAll()
      return try compare(try census())
    }
  }

  /// Checks an image that nobody has open, whatever it is like; its backing image is not needed.
  package static func check(file: any ImageFile) throws(DiskImageError) -> QCOW2CheckResult {
    let image = try QCOW2Image(examining: file)
    do {
      return try image.alone { () throws(Errno) in try image.compare(try image.census()) }
    } catch {
      throw .system(name: file.name, operation: "check", error)
    }
  }

  /// Sets refcounts and what follows from them right in an image that nobody has open, and unmarks it as corrupt
  /// where nothing else is wrong. Returns what is wrong still.
  package static func repair(file: any ImageFile) throws(DiskImageError) -> QCOW2CheckResult {
    let image = try QCOW2Image(examining: file)
    do {
      let result = try image.alone { () throws(Errno) in try image.repairAlone() }
      image.forgetChanges()
      return result
    } catch {
      image.forgetChanges()
      throw .system(name: file.name, operation: "repair", error)
    }
  }

  /// ``repair(file:)`` for an image that is open.
  package func repair() throws(Errno) -> QCOW2CheckResult {
    guard !isReadOnly else { throw Errno(30 /* EROFS */) }
    return try alone { () throws(Errno) in
      try commit()
      return try repairAlone()
    }
  }

  // MARK: - Counting

  /// The caller is alone, and nothing is changed in memory alone.
  func census() throws(Errno) -> QCOW2Census {
    let census = try QCOW2Census(size: try file.file.size(), geometry)
    census.add(0, geometry.clusterSize, "the header")
    if !l1.isEmpty { census.add(header.l1Offset, UInt64(l1.count) * 8, "the L1 table") }
    let entries = snapshots.reduce(UInt64(l1.count)) { $0 + UInt64($1.l1Size) }
    guard entries <= QCOW2Census.maximumL1Entries else { throw Errno(27 /* EFBIG */) }
    census.add(l1)
    for snapshot in snapshots {
      if snapshot.l1Size > 0 {
        census.add(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8, "a snapshot's L1 table")
      }
      census.add(try file.file.words(at: snapshot.l1Offset, count: Int(snapshot.l1Size)))
    }
    if !snapshots.isEmpty { census.add(header.snapshotsOffset, snapshotTableSize, "the snapshot table") }
    try census.countTables(in: file)
    try countBitmaps(census)
    return census
  }

  /// Adds what the refcounts take themselves; false where they do not hold together.
  private func addRefcounts(_ census: QCOW2Census) -> Bool {
    var isSound = census.add(
      refcounts.tableOffset, UInt64(header.refcountTableClusters) << geometry.clusterBits,
      "the refcount table")
    for offset in refcounts.table where offset != 0 {
      guard offset & geometry.clusterMask == 0 else {
        census.corruption("a refcount block at \(offset), which is no cluster's beginning")
        isSound = false
        continue
      }
      if !census.add(offset, geometry.clusterSize, "a refcount block") { isSound = false }
    }
    // What somebody else uses too must not be set right in place.
    let tableFirst = refcounts.tableOffset >> geometry.clusterBits
    for cluster in tableFirst..<tableFirst + UInt64(header.refcountTableClusters) where census[cluster] != 1 {
      isSound = false
    }
    for offset in refcounts.table where offset != 0 && census[offset >> geometry.clusterBits] != 1 {
      isSound = false
    }
    return isSound
  }

  private func compare(_ census: QCOW2Census) throws(Errno) -> QCOW2CheckResult {
    var result = QCOW2CheckResult()
    _ = addRefcounts(census)
    try forEachDifference(census) { (cluster, count, found) throws(Errno) in
      if found > count {
        result.leaks += 1
        if result.messages.count < 20 {
          result.messages.append("cluster \(cluster) is counted \(found), not \(count)")
        }
      } else {
        census.corruption("cluster \(cluster) is counted \(found), not \(count)")
      }
    }
    for cluster in 0..<census.clusterCount where census[cluster] > 0 { result.usedClusters += 1 }
    try forEachWrongFlag { (what) throws(Errno) in
      census.corruption(what)
    } counts: { (cluster) throws(Errno) in
      try refcounts.count(of: cluster)
    }
    result.corruptions = census.corruptions
    result.messages = Array((census.messages + result.messages).prefix(20))
    return result
  }

  /// Calls a body for each cluster whose count in the file is not what it should be.
  private func forEachDifference(
    _ census: QCOW2Census, _ body: (UInt64, UInt64, UInt64) throws(Errno) -> Void
  ) throws(Errno) {
    let perBlock = UInt64(1) << geometry.blockBits
    let blocks = max(
      UInt64(refcounts.table.count), (census.clusterCount + perBlock - 1) >> geometry.blockBits)
    for block in 0..<blocks {
      let first = block << geometry.blockBits
      let offset = block < UInt64(refcounts.table.count) ? refcounts.table[Int(block)] : 0
      if offset == 0 || offset & geometry.clusterMask != 0 || offset >= file.size {
        guard first < census.clusterCount else { continue }
        for cluster in first..<min(first + perBlock, census.clusterCount) where census[cluster] != 0 {
          try body(cluster, census[cluster], 0)
        }
        continue
      }
      for cluster in first..<first + perBlock {
        let found = try refcounts.count(of: cluster)
        let count = census[cluster]
        if found != count { try body(cluster, count, found) }
      }
    }
  }

  /// Calls a body for each entry of the active tables whose flag does not say whether its cluster is its alone, after
  /// setting it right where the image may be written and `fixing` is asked for.
  private func forEachWrongFlag(
    fixing: Bool = false, _ body: (String) throws(Errno) -> Void, counts: (UInt64) throws(Errno) -> UInt64
  ) throws(Errno) {
    let flag = QCOW2Cluster.copiedFlag
    var seen: Set<UInt64> = []
    for index in l1.indices {
      let offset = l1[index] & QCOW2Header.offsetMask
      guard offset != 0, offset & geometry.clusterMask == 0, offset < file.size,
        seen.insert(offset).inserted
      else { continue }
      let isAlone = try counts(offset >> geometry.clusterBits) == 1
      if isAlone != (l1[index] & flag != 0) {
        if fixing {
          l1[index] = l1[index] & ~flag | (isAlone ? flag : 0)
          dirtyL1Pages.insert(index * 8 / geometry.pageSize)
        }
        try body("L1 entry \(index) has a wrong copied flag")
      }
      let step = 1 << Int(geometry.entryBits - 3)
      for number in 0..<geometry.clusterSize / UInt64(geometry.pageSize) {
        let page = try tables.page(at: offset + number << geometry.pageBits)
        for word in stride(from: 0, to: geometry.pageSize / 8, by: step) {
          let entry = page.word(word)
          if entry == 0 { continue }
          guard entry & QCOW2Cluster.compressedFlag == 0,
            entry & QCOW2Header.offsetMask & geometry.clusterMask == 0
          else { continue }
          let host = entry & QCOW2Header.offsetMask
          let isAlone = host == 0 ? false : try counts(host >> geometry.clusterBits) == 1
          guard isAlone != (entry & flag != 0) else { continue }
          if fixing { tables.setWord(word, of: page, to: entry & ~flag | (isAlone ? flag : 0)) }
          try body("the cluster at \(host) has a wrong copied flag")
        }
        if fixing, tables.dirtyCount * geometry.pageSize > limit { try commit() }
      }
    }
  }

  // MARK: - Repairing

  /// Sets the copied flags of the active tables by the refcounts. The caller is alone.
  func restoreCopiedFlags() throws(Errno) {
    try forEachWrongFlag(fixing: true) { (_) throws(Errno) in
    } counts: { (cluster) throws(Errno) in
      try refcounts.count(of: cluster)
    }
  }

  /// The caller is alone. Refcounts are set to what is counted, or made anew where they do not hold together.
  func repairAlone() throws(Errno) -> QCOW2CheckResult {
    try setDirty(true)
    compressedEnd = 0
    var census = try census()
    var isSound = addRefcounts(census)
    if isSound {
      // A count without a block cannot be set in place: the block's own place may be taken.
      try forEachDifference(census) { (cluster, _, _) throws(Errno) in
        if cluster >= refcounts.coverage || refcounts.table[Int(cluster >> geometry.blockBits)] == 0 {
          isSound = false
        }
      }
    }
    if isSound {
      try forEachDifference(census) { (cluster, count, _) throws(Errno) in
        try refcounts.set(cluster, to: min(count, geometry.maximumRefcount))
        if refcounts.pages.dirtyCount * geometry.pageSize > limit { try storeCounts() }
      }
      try storeCounts()
    } else {
      census = try self.census()
      try rebuildRefcounts(census)
    }
    try file.sync()
    try restoreCopiedFlags()
    try commit()
    let result = try compare(try self.census())
    var new = header
    new.incompatible &= ~QCOW2Header.Features.dirty
    if result.corruptions == 0 {
      new.incompatible &= ~QCOW2Header.Features.corrupt
      isCorrupt = false
    }
    if new != header { try storeHeader(new) }
    needsRepair = false
    return result
  }

  /// Writes the changed refcounts, without a sync.
  private func storeCounts() throws(Errno) {
    let copies = refcounts.pages.copies()
    try QCOW2Pages.write(copies, to: file)
    refcounts.pages.markStored(copies)
  }

  /// Writes a new refcount table and blocks behind everything else.
  private func rebuildRefcounts(_ census: QCOW2Census) throws(Errno) {
    let start = max(census.clusterCount, 1)
    let entries = geometry.clusterSize / 8
    var blocks: UInt64 = 1
    var tableClusters: UInt64 = 1
    while true {
      let end = start + tableClusters + blocks
      let blocksNeeded = (end + (1 << geometry.blockBits - 1)) >> geometry.blockBits
      let tableNeeded = (blocksNeeded + entries - 1) / entries
      if blocksNeeded <= blocks, tableNeeded <= tableClusters { break }
      blocks = max(blocks, blocksNeeded)
      tableClusters = max(tableClusters, tableNeeded)
    }
    guard tableClusters * entries <= QCOW2Header.maximumRefcountTableEntries else {
      throw Errno(27 /* EFBIG */)
    }
    var table = [UInt64](repeating: 0, count: Int(tableClusters * entries))
    let contents = QCOW2Buffer(count: Int(geometry.clusterSize))
    for block in 0..<blocks {
      contents.bytes.zero()
      let first = block << geometry.blockBits
      for index in 0..<UInt64(1) << geometry.blockBits {
        let cluster = first + index
        let isOurs = cluster >= start && cluster < start + tableClusters + blocks
        let count = isOurs ? 1 : min(census[cluster], geometry.maximumRefcount)
        if count > 0 { QCOW2Refcounts.store(count, contents.bytes, Int(index), geometry.refcountOrder) }
      }
      table[Int(block)] = (start + tableClusters + block) << geometry.clusterBits
      try file.write(at: table[Int(block)], from: UnsafeRawBufferPointer(contents.bytes))
    }
    try file.write(table[...], at: start << geometry.clusterBits)
    try file.sync()
    var new = header
    new.refcountTableOffset = start << geometry.clusterBits
    new.refcountTableClusters = UInt32(clamping: tableClusters)
    try storeHeader(new)
    for block in refcounts.table where block != 0 { places.remove(block >> geometry.clusterBits) }
    refcounts.reset(table, at: new.refcountTableOffset)
  }

  /// Marks refcounts as not to be relied on, or as sound again. Durable afterwards. Version 2 has no such mark.
  func setDirty(_ isDirty: Bool) throws(Errno) {
    guard geometry.version >= 3 else { return }
    var new = header
    new.incompatible &= ~QCOW2Header.Features.dirty
    if isDirty { new.incompatible |= QCOW2Header.Features.dirty }
    if new.incompatible != header.incompatible { try storeHeader(new) }
  }

  /// Nothing that is only in memory is stored any more.
  func forgetChanges() {
    lock.withLock {
      tables.forgetAll()
      refcounts.pages.forgetAll()
      refcounts.dirtyTablePages = []
      dirtyL1Pages = []
      pendingFrees = []
      hasNewClusters = false
    }
  }
}
