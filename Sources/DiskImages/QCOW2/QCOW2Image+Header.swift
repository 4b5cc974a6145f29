internal import HostSystem

extension QCOW2Image {
  /// Writes a header in place of the one there is; it is durable afterwards. What must change together is in the
  /// file's first sector. The caller holds the lock or is alone.
  func storeHeader(_ new: QCOW2Header) throws(Errno) {
    var new = new
    var fields = new.encodedFields()
    guard fields.count <= geometry.clusterSize else { throw .noSpace }
    if new.backingOffset != 0, new.backingOffset < fields.count || new.backingName != header.backingName {
      new.backingOffset = try storeBackingName(new, behind: fields.count)
      fields = new.encodedFields()
    }
    let sector = 512
    let old = header.encodedFields()
    if fields.count > sector, fields.dropFirst(sector) != old.dropFirst(sector) {
      try file.write(Array(fields.dropFirst(sector)), at: UInt64(sector))
      try file.sync()
    }
    var first = QCOW2Buffer(count: sector).bytes.map { _ in UInt8(0) }
    try first.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
      try file.read(at: 0, into: UnsafeMutableRawBufferPointer(bytes))
    }
    let held = min(sector, fields.count)
    first.replaceSubrange(0..<held, with: fields[..<held])
    try file.write(first, at: 0)
    try file.sync()
    header = new
  }

  /// Puts a name where neither fields nor the old name are, and says where.
  private func storeBackingName(_ new: QCOW2Header, behind fields: Int) throws(Errno) -> UInt64 {
    let count = UInt64(new.backingName.count)
    let old = header.backingOffset..<header.backingOffset + UInt64(header.backingName.count)
    let first = UInt64(fields + 7) & ~7
    for place in [max(512, first), 2048, max(first, (old.upperBound + 7) & ~7), first]
    where place >= first && place + count <= geometry.clusterSize && !(place..<place + count).overlaps(old) {
      try file.write(new.backingName, at: place)
      try file.sync()
      return place
    }
    throw .noSpace
  }

  /// Refuses writes from now on, in the header too. The caller holds the lock.
  func markCorrupt() {
    guard !isCorrupt, !isReadOnly else { return }
    isCorrupt = true
    guard geometry.version >= 3 else { return }
    var new = header
    new.incompatible |= QCOW2Header.Features.corrupt
    try? storeHeader(new)
  }

  /// Runs a body that allocates or overwrites; a table in the way marks the image as corrupt. The caller holds the
  /// lock.
  func guardingTables<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
    guard !isCorrupt else { throw .io }
    do {
      return try body()
    } catch {
      guard error == QCOW2Places.corruption else { throw error }
      markCorrupt()
      throw .io
    }
  }
}

extension QCOW2Header {
  /// Leaves out the table of feature names, which only messages need, where all would not fit into the first sector.
  mutating func dropNamesIfLong() {
    if encodedFields().count > 512 { extensions.removeAll { $0.type == Extension.featureNames } }
  }
}
