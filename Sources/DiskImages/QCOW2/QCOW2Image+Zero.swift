package import HostSystem

extension QCOW2Image {
  /// Whole (sub)clusters of the range read as zero afterwards, and their room is given back with the next
  /// ``flush()``. Of those that it touches in part, what is in this layer reads as zero where the host can punch
  /// holes, and everything else stays as it is.
  package func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try checkChange(offset, count)
    guard count > 0 else { return }
    try noteChange(offset..<offset + count)
    let inner = inner(offset..<offset + count)
    for edge in [offset..<inner.lowerBound, inner.upperBound..<offset + count] where !edge.isEmpty {
      try punch(edge)
    }
    // No entry of version 2 hides what is underneath, and zeroes would take the room that is to be given back.
    let start = geometry.version >= 3 ? 0 : (backingEnd + geometry.clusterMask) & ~geometry.clusterMask
    if start < inner.upperBound {
      try zeroWhole(max(start, inner.lowerBound)..<inner.upperBound, keepingRoom: false)
    }
  }

  package func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try checkChange(offset, count)
    guard count > 0 else { return }
    try noteChange(offset..<offset + count)
    let inner = inner(offset..<offset + count)
    for edge in [offset..<inner.lowerBound, inner.upperBound..<offset + count] where !edge.isEmpty {
      try zeroPart(edge, mayUnmap: mayUnmap)
    }
    try zeroWhole(inner, keepingRoom: !mayUnmap)
  }

  /// The whole subclusters of a range; the disk's last one is whole where the disk ends. Empty at the range's end
  /// where there is none.
  private func inner(_ range: Range<UInt64>) -> Range<UInt64> {
    let mask = geometry.subclusterSize - 1
    let start = (range.lowerBound + mask) & ~mask
    let end = range.upperBound == size ? range.upperBound : range.upperBound & ~mask
    return start < end ? start..<end : range.upperBound..<range.upperBound
  }

  /// Punches holes into what is in this layer and its own.
  private func punch(_ range: Range<UInt64>) throws(Errno) {
    try working(on: clusters(range), exclusively: false) { () throws(Errno) in
      var position = range.lowerBound
      while position < range.upperBound {
        let start = position
        let run = try lock.withLock { () throws(Errno) in
          let run = try self.run(l1, at: start, to: range.upperBound)
          if case .data(let host, true) = run.place { try checkOverwriting(host..<host + (run.end - start)) }
          return run
        }
        if case .data(let host, true) = run.place {
          let end = min(host + (run.end - start), file.size)
          if host < end { _ = try file.file.deallocate(at: host, count: end - host) }
        }
        position = run.end
      }
    }
  }

  /// Zeroes a part of subclusters.
  private func zeroPart(_ range: Range<UInt64>, mayUnmap: Bool) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      let start = position
      let stop = min(range.upperBound, (start & ~geometry.clusterMask) + geometry.clusterSize)
      let done = try working(on: clusters(start..<stop), exclusively: false) { () throws(Errno) -> UInt64? in
        let run = try lock.withLock { () throws(Errno) in
          let run = try self.run(l1, at: start, to: stop)
          if case .data(let host, true) = run.place { try checkOverwriting(host..<host + (run.end - start)) }
          return run
        }
        switch run.place {
        case .data(let host, true):
          try file.writeZeroes(at: host, count: run.end - start, mayUnmap: mayUnmap)
          return run.end
        case .zero: return run.end
        case .absent where start >= backingEnd: return run.end
        default: return nil
        }
      }
      if let done {
        position = done
      } else {
        let zeroes = QCOW2Buffer(count: Int(stop - start), isZero: true)
        try write(at: start, from: UnsafeRawBufferPointer(zeroes[0..<Int(stop - start)]))
        position = stop
      }
    }
  }

  /// Zeroes whole subclusters by what the tables say of them.
  private func zeroWhole(_ range: Range<UInt64>, keepingRoom: Bool) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      try commitIfMuch()
      let start = position
      // Nothing is under what has no table, and nothing in it.
      let run = try lock.withLock { () throws(Errno) in try self.run(l1, at: start, to: range.upperBound) }
      switch run.place {
      case .absent where start >= backingEnd, .zero where keepingRoom:
        position = run.end
        continue
      case .compressed
      where start & geometry.clusterMask != 0 || (run.end & geometry.clusterMask != 0 && run.end < size):
        // Its parts cannot be marked.
        try zeroPart(start..<run.end, mayUnmap: !keepingRoom)
        position = run.end
        continue
      default: break
      }
      var end = min(range.upperBound, (start / geometry.pageCoverage + 1) * geometry.pageCoverage)
      let whole = end & ~geometry.clusterMask
      if geometry.isExtended, end < size, whole > start { end = whole }
      if geometry.version < 3, start < backingEnd {
        // No entry of version 2 hides what is underneath.
        let stop = min(end, (start & ~geometry.clusterMask) + geometry.clusterSize)
        try zeroPart(start..<stop, mayUnmap: !keepingRoom)
        position = stop
        continue
      }
      try working(on: clusters(start..<end), exclusively: true) { () throws(Errno) in
        try lock.withLock { () throws(Errno) in
          try guardingTables { () throws(Errno) in try zeroEntries(start..<end, keepingRoom: keepingRoom) }
        }
      }
      position = end
    }
  }

  /// The caller holds the lock, and is alone on the clusters, which are of one page.
  func zeroEntries(_ range: Range<UInt64>, keepingRoom: Bool) throws(Errno) {
    let table = try writableTable(Int(range.lowerBound >> geometry.l2CoverageBits))
    for number in clusters(range) {
      let base = number << geometry.clusterBits
      let part = range.clamped(to: base..<base + geometry.clusterSize)
      // What is behind the disk's end goes with its last cluster.
      let end = part.upperBound == size ? base + geometry.clusterSize : part.upperBound
      let touched = subclusters(part.lowerBound - base..<end - base)
      let (page, index) = try entry(of: number, in: table)
      let old = try cluster(page, index)
      var new = QCOW2Cluster()
      if old.compressed != nil {
        // Of a compressed cluster only the whole goes.
        guard touched == geometry.allSubclusters else { continue }
      } else {
        new = old
      }
      new.allocated &= ~touched
      new.zeroes |= touched
      if base >= backingEnd || geometry.version < 3 {
        // Nothing is underneath that a flag would have to hide.
        let hidden = new.allocated == 0 && (new.host == 0 || !keepingRoom || geometry.version < 3)
        if hidden { new.zeroes = 0 }
      }
      if new.allocated == 0, !keepingRoom || !new.isCopied || geometry.version < 3 { new.host = 0 }
      if new.host == 0 { new.isCopied = false }
      guard new != old else { continue }
      set(new, page, index)
      if old.compressed != nil || (old.host != 0 && new.host == 0) { free(old) }
    }
  }
}
