package import HostSystem

extension QCOW2Image {
  /// Writes one cluster compressed, for images that are made once and read often; or plainly, where compression saves
  /// nothing. `offset` is a cluster's, and `buffer` the whole cluster or what there is of the disk's last.
  package func writeCompressed(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkChange(offset, UInt64(buffer.count))
    let isLast = offset + UInt64(buffer.count) == size && buffer.count > 0
    guard offset & geometry.clusterMask == 0, UInt64(buffer.count) == geometry.clusterSize || isLast,
      UInt64(buffer.count) <= geometry.clusterSize
    else { throw .invalid }
    var whole = buffer
    let padded = QCOW2Buffer(count: Int(geometry.clusterSize), isZero: true)
    if UInt64(buffer.count) < geometry.clusterSize {
      padded[0..<buffer.count].copyMemory(from: buffer)
      whole = UnsafeRawBufferPointer(padded.bytes)
    }
    guard let packed = compressor.pack(whole) else { return try write(at: offset, from: buffer) }
    try noteChange(offset..<offset + UInt64(buffer.count))
    try commitIfMuch()
    let number = offset >> geometry.clusterBits
    let isDone = try working(on: number..<number + 1, exclusively: true) { () throws(Errno) -> Bool in
      let host = try lock.withLock { () throws(Errno) -> UInt64? in
        try guardingTables { () throws(Errno) in
          _ = try writableTable(Int(number >> geometry.l2Bits))
          return try allocate(bytes: UInt64(packed.count))
        }
      }
      guard let host else { return false }
      do throws(Errno) {
        try file.write(packed, at: host)
        try lock.withLock { () throws(Errno) in
          let (page, index) = try entry(of: number, in: table(l1[Int(number >> geometry.l2Bits)]))
          let old = try cluster(page, index)
          var new = QCOW2Cluster()
          new.compressed = QCOW2Cluster.compressedDescriptor(host, count: UInt64(packed.count), geometry)
          set(new, page, index)
          free(old)
          hasNewClusters = true
        }
      } catch {
        lock.withLock { release(host..<host + UInt64(packed.count)) }
        throw error
      }
      return true
    }
    if !isDone { try write(at: offset, from: buffer) }
  }

  /// Room for compressed bytes, behind the last ones where that is possible; nil where no descriptor could name it.
  /// The caller holds the lock.
  private func allocate(bytes count: UInt64) throws(Errno) -> UInt64? {
    let last = compressedEnd >> geometry.clusterBits
    let used = compressedEnd & geometry.clusterMask
    var start: UInt64?
    if used != 0, try refcounts.count(of: last) > 0, try refcounts.count(of: last) < geometry.maximumRefcount
    {
      if count <= geometry.clusterSize - used {
        try refcounts.raise(last)
        start = compressedEnd
      } else {
        let next = try refcounts.allocate(upTo: 1).lowerBound
        if next == last + 1 {
          try refcounts.raise(last)
          start = compressedEnd
        } else {
          start = next << geometry.clusterBits
        }
      }
    } else {
      start = try refcounts.allocate(upTo: 1).lowerBound << geometry.clusterBits
    }
    guard let start else { return nil }
    guard QCOW2Cluster.compressedDescriptor(start, count: count, geometry) != nil else {
      release(start..<start + count)
      return nil
    }
    // Whole sectors are read, so the file reaches to the last one's end.
    let end = (start + count + geometry.clusterMask) & ~geometry.clusterMask
    if end > file.size {
      try file.file.resize(to: end)
      file.grown(to: end)
    }
    compressedEnd = start + count
    return start
  }

  /// Gives back compressed bytes that nothing refers to. The caller holds the lock.
  private func release(_ range: Range<UInt64>) {
    for cluster in clusters(range) {
      guard let count = try? refcounts.count(of: cluster), count > 0 else { continue }
      try? refcounts.set(cluster, to: count - 1)
    }
    compressedEnd = 0
  }
}
