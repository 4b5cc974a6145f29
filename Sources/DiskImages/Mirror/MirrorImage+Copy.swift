internal import Glibc
package import HostSystem

/// Making the sides the same again: after a crash, and on a side that is new or was away.
extension MirrorImage {
  /// Bytes that are copied at a time.
  private static let pieceSize: UInt64 = 1 << 20

  /// Copies one region that is to be copied, on the side that waits for it. False: there is none, or it could not
  /// be read, so that it is tried again later.
  @discardableResult
  package func copyNext() throws(Errno) -> Bool {
    let next: Int? = lock.withLock {
      guard let region = stale.next(from: cursor) else { return nil }
      cursor = region + 1
      return region
    }
    guard let next else { return false }
    try makeSame(next)
    return lock.withLock { !stale.contains(next) }
  }

  /// Makes a region the same on both sides, unless it is or only one is left. EIO and the like from the last side
  /// that has it.
  func makeSame(_ region: Int) throws(Errno) {
    let range = bytes(ofRegion: region)
    let ticket = enter(range, exclusive: true)
    defer { leave(ticket) }
    let source: Used? = lock.withLock {
      stale.contains(region) ? sidesInUse.first { state(of: $0.index) == .current } : nil
    }
    guard let source else { return }
    let failure = equalise(range, from: source)
    if failure == nil {
      lock.withLock {
        stale.remove(region)
        touch(region)
        copyEpoch = epoch
      }
    }
    // Not needed for a read; the next change waits for it.
    try? recordSides()
    if let failure { throw failure }
  }

  /// Copies a range from a side to the other while nobody else is there. A side that fails is dropped, and then
  /// nothing is left to do; what the last side cannot read is returned.
  @discardableResult
  func equalise(_ range: Range<UInt64>, from source: Used) -> Errno? {
    let first = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(min(range.upperBound - range.lowerBound, Self.pieceSize)), alignment: 4096)
    defer { first.deallocate() }
    let second = UnsafeMutableRawBufferPointer.allocate(byteCount: first.count, alignment: 4096)
    defer { second.deallocate() }
    var position = range.lowerBound
    while position < range.upperBound {
      let (target, isNew): (Used?, Bool) = lock.withLock {
        guard disks[source.index] === source.disk else { return (nil, false) }
        return (sidesInUse.first { $0.index != source.index }, !areBothCurrent)
      }
      guard let target else { return nil }
      let count = Int(min(range.upperBound - position, UInt64(first.count)))
      let bytes = UnsafeMutableRawBufferPointer(rebasing: first[..<count])
      do {
        try source.disk.read(at: position, into: bytes)
      } catch {
        return drop(source) ? nil : error
      }
      let others = UnsafeMutableRawBufferPointer(rebasing: second[..<count])
      do {
        try copy(bytes, to: target, at: position, comparing: others)
      } catch {
        // Of two current sides either may be taken; there is room for it where it is.
        guard error == .noSpace, !isNew, (try? target.disk.read(at: position, into: others)) != nil,
          (try? source.disk.write(at: position, from: UnsafeRawBufferPointer(others))) != nil
        else {
          drop(target)
          return nil
        }
      }
      position += UInt64(count)
    }
    return nil
  }

  /// Writes bytes to a side; zeroes without taking space, and nothing that is there already: a new side over the same
  /// layers stays as small as the other.
  private func copy(
    _ bytes: UnsafeMutableRawBufferPointer, to side: Used, at offset: UInt64,
    comparing others: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    try side.disk.read(at: offset, into: others)
    if let one = bytes.baseAddress, let other = others.baseAddress, memcmp(one, other, bytes.count) == 0 {
      return
    }
    try ZeroSearch.runs(of: UnsafeRawBufferPointer(bytes), at: offset) { (isZero, part) throws(Errno) in
      let place = offset + UInt64(part.lowerBound)
      if isZero {
        try side.disk.writeZeroes(at: place, count: UInt64(part.count), mayUnmap: true)
      } else {
        try side.disk.write(at: place, from: UnsafeRawBufferPointer(rebasing: bytes[part]))
      }
    }
  }

  // MARK: - Flushes

  package func flush() throws(Errno) {
    _ = try flushSides()
  }

  /// Flushes all sides and notes which regions' changes are all on stable storage. The epoch that it ended, and the
  /// sides; what changed from then on may not be there.
  private func flushSides() throws(Errno) -> (epoch: UInt64, sides: [Used]) {
    let (ended, sides) = lock.withLock {
      epoch += 1
      return (epoch, sidesInUse)
    }
    var failures: [(side: Used, error: Errno)] = []
    for side in sides {
      do {
        try side.disk.flush()
      } catch {
        failures.append((side, error))
      }
    }
    var answer: Errno?
    if failures.count < sides.count {
      for (side, error) in failures where !drop(side) { answer = error }
    } else {
      // Neither is known to have it all, so neither is better.
      answer = failures.first?.error
    }
    try recordSides()
    if let answer { throw answer }
    let now = monotonicNanoseconds()
    lock.withLock {
      guard sidesInUse.allSatisfy({ used in sides.contains { $0.disk === used.disk } }) else { return }
      for (region, activity) in activities
      where activity.writers == 0 && activity.epoch < ended && activity.cleanSince == nil {
        activities[region]?.cleanSince = now
      }
    }
    return (ended, sides)
  }

  /// Flushes, makes a side current that has been rebuilt, and clears marks of regions that have been without changes
  /// since a flush, for so many nanoseconds.
  package func checkpoint(clearingAfter delay: UInt64) throws(Errno) {
    let (ended, sides) = try flushSides()
    lock.withLock {
      guard stale.isEmpty, copyEpoch < ended,
        let rebuilt = sidesInUse.first(where: { state(of: $0.index) == .rebuilding }),
        sides.contains(where: { $0.disk === rebuilt.disk })
      else { return }
      record.generation += 1
      for index in 0..<2 {
        record.sides[index].generation = record.generation
        record.sides[index].isRebuilding = false
      }
      sidesChanged()
    }
    try recordSides()
    try clear(after: delay)
  }

  /// Takes marks away that are needed no more. While a side is missing they tell what it lacks, and stay.
  func clear(after delay: UInt64) throws(Errno) {
    let now = monotonicNanoseconds()
    let isCleared = lock.withLock {
      let isAlone = sidesInUse.count < 2
      let before = record.marks.count
      for (region, activity) in activities {
        guard activity.writers == 0, let since = activity.cleanSince, now >= since, now - since >= delay,
          !stale.contains(region)
        else { continue }
        activities[region] = nil
        if !isAlone { record.marks.remove(region) }
      }
      guard record.marks.count < before else { return false }
      version += 1
      return true
    }
    if isCleared { try recordNow() }
  }
}
