package import HostSystem

extension MirrorImage {
  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    let end = offset + UInt64(buffer.count)
    var position = offset
    while position < end {
      let region = Int(position / regionSize)
      let stop = min(end, bytes(ofRegion: region).upperBound)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(position - offset)..<Int(stop - offset)])
      try read(position..<stop, of: region, into: part)
      position = stop
    }
  }

  private func read(
    _ range: Range<UInt64>, of region: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    while true {
      let ticket = enter(range, exclusive: false)
      guard let sides = lock.withLock({ readers(of: region) }) else {
        leave(ticket)
        try makeSame(region)
        continue
      }
      defer { leave(ticket) }
      var failure: (side: Used, error: Errno)?
      for side in sides {
        do {
          try side.disk.read(at: range.lowerBound, into: buffer)
        } catch {
          if failure == nil { failure = (side, error) }
          continue
        }
        if let failure {
          // One side alone cannot read it: that is the side's fault. The next change waits for the record of it, if
          // it cannot be made now.
          drop(failure.side)
          try? recordSides()
        }
        return
      }
      throw failure?.error ?? .io
    }
  }

  /// Under the lock: the sides that may be asked for a region, in order; nil while it is to be made the same first.
  private func readers(of region: Int) -> [Used]? {
    let sides = sidesInUse
    guard sides.count == 2 else { return sides }
    if areBothCurrent {
      if stale.contains(region) { return nil }
      return region % 2 == 0 ? sides : sides.reversed()
    }
    let ordered = state(of: 0) == .current ? sides : sides.reversed()
    return stale.contains(region) ? [ordered[0]] : ordered
  }

  /// What one side says of itself, both have.
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try checkRange(offset, 1)
    let limit = min(limit, size)
    let source: Used? = lock.withLock {
      stale.isEmpty ? sidesInUse.first { state(of: $0.index) == .current } : nil
    }
    // While regions are stale nobody looks for zeroes.
    guard let source, let extent = try? source.disk.extent(at: offset, limit: limit),
      extent.end > offset, extent.end <= limit
    else { return DiskExtent(.data, end: limit) }
    return extent
  }
}
