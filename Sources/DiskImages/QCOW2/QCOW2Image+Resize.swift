package import HostSystem

extension QCOW2Image {
  /// Makes the disk larger, where it reads as zero, or with `mayShrink` smaller, whose end is lost. `EINVAL` for a
  /// size that is no multiple of 512, `EFBIG` for one that the clusters are too small for.
  package func resize(to newSize: UInt64, mayShrink: Bool = false) throws(Errno) {
    guard !isReadOnly else { throw Errno(30 /* EROFS */) }
    guard newSize > 0, newSize % sectorSize == 0, newSize >= size || mayShrink else { throw .invalid }
    guard newSize < 1 << 60, geometry.l1Entries(for: newSize) <= QCOW2Header.maximumL1Entries else {
      throw Errno(27 /* EFBIG */)
    }
    try alone { () throws(Errno) in
      guard !isCorrupt else { throw .io }
      let oldSize = size
      guard newSize != oldSize else { return }
      try commit()
      loadAllBitmaps()
      if newSize < oldSize {
        // First of all the size: what is behind it then is nobody's.
        var new = header
        new.size = newSize
        try storeHeader(new)
        setSize(newSize)
        try dropEntries(behind: newSize)
        try commitAll()
      } else {
        try dropEntries(behind: oldSize)
        try growL1(to: geometry.l1Entries(for: newSize))
        setSize(newSize)
        do throws(Errno) {
          try hide(oldSize..<newSize)
          try commit()
          var new = header
          new.size = newSize
          try storeHeader(new)
        } catch {
          setSize(oldSize)
          throw error
        }
      }
      try resizeBitmaps(from: oldSize)
    }
  }

  /// Lets go of what tables say of clusters behind a disk's end. The caller is alone.
  private func dropEntries(behind size: UInt64) throws(Errno) {
    let first = geometry.clusters(for: size)
    let inTable = first & (1 << geometry.l2Bits - 1)
    let l1Index = Int(first >> geometry.l2Bits)
    if inTable != 0, l1Index < l1.count, try table(l1[l1Index]) != 0 {
      var table = try table(l1[l1Index])
      for number in first..<(first | (1 << geometry.l2Bits - 1)) + 1 {
        let (page, index) = try entry(of: number, in: table)
        guard page.word(index) != 0 || (geometry.isExtended && page.word(index + 1) != 0) else { continue }
        if l1[l1Index] & QCOW2Cluster.copiedFlag == 0 {
          table = try guardingTables { () throws(Errno) in try writableTable(l1Index) }
        }
        let (own, place) = try entry(of: number, in: table)
        let old = try cluster(own, place)
        set(QCOW2Cluster(), own, place)
        free(old)
      }
    }
    try dropTables(from: inTable == 0 ? l1Index : l1Index + 1)
    try commit()
  }

  /// Empties the L1 table from an index on. The caller is alone.
  private func dropTables(from start: Int) throws(Errno) {
    for index in l1.indices.dropFirst(start) where l1[index] & QCOW2Header.offsetMask != 0 {
      let entry = l1[index]
      let offset = entry & QCOW2Header.offsetMask
      l1[index] = 0
      dirtyL1Pages.insert(index * 8 / geometry.pageSize)
      places.remove(offset >> geometry.clusterBits)
      try letGo([entry])
    }
  }

  /// Gives the active L1 table room for `count` entries. The caller is alone.
  private func growL1(to count: UInt64) throws(Errno) {
    guard count > UInt64(l1.count) else { return }
    let grown = l1 + [UInt64](repeating: 0, count: Int(count) - l1.count)
    let room = geometry.clusters(for: UInt64(l1.count) * 8) << geometry.clusterBits
    var new = header
    new.l1Size = UInt32(count)
    if count * 8 <= room {
      try file.write(grown[l1.count...], at: header.l1Offset + UInt64(l1.count * 8))
      try file.sync()
      try storeHeader(new)
      l1 = grown
    } else {
      let old = (header.l1Offset, geometry.clusters(for: UInt64(l1.count) * 8))
      new.l1Offset = try storeL1(grown, keepingFlags: true)
      try commit()
      try storeHeader(new)
      l1 = grown
      for cluster in 0..<old.1 { free(old.0 + cluster << geometry.clusterBits) }
    }
    learnRanges()
  }

