package import HostSystem

/// One disk on two images (RAID 1), either of which may fail, with a small metadata file for the pair.
///
/// **Sides.** Every change goes to both sides. Regions with even numbers are read from one and those with odd numbers
/// from the other, and from the other one when that fails. A side that fails is dropped: the metadata say so on
/// stable storage before a change is answered that it does not have, `onChange` is told once, and the disk goes on
/// with the other. The last side that has everything is never dropped; its errors go to the guest. So does ENOSPC of
/// either, which drops nothing: the guest can wait until there is room, and the range has become the same on both
/// again by then. A side that is being rebuilt and runs out of space is dropped. While the metadata cannot be
/// written, changes that they would have to be told first fail with that error.
///
/// **Crashes.** Before a region's first change the metadata have, on stable storage, that the sides may differ there;
/// some time after a flush of both they have it no more. At an opening the regions that are marked are made the same
/// before they are read: sectors that differ were written and not flushed, so either side's are right, and whichever
/// was read once is what stays. A discard zeroes, because what two sides make of one may differ.
///
/// **Sides that come back.** While a side is missing marks are only added. ``attach(_:)`` takes one again: one that
/// the metadata know by its identity gets the marked regions, another gets all. It counts as current once everything
/// is there and flushed; until then the metadata call it a side that is rebuilt, and an opening goes on with that.
///
/// **Identities.** The sides are plain images that say nothing of their pair; see ``MirrorSide``.
package final class MirrorImage: DiskImage, @unchecked Sendable {  // guarded by `lock`, but for constants
  /// What is known of a region's changes.
  struct Activity {
    /// Changes under way.
    var writers = 0
    /// The epoch in which the last one ended.
    var epoch: UInt64 = 0
    /// When the first flush ended that had all of them, by ``monotonicNanoseconds()``.
    var cleanSince: UInt64?
  }

  package let size: UInt64
  package var isReadOnly: Bool { false }

  let name: String
  let regionSize: UInt64
  let onChange: @Sendable (MirrorState) -> Void
  let lock = QCOW2Lock()
  let operations = QCOW2Operations()
  var worker: MirrorWorker?

  /// What the metadata are to say.
  var record: MirrorRecord
  /// In the metadata's order; nil where one is missing.
  var disks: [(any DiskImage)?]
  /// Used by whoever set ``isRecording``.
  let ledger: MirrorLedger
  var isRecording = false
  /// Counts the changes of ``record``.
  var version: UInt64 = 0
  /// The version that is on stable storage.
  var recordedVersion: UInt64 = 0
  /// The last version that changed which sides are in use, and how.
  var sidesVersion: UInt64 = 0
  /// The marks that are on stable storage for certain.
  var durable: MirrorBits
  /// Marked regions that are to be made the same on both sides before they may be read from any.
  var stale: MirrorBits
  var activities: [Int: Activity] = [:]
  /// Counts flushes.
  var epoch: UInt64 = 1
  /// The epoch in which a region was last copied.
  var copyEpoch: UInt64 = 0
  /// Where the background's search for stale regions goes on.
  var cursor = 0
  /// States that ``onChange`` has not been told.
  var reports: [MirrorState] = []

  /// Makes a pair's metadata in a file, whose contents are lost; on stable storage when it returns, but for the
  /// file's name. The disk is as large as the smaller side.
  ///
  /// With `areAlike` the caller vouches that both sides hold the same, as two new images do. Otherwise the first
  /// one's contents are the disk's, and the second is rebuilt from it. `regionShift` is the size of a region as a
  /// power of two, 12 to 44; nil for 1 MiB, or more when the disk has more than a million of these.
  package static func create(
    metadata file: any ImageFile, _ first: MirrorSide, _ second: MirrorSide, areAlike: Bool,
    regionShift: UInt32? = nil
  ) throws(MirrorError) {
    guard !file.isReadOnly else { throw .readOnly(name: file.name) }
    for side in [first, second] { try check(side) }
    guard first.identity != second.identity, first.disk !== second.disk else {
      throw .sameSide(name: file.name)
    }
    let size = min(first.disk.size, second.disk.size)
    guard size > 0, size <= 1 << 62, let shift = regionShift ?? MirrorRecord.regionShift(forSize: size),
      MirrorRecord.regionShifts.contains(shift),
      MirrorRecord.regionCount(size: size, shift: shift) <= MirrorRecord.maximumRegions
    else {
      throw .badSize(
        name: file.name, size: size, reason: "ask for more than none, and at most a million regions")
    }
    var marks = MirrorBits(capacity: Int(MirrorRecord.regionCount(size: size, shift: shift)))
    if !areAlike { marks.insertAll() }
    let record = MirrorRecord(
      regionShift: shift, size: size, identity: .random(), sequence: 0, generation: 1,
      sides: [
        .init(identity: first.identity, name: first.name, generation: 1, isRebuilding: false),
        .init(
          identity: second.identity, name: second.name, generation: areAlike ? 1 : 0,
          isRebuilding: !areAlike),
      ], marks: marks)
    do {
      try MirrorLedger.create(file, record)
    } catch {
      throw .system(name: file.name, operation: "write", error)
    }
  }

  /// Opens a pair with the sides that are there, one or both, in any order.
  ///
  /// A current side that is not given is dropped. One that was dropped earlier and is given stays out: it needs
  /// ``attach(_:)``. `onChange` comes on any thread, without locks of the mirror, also for what the opening
  /// dropped; it must not end the mirror. With `inBackground` a thread copies and clears marks; otherwise
  /// ``copyNext()`` and ``checkpoint(clearingAfter:)`` are the caller's to call.
  package init(
    metadata file: any ImageFile, sides: [MirrorSide], inBackground: Bool = true,
    onChange: @escaping @Sendable (MirrorState) -> Void = { _ in }
  ) throws(MirrorError) {
    guard !file.isReadOnly else { throw .readOnly(name: file.name) }
    let opened = try MirrorLedger.open(file)
    var record = opened.record
    var disks: [(any DiskImage)?] = [nil, nil]
    for side in sides {
      try Self.check(side, size: record.size)
      guard let index = record.sides.firstIndex(where: { $0.identity == side.identity }) else {
        throw .foreignSide(name: file.name, side: side.name)
      }
      guard disks[index] == nil, !disks.contains(where: { $0 === side.disk }) else {
        throw .sameSide(name: file.name)
      }
      disks[index] = side.disk
    }
    guard let source = (0..<2).first(where: { disks[$0] != nil && record.isCurrent($0) }) else {
      let wanted = (0..<2).first { record.isCurrent($0) } ?? 0
      throw .noCurrentSide(name: file.name, wanted: record.sides[wanted].name)
    }
    let other = 1 - source
    var isChanged = false
    if disks[other] == nil, record.isCurrent(other) {
      record.generation += 1
      record.sides[source].generation = record.generation
      isChanged = true
    }
    if disks[other] == nil, record.sides[other].isRebuilding {
      record.sides[other].isRebuilding = false
      isChanged = true
    }
    if !record.isCurrent(other), !record.sides[other].isRebuilding { disks[other] = nil }
    ledger = opened.ledger
    self.record = record
    self.disks = disks
    self.onChange = onChange
    name = file.name
    size = record.size
    regionSize = 1 << UInt64(record.regionShift)
    durable = record.marks
    stale = disks[other] == nil ? MirrorBits(capacity: record.marks.capacity) : record.marks
    if isChanged {
      sidesChanged()
      do {
        try recordNow()
      } catch {
        throw .system(name: file.name, operation: "write", error)
      }
    }
    if inBackground {
      do {
        worker = try MirrorWorker.start(self)
      } catch {
        throw .system(name: file.name, operation: "start a thread for", error)
      }
    }
  }

  deinit { worker?.stop() }

  /// Flushes and clears all marks that can be, so that the next opening has nothing to copy; and ends the thread.
  /// Nobody may use the mirror meanwhile or afterwards, and it is not called from `onChange`.
  package func close() throws(Errno) {
    worker?.stop()
    worker?.join()
    worker = nil
    try checkpoint(clearingAfter: 0)
    // Both copies, so that damage to one does not matter.
    lock.withLock {
      version += 1
      sidesVersion = version
    }
    try recordNow()
  }

  package var state: MirrorState { lock.withLock { currentState } }

  /// Throws unless a side can be one.
  static func check(_ side: MirrorSide, size: UInt64 = 0) throws(MirrorError) {
    guard !side.disk.isReadOnly else { throw .readOnly(name: side.name) }
    guard side.name.utf8.count <= MirrorRecord.nameLength else { throw .nameTooLong(side: side.name) }
    guard side.disk.size >= size else {
      throw .tooSmall(side: side.name, size: side.disk.size, expected: size)
    }
  }

  func regions(_ range: Range<UInt64>) -> ClosedRange<Int> {
    Int(range.lowerBound / regionSize)...Int((range.upperBound - 1) / regionSize)
  }

  func bytes(ofRegion region: Int) -> Range<UInt64> {
    let start = UInt64(region) * regionSize
    return start..<min(size, start + regionSize)
  }

  /// Waits until nobody is in the way in a range; ``leave(_:)`` ends it.
  func enter(_ range: Range<UInt64>, exclusive: Bool) -> QCOW2Operations.Ticket {
    lock.withLock { operations.enter(range, exclusive: exclusive, lock) }
  }

  func leave(_ ticket: QCOW2Operations.Ticket) { lock.withLock { operations.leave(ticket, lock) } }
}
