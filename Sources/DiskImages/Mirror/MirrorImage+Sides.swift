internal import HostSystem

/// Which sides are in use, and what the metadata file says of it.
extension MirrorImage {
  /// A side as it was when an operation began.
  struct Used {
    let index: Int
    let disk: any DiskImage
  }

  // MARK: - Under the lock

  func state(of side: Int) -> MirrorState.Side {
    guard disks[side] != nil else { return .missing }
    return record.isCurrent(side) ? .current : .rebuilding
  }

  var areBothCurrent: Bool { state(of: 0) == .current && state(of: 1) == .current }

  var sidesInUse: [Used] {
    (0..<2).compactMap { index in disks[index].map { Used(index: index, disk: $0) } }
  }

  var currentState: MirrorState {
    let isAlone = disks.contains { $0 == nil }
    let waiting = isAlone ? record.marks.count : stale.count
    return MirrorState(
      sides: [state(of: 0), state(of: 1)], names: record.sides.map(\.name), generation: record.generation,
      done: size - min(size, UInt64(waiting) * regionSize), total: size,
      isRecorded: recordedVersion >= sidesVersion)
  }

  /// Notes that ``record`` or ``disks`` say something else of the sides.
  func sidesChanged() {
    version += 1
    sidesVersion = version
    reports.append(currentState)
  }

  // MARK: - Recording

  /// Returns when the metadata file has everything that is in ``record`` now. Of those who come together, one
  /// writes for all.
  func recordNow() throws(Errno) {
    let wanted = lock.withLock { version }
    let job: (record: MirrorRecord, version: UInt64, inBoth: Bool)? = lock.withLock {
      while isRecording && recordedVersion < wanted { lock.wait() }
      guard recordedVersion < wanted else { return nil }
      isRecording = true
      return (record, version, sidesVersion > recordedVersion)
    }
    guard let job else { return }
    var failure: Errno?
    do {
      try ledger.store(job.record, inBoth: job.inBoth)
    } catch {
      failure = error
    }
    let untold = lock.withLock {
      isRecording = false
      if failure == nil {
        recordedVersion = job.version
        durable = job.record.marks
      } else {
        // Either what was there or what was to be.
        durable.formIntersection(job.record.marks)
      }
      lock.wakeAll()
      defer { reports = [] }
      return reports
    }
    for var state in untold {
      state = state.recorded(failure == nil)
      onChange(state)
    }
    if let failure { throw failure }
  }

  /// Returns when the metadata file says which sides are in use, before a change is answered that one lacks.
  func recordSides() throws(Errno) {
    if lock.withLock({ sidesVersion > recordedVersion }) { try recordNow() }
  }

  // MARK: - Sides that go and come

  /// Takes a side out that failed. False: it is the last that has everything, and stays.
  @discardableResult
  func drop(_ side: Used) -> Bool {
    lock.withLock {
      // It may be out already, and another in its place.
      guard disks[side.index] === side.disk else { return true }
      let other = 1 - side.index
      if state(of: side.index) == .current {
        guard state(of: other) == .current else { return false }
        record.generation += 1
        record.sides[other].generation = record.generation
      }
      record.sides[side.index].isRebuilding = false
      disks[side.index] = nil
      stale.removeAll()
      sidesChanged()
      return true
    }
  }

  /// Takes a side into a mirror that lacks one, and begins to rebuild it.
  ///
  /// One that the metadata know as the missing side, by its identity, gets what has changed since it was dropped,
  /// and must not have been changed elsewhere; any other takes the missing one's place for good and gets everything.
  package func attach(_ side: MirrorSide) throws(MirrorError) {
    try Self.check(side, size: size)
    let failure: MirrorError? = lock.withLock {
      guard let index = disks.firstIndex(where: { $0 == nil }) else { return .nothingMissing(name: name) }
      let other = record.sides[1 - index]
      guard side.identity != other.identity, side.disk !== disks[1 - index] else {
        return .sameSide(name: name)
      }
      let isKnown = record.sides[index].identity == side.identity
      record.sides[index] = MirrorRecord.Side(
        identity: side.identity, name: side.name, generation: isKnown ? record.sides[index].generation : 0,
        isRebuilding: true)
      if !isKnown { record.marks.insertAll() }
      stale = record.marks
      disks[index] = side.disk
      sidesChanged()
      return nil
    }
    if let failure { throw failure }
    do {
      try recordNow()
    } catch {
      drop(side.disk)
      throw .system(name: name, operation: "write", error)
    }
    worker?.wake()
  }

  private func drop(_ disk: any DiskImage) {
    let used = lock.withLock { sidesInUse.first { $0.disk === disk } }
    if let used { drop(used) }
  }
}

extension MirrorState {
  fileprivate func recorded(_ isRecorded: Bool) -> MirrorState {
    MirrorState(
      sides: sides, names: names, generation: generation, done: done, total: total, isRecorded: isRecorded)
  }
}