  /// Makes what is new of a disk that grew read as zero, whatever the last cluster holds behind the old end and
  /// whatever is underneath. The caller is alone.
  private func hide(_ range: Range<UInt64>) throws(Errno) {
    let firstWhole = min((range.lowerBound + geometry.clusterMask) & ~geometry.clusterMask, range.upperBound)
    if range.lowerBound < firstWhole {
      let state = try lookUp(range.lowerBound >> geometry.clusterBits)
      if !readsAsZero(state, range.lowerBound..<firstWhole) { try zeroAlone(range.lowerBound..<firstWhole) }
    }
    let end = min(range.upperBound, (backingEnd + geometry.clusterMask) & ~geometry.clusterMask)
    var position = firstWhole
    while position < end {
      try commitIfMuch()
      let stop = min(end, pieceEnd(from: position))
      if geometry.version < 3 {
        try zeroAlone(position..<stop)
      } else {
        try guardingTables { () throws(Errno) in try zeroEntries(position..<stop, keepingRoom: false) }
      }
      position = stop
    }
  }

  private func lookUp(_ number: UInt64) throws(Errno) -> QCOW2Cluster {
    let l1Index = Int(number >> geometry.l2Bits)
    guard l1Index < l1.count, try table(l1[l1Index]) != 0 else { return QCOW2Cluster() }
    let (page, index) = try entry(of: number, in: table(l1[l1Index]))
    return try cluster(page, index)
  }

  /// Writes zeroes while alone.
  private func zeroAlone(_ range: Range<UInt64>) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      let stop = min(range.upperBound, pieceEnd(from: position))
      let zeroes = QCOW2Buffer(count: Int(stop - position), isZero: true)
      let start = position
      position += UInt64(
        try allocateAndWrite(at: start, to: stop, UnsafeRawBufferPointer(zeroes[0..<Int(stop - start)])))
    }
  }

  /// Lets go of everything that this layer has, so that the disk is what is underneath, and keeps its snapshots.
  package func makeEmpty() throws(Errno) {
    guard !isReadOnly else { throw Errno(30 /* EROFS */) }
    try noteChange(0..<size)
    try alone { () throws(Errno) in
      guard !isCorrupt else { throw .io }
      try dropTables(from: 0)
      try commitAll()
    }
  }

  // MARK: - Layers

  /// Writes what is this layer's own into another image, which must be no smaller: what is underneath, or a copy of
  /// that, becomes what this disk is. `progress` is told the bytes of the disk that are done.
  package func copyOwn(
    into target: any DiskImage, progress: ((UInt64) -> Void)? = nil
  ) throws(Errno) {
    guard target.size >= size else { throw .invalid }
    let size = size
    let room = QCOW2Buffer(count: 1 << 20)
    var position: UInt64 = 0
    while position < size {
      let extent = try ownExtent(at: position, limit: size)
      switch extent.content {
      case .absent: break
      case .zero: try target.writeZeroes(at: position, count: extent.end - position, mayUnmap: true)
      case .data:
        var start = position
        while start < extent.end {
          let part = room[0..<Int(min(extent.end - start, 1 << 20))]
          try read(at: start, into: part)
          try target.write(at: start, from: UnsafeRawBufferPointer(part))
          start += UInt64(part.count)
          progress?(start)
        }
      }
      position = extent.end
      progress?(position)
    }
  }

  /// Writes what is this layer's own into what is underneath, opened for writing and no smaller, and lets go of it
  /// once it is durable there. After a failure or a power cut both together are still the disk that they were.
  package func commit(into target: any DiskImage, progress: ((UInt64) -> Void)? = nil) throws(Errno) {
    try copyOwn(into: target, progress: progress)
    try target.flush()
    try makeEmpty()
  }

  /// Changes what the header calls the backing file, for other programs; nil for none.
  package func setBacking(name: String?, format: String?) throws(Errno) {
    guard !isReadOnly else { throw Errno(30 /* EROFS */) }
    guard (name?.utf8.count ?? 0) <= QCOW2Header.maximumNameLength, (format?.utf8.count ?? 0) <= 15 else {
      throw .invalid
    }
    try alone { () throws(Errno) in
      var new = header
      new.extensions.removeAll { $0.type == QCOW2Header.Extension.backingFormat }
      if name != nil, let format {
        new.extensions.append(.init(type: QCOW2Header.Extension.backingFormat, data: Array(format.utf8)))
      }
      new.backingName = Array((name ?? "").utf8)
      new.backingOffset = new.backingName.isEmpty ? 0 : max(1, header.backingOffset)
      new.dropNamesIfLong()
      try storeHeader(new)
    }
  }
}
