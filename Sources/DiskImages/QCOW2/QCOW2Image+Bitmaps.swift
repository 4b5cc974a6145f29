internal import Glibc
package import HostSystem
internal import Synchronization

/// A dirty bitmap, as its image lists it.
package struct QCOW2BitmapInfo: Equatable, Sendable {
  package let name: String
  /// Bytes of the disk for each bit.
  package let granularity: UInt64
  /// Whether changes of the disk set its bits.
  package let isEnabled: Bool
  /// Whether it missed changes: somebody did not close the image. It can only be removed then.
  package let isInconsistent: Bool
}

extension QCOW2Image {
  package var bitmapList: [QCOW2BitmapInfo] {
    lock.withLock {
      bitmaps.map {
        QCOW2BitmapInfo(
          name: String(decoding: $0.record.name, as: UTF8.self),
          granularity: 1 << UInt64($0.record.granularityBits & 63), isEnabled: $0.isEnabled,
          isInconsistent: $0.words == nil && !$0.record.isUsable)
      }
    }
  }

  /// Makes a bitmap with no bit set. `granularity` is a power of two of bytes, 512 to 2 GiB. `EEXIST`, or `EFBIG`
  /// when the bits would take too much memory.
  package func createBitmap(_ name: String, granularity: UInt64 = 65536, isEnabled: Bool = true) throws(Errno)
  {
    let bits = UInt8(granularity.trailingZeroBitCount)
    guard !isReadOnly else { throw Errno(EROFS) }
    guard geometry.version >= 3 else { throw Errno(EOPNOTSUPP) }
    guard granularity.nonzeroBitCount == 1, QCOW2BitmapRecord.granularityBitsRange.contains(bits),
      (1...QCOW2BitmapRecord.maximumNameLength).contains(name.utf8.count)
    else { throw .invalid }
    try alone { () throws(Errno) in
      guard !bitmaps.contains(where: { $0.record.name == Array(name.utf8) }) else { throw .exists }
      guard bitmaps.count < Int(QCOW2BitmapRecord.maximumCount) else { throw .noSpace }
      var record = QCOW2BitmapRecord()
      record.granularityBits = bits
      record.name = Array(name.utf8)
      record.flags = isEnabled ? QCOW2BitmapRecord.auto : 0
      let bitmap = QCOW2Bitmap(record)
      try makeRoom(bitmap)
      bitmap.words = [UInt64](repeating: 0, count: bitmap.wordCount(size))
      bitmap.isStored = false
      bitmaps.append(bitmap)
      do throws(Errno) {
        try storeBitmaps()
      } catch {
        bitmaps.removeLast()
        throw error
      }
    }
  }

