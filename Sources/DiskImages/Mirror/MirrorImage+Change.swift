package import HostSystem

extension MirrorImage {
  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try change(offset, UInt64(buffer.count)) { (disk) throws(Errno) in
      try disk.write(at: offset, from: buffer)
    }
  }

  /// Zeroes: a discarded range must read the same from both sides.
  package func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try writeZeroes(at: offset, count: count, mayUnmap: true)
  }

  package func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try change(offset, count) { (disk) throws(Errno) in
      try disk.writeZeroes(at: offset, count: count, mayUnmap: mayUnmap)
    }
  }

  /// Changes a range on all sides, alone there: two changes of one place in different orders would leave the sides
  /// different for good.
  private func change(
    _ offset: UInt64, _ count: UInt64, _ perform: (any DiskImage) throws(Errno) -> Void
  ) throws(Errno) {
    try checkChange(offset, count)
    guard count > 0 else { return }
    let range = offset..<offset + count
    let regions = regions(range)
    let ticket = enter(range, exclusive: true)
    defer { leave(ticket) }
    begin(regions)
    defer { end(regions) }
    try mark(regions)
    let sides = lock.withLock { sidesInUse }
    var failures: [(side: Used, error: Errno)] = []
    for side in sides {
      do {
        try perform(side.disk)
      } catch {
        failures.append((side, error))
      }
    }
    let answer = failures.isEmpty ? nil : resolve(failures, in: range)
    try recordSides()
    if let answer { throw answer }
  }

  // MARK: - Marks

  private func begin(_ regions: ClosedRange<Int>) {
    lock.withLock {
      for region in regions { activities[region, default: Activity()].writers += 1 }
    }
  }

  private func end(_ regions: ClosedRange<Int>) {
    lock.withLock {
      for region in regions {
        activities[region, default: Activity()].writers -= 1
        touch(region)
      }
    }
  }

  /// Under the lock: notes that a region changed, so that only a flush that begins from now on has it all.
  func touch(_ region: Int) {
    activities[region, default: Activity()].epoch = epoch
    activities[region, default: Activity()].cleanSince = nil
  }

  /// Returns when the regions' marks are on stable storage. Marks with writers are not cleared.
  private func mark(_ regions: ClosedRange<Int>) throws(Errno) {
    let isDurable = lock.withLock {
      var isDurable = true
      for region in regions {
        if record.marks.insert(region) { version += 1 }
        if !durable.contains(region) { isDurable = false }
      }
      // The bits may be in the record since an attempt that failed.
      if !isDurable, recordedVersion >= version { version += 1 }
      return isDurable
    }
    if !isDurable { try recordNow() }
  }

  // MARK: - Failures

  /// Drops who failed, or makes a range the same on both sides that one has and the other not. What the guest is
  /// to be told; nil when a side that has everything has this too.
  private func resolve(_ failures: [(side: Used, error: Errno)], in range: Range<UInt64>) -> Errno? {
    let areBothCurrent = lock.withLock { self.areBothCurrent }
    if areBothCurrent, let refused = failures.first(where: { $0.error == .noSpace }) {
      for (side, error) in failures where error != .noSpace { drop(side) }
      // What the refused one still has, there is room for on the other.
      equalise(range, from: refused.side)
      return .noSpace
    }
    if areBothCurrent, failures.count == 2 {
      // Whoever can still be read and written stays.
      equalise(range, from: failures[0].side)
      return failures[0].error
    }
    var answer: Errno?
    for (side, error) in failures where !drop(side) { answer = error }
    if answer != nil {
      // The source of a rebuild lost what was there: what it has now is to be copied again.
      lock.withLock {
        if sidesInUse.count == 2, !self.areBothCurrent {
          for region in regions(range) { stale.insert(region) }
        }
      }
    }
    return answer
  }
}
