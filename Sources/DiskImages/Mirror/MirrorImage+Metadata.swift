package import HostSystem

/// Metadata without the disks that they are of.
extension MirrorImage {
  /// How the metadata are to know a side.
  package struct Label: Sendable {
    package let identity: MirrorIdentity
    /// What messages call the side. At most 1,024 bytes of UTF-8.
    package let name: String
    /// Whether the side is there. One that is not counts as a side that was there and is missing since: put in
    /// later, it has to hold what the other holds now.
    package let isThere: Bool

    package init(identity: MirrorIdentity, name: String, isThere: Bool) {
      self.identity = identity
      self.name = name
      self.isThere = isThere
    }
  }

  /// Makes the metadata of a pair whose sides hold the same, as two new images do; see
  /// ``create(metadata:_:_:areAlike:regionShift:)``. One of them at least is there.
  package static func create(
    metadata file: any ImageFile, size: UInt64, _ first: Label, _ second: Label
  ) throws(MirrorError) {
    guard first.identity != second.identity, first.isThere || second.isThere else {
      throw .sameSide(name: file.name)
    }
    for side in [first, second] where side.name.utf8.count > MirrorRecord.nameLength {
      throw .nameTooLong(side: side.name)
    }
    guard size > 0, size % sectorSize == 0, size <= 1 << 62,
      let shift = MirrorRecord.regionShift(forSize: size)
    else { throw .badSize(name: file.name, size: size, reason: "ask for whole sectors, one at least") }
    let sides = [first, second].map {
      MirrorRecord.Side(
        identity: $0.identity, name: $0.name, generation: $0.isThere ? 1 : 0, isRebuilding: false)
    }
    let record = MirrorRecord(
      regionShift: shift, size: size, identity: .random(), sequence: 0, generation: 1, sides: sides,
      marks: MirrorBits(capacity: Int(MirrorRecord.regionCount(size: size, shift: shift))))
    do {
      try MirrorLedger.create(file, record)
    } catch {
      throw .system(name: file.name, operation: "write", error)
    }
  }

  /// What a pair's metadata say while nobody, or somebody else, has the pair open. What somebody writes meanwhile may
  /// be seen a moment late.
  package struct Recorded: Equatable, Sendable {
    package let sides: [MirrorState.Side]
    package let identities: [MirrorIdentity]
    /// Bytes of the disk.
    package let size: UInt64
    /// Bytes of regions in which the sides may differ.
    package let marked: UInt64

    /// Whether both sides hold the same for certain.
    package var isSettled: Bool { marked == 0 && sides.allSatisfy { $0 == .current } }
  }

  package static func recorded(in file: any ImageFile) throws(MirrorError) -> Recorded {
    let record = try MirrorLedger.open(file).record
    let sides = (0..<2).map { side -> MirrorState.Side in
      record.isCurrent(side) ? .current : record.sides[side].isRebuilding ? .rebuilding : .missing
    }
    return Recorded(
      sides: sides, identities: record.sides.map(\.identity), size: record.size,
      marked: min(record.size, UInt64(record.marks.count) << UInt64(record.regionShift)))
  }

  /// Makes both sides the same where a crash may have left them different, so that either may be read without the
  /// other. A side that fails meanwhile is dropped, and then nothing is left to do. Throws what the last side says.
  package func settle() throws(Errno) {
    while let next = lock.withLock({ areBothCurrent ? stale.next(from: 0) : nil }) { try makeSame(next) }
    try flush()
  }
}