  package func removeBitmap(_ name: String) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    try alone { () throws(Errno) in
      guard let index = bitmaps.firstIndex(where: { $0.record.name == Array(name.utf8) }) else {
        throw .notFound
      }
      let removed = bitmaps.remove(at: index)
      do throws(Errno) {
        try storeBitmaps()
      } catch {
        bitmaps.insert(removed, at: index)
        throw error
      }
    }
  }

  /// Lets changes of the disk set a bitmap's bits from now on, or no longer.
  package func setBitmap(_ name: String, isEnabled: Bool) throws(Errno) {
    try changeBitmap(name) { (bitmap) throws(Errno) in
      bitmap.record.flags &= ~QCOW2BitmapRecord.auto
      if isEnabled { bitmap.record.flags |= QCOW2BitmapRecord.auto }
    }
  }

  /// Clears all bits. No write is under way meanwhile: what comes later sets bits again.
  package func clearBitmap(_ name: String) throws(Errno) {
    try changeBitmap(name) { (bitmap) throws(Errno) in
      bitmap.words = [UInt64](repeating: 0, count: bitmap.wordCount(size))
    }
  }

  /// Sets the bits that another bitmap has, of whatever granularity.
  package func mergeBitmap(_ source: String, into target: String) throws(Errno) {
    try changeBitmap(target) { (bitmap) throws(Errno) in
      let other = try usableBitmap(source)
      guard other !== bitmap, let words = other.words else { return }
      let bits = UInt64(other.record.granularityBits)
      for (index, word) in words.enumerated() where word != 0 {
        for bit in 0..<UInt64(64) where word >> bit & 1 != 0 {
          let start = (UInt64(index) * 64 + bit) << bits
          if start < size { bitmap.set(start..<min(size, start + 1 << bits)) }
        }
      }
    }
  }

  /// Whether the bitmap says that a byte of the disk was changed, and the byte behind the last for which it says the
  /// same, at most `limit`.
  package func dirtyExtent(
    of name: String, at offset: UInt64, limit: UInt64
  ) throws(Errno) -> (isDirty: Bool, end: UInt64) {
    try lock.withLock { () throws(Errno) in
      let bitmap = try usableBitmap(name)
      let limit = min(limit, size)
      guard offset < limit, let words = bitmap.words else { throw .invalid }
      let bits = UInt64(bitmap.record.granularityBits)
      let last = (limit - 1) >> bits
      let isDirty = bitmap.isDirty(offset >> bits)
      var bit = offset >> bits + 1
      while bit <= last {
        let others = (isDirty ? ~words[Int(bit / 64)] : words[Int(bit / 64)]) >> (bit % 64)
        if others != 0 {
          bit += UInt64(others.trailingZeroBitCount)
          break
        }
        bit = (bit / 64 + 1) * 64
      }
      return (isDirty, bit > last ? limit : min(limit, bit << bits))
    }
  }

  private func changeBitmap(_ name: String, _ body: (QCOW2Bitmap) throws(Errno) -> Void) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    try alone { () throws(Errno) in
      let bitmap = try usableBitmap(name)
      try body(bitmap)
      bitmap.isStored = false
      try storeBitmaps()
    }
  }

  /// The bitmap of a name with its bits in memory. `EIO` for one that is inconsistent or damaged.
  private func usableBitmap(_ name: String) throws(Errno) -> QCOW2Bitmap {
    guard let bitmap = bitmaps.first(where: { $0.record.name == Array(name.utf8) }) else { throw .notFound }
    try load(bitmap)
    return bitmap
  }

  // MARK: - In step with the disk

  /// Notes that a range is about to change. The first change after the bitmaps were stored marks them in the file as
  /// out of step.
  func noteChange(_ range: Range<UInt64>) throws(Errno) {
    guard hasEnabledBitmaps.load(ordering: .relaxed), !range.isEmpty else { return }
    try lock.withLock { () throws(Errno) in
      let enabled = bitmaps.filter { $0.isEnabled }
      if !areBitmapsInUse {
        try markBitmapsInUse(enabled)
        areBitmapsInUse = true
      }
      for bitmap in enabled {
        if bitmap.words == nil {
          bitmap.record.flags |= QCOW2BitmapRecord.inUse
        } else {
          bitmap.set(range)
          bitmap.isStored = false
        }
      }
    }
  }

  /// Sets the flag in the directory where it is: no entry's flags lie across two sectors.
  private func markBitmapsInUse(_ changed: [QCOW2Bitmap]) throws(Errno) {
    guard let place = QCOW2BitmapRecord.directory(header) else { return }
    let bytes = bitmaps.flatMap { bitmap in
      var record = bitmap.record
      if changed.contains(where: { $0 === bitmap }) { record.flags |= QCOW2BitmapRecord.inUse }
      return record.encoded()
    }
    guard UInt64(bytes.count) == place.size else { throw .io }
    try file.write(bytes, at: place.offset)
    try file.sync()
  }

  /// Reads what the image has of bitmaps when it is opened to be written: those that are enabled are kept up.
  func openBitmaps() {
    for bitmap in bitmaps where bitmap.isEnabled && bitmap.record.isUsable {
      // One that cannot be read will be marked as out of step.
      try? load(bitmap)
    }
    noteEnabledBitmaps()
  }

  private func noteEnabledBitmaps() {
    hasEnabledBitmaps.store(bitmaps.contains { $0.isEnabled }, ordering: .relaxed)
  }

  private func makeRoom(_ bitmap: QCOW2Bitmap) throws(Errno) {
    let used = bitmaps.reduce(0) { $0 + ($1.words?.count ?? 0) * 8 }
    guard bitmap.bitCount(size) <= UInt64(QCOW2Bitmap.memoryLimit - used) * 8 else { throw Errno(EFBIG) }
  }

  private func load(_ bitmap: QCOW2Bitmap) throws(Errno) {
    guard bitmap.words == nil else { return }
    guard bitmap.record.isUsable else { throw .io }
    try makeRoom(bitmap)
    let byteCount = (bitmap.bitCount(size) + 7) / 8
    guard UInt64(bitmap.record.tableSize) == geometry.clusters(for: byteCount) else { throw .io }
    let table = try file.file.words(at: bitmap.record.tableOffset, count: Int(bitmap.record.tableSize))
    let contents = QCOW2Buffer(count: table.count << Int(geometry.clusterBits), isZero: true)
    for (index, entry) in table.enumerated() {
      let part = contents[index << Int(geometry.clusterBits)..<(index + 1) << Int(geometry.clusterBits)]
      let offset = entry & QCOW2Header.offsetMask
      guard offset & geometry.clusterMask == 0, offset < file.size else { throw .io }
      if offset != 0 {
        try file.read(at: offset, into: part)
      } else if entry & 1 != 0 {
        part.initializeMemory(as: UInt8.self, repeating: 0xFF)
      }
    }
    bitmap.words = words(contents, bitmap)
  }

  private func words(_ contents: QCOW2Buffer, _ bitmap: QCOW2Bitmap) -> [UInt64] {
    let count = bitmap.wordCount(size)
    guard count > 0 else { return [] }
    var words = (0..<count).map {
      $0 * 8 + 8 <= contents.bytes.count
        ? UInt64(littleEndian: contents.bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)) : 0
    }
    trim(&words, to: bitmap.bitCount(size))
    return words
  }

  /// Clears what is behind the last bit.
  private func trim(_ words: inout [UInt64], to bits: UInt64) {
    if bits % 64 != 0, let last = words.indices.last { words[last] &= 1 << (bits % 64) - 1 }
  }

  /// Fits the bitmaps to a disk whose size was another, and marks what is new as changed. The caller is alone.
  func resizeBitmaps(from oldSize: UInt64) throws(Errno) {
    guard !bitmaps.isEmpty else { return }
    for bitmap in bitmaps {
      // What is not in memory is of the old size, and can no more be used.
      guard var words = bitmap.words else {
        bitmap.record.flags |= QCOW2BitmapRecord.inUse
        continue
      }
      let count = bitmap.wordCount(size)
      let had = words.count
      if count > had {
        words += [UInt64](repeating: 0, count: count - had)
      } else {
        words.removeLast(had - count)
      }
      trim(&words, to: bitmap.bitCount(size))
      bitmap.words = words
      if size > oldSize { bitmap.set(oldSize..<size) }
      bitmap.isStored = false
    }
    try storeBitmaps()
  }

  /// Brings bitmaps that are not enabled into memory before the disk's size changes. The caller is alone.
  func loadAllBitmaps() {
    for bitmap in bitmaps where bitmap.record.isUsable { try? load(bitmap) }
  }

  // MARK: - In the file

  /// Writes the bitmaps to new places and makes the header name them; the old ones are let go of. The caller is alone.
  func storeBitmaps() throws(Errno) {
    guard !isCorrupt else { throw .io }
    var frees: [UInt64] = []
    var records: [QCOW2BitmapRecord] = []
    if let place = QCOW2BitmapRecord.directory(header) {
      for cluster in 0..<geometry.clusters(for: place.size) {
        frees.append(place.offset + cluster << geometry.clusterBits)
      }
    }
    var kept: Set<UInt64> = []
    for bitmap in bitmaps {
      var record = bitmap.record
      if bitmap.words != nil, !bitmap.isStored {
        (record.tableOffset, record.tableSize) = try storeBits(bitmap)
        record.flags &= ~QCOW2BitmapRecord.inUse
      } else {
        if areBitmapsInUse, bitmap.words == nil, bitmap.isEnabled { record.flags |= QCOW2BitmapRecord.inUse }
        kept.insert(record.tableOffset)
      }
      records.append(record)
    }
    for record in storedBitmaps where !kept.contains(record.tableOffset) { frees += try clusters(of: record) }
    let bytes = records.flatMap { $0.encoded() }
    guard UInt64(bytes.count) <= QCOW2BitmapRecord.maximumDirectorySize else { throw .noSpace }
    var new = header
    new.extensions.removeAll { $0.type == QCOW2Header.Extension.bitmaps }
    new.autoclear &= ~QCOW2Header.Features.bitmaps
    if !records.isEmpty {
      let count = geometry.clusters(for: UInt64(bytes.count))
      let run = try guardingTables { () throws(Errno) in try refcounts.allocate(contiguous: count) }
      let offset = run.lowerBound << geometry.clusterBits
      let padding = Int(count << geometry.clusterBits) - bytes.count
      try file.write(bytes + [UInt8](repeating: 0, count: padding), at: offset)
      var data: [UInt8] = []
      for value in [UInt64(records.count) << 32, UInt64(bytes.count), offset] {
        withUnsafeBytes(of: value.bigEndian) { data.append(contentsOf: $0) }
      }
      // In the first sector, which changes at once.
      new.extensions.insert(.init(type: QCOW2Header.Extension.bitmaps, data: data), at: 0)
      new.autoclear |= QCOW2Header.Features.bitmaps
      new.dropNamesIfLong()
    }
    hasNewClusters = true
    try commit()
    try storeHeader(new)
    for (bitmap, record) in zip(bitmaps, records) {
      bitmap.record = record
      if bitmap.words != nil { bitmap.isStored = true }
    }
    storedBitmaps = records
    areBitmapsInUse = false
    noteEnabledBitmaps()
    for offset in frees { free(offset) }
    try commit()
  }

  /// Writes a bitmap's bits and table to new clusters.
  private func storeBits(_ bitmap: QCOW2Bitmap) throws(Errno) -> (offset: UInt64, size: UInt32) {
    let words = bitmap.words ?? []
    let perCluster = Int(geometry.clusterSize / 8)
    var table: [UInt64] = []
    for start in stride(from: 0, to: words.count, by: perCluster) {
      let part = words[start..<min(words.count, start + perCluster)]
      if part.allSatisfy({ $0 == 0 }) {
        table.append(0)
      } else if part.count == perCluster, part.allSatisfy({ $0 == .max }) {
        table.append(1)
      } else {
        let run = try guardingTables { () throws(Errno) in try refcounts.allocate(upTo: 1) }
        let contents = QCOW2Buffer(count: Int(geometry.clusterSize), isZero: true)
        for (index, word) in part.enumerated() {
          contents.bytes.storeBytes(of: word.littleEndian, toByteOffset: index * 8, as: UInt64.self)
        }
        table.append(run.lowerBound << geometry.clusterBits)
        try file.write(
          at: run.lowerBound << geometry.clusterBits, from: UnsafeRawBufferPointer(contents.bytes))
        hasNewClusters = true
        try commitIfMuch()
      }
    }
    let offset = try storeL1(table)
    return (offset, UInt32(table.count))
  }

  /// The clusters that a stored bitmap takes: of its table, and those that this names.
  private func clusters(of record: QCOW2BitmapRecord) throws(Errno) -> [UInt64] {
    var found = (0..<geometry.clusters(for: UInt64(record.tableSize) * 8)).map {
      record.tableOffset + $0 << geometry.clusterBits
    }
    for entry in try file.file.words(at: record.tableOffset, count: Int(record.tableSize)) {
      let offset = entry & QCOW2Header.offsetMask
      if offset != 0, offset & geometry.clusterMask == 0, offset < file.size { found.append(offset) }
    }
    return found
  }

  /// Counts what the bitmaps in the file take.
  func countBitmaps(_ census: QCOW2Census) throws(Errno) {
    guard let place = QCOW2BitmapRecord.directory(header) else { return }
    census.add(place.offset, place.size, "the bitmap directory")
    var entries: UInt64 = 0
    for record in storedBitmaps {
      entries += UInt64(record.tableSize)
      guard entries <= QCOW2Census.maximumL1Entries else { throw Errno(EFBIG) }
      census.add(record.tableOffset, UInt64(record.tableSize) * 8, "a bitmap's table")
      for entry in try file.file.words(at: record.tableOffset, count: Int(record.tableSize)) {
        let offset = entry & QCOW2Header.offsetMask
        if offset != 0 { census.add(offset, geometry.clusterSize, "a bitmap's bits") }
      }
    }
  }
}
