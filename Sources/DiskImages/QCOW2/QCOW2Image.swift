internal import HostSystem
internal import Synchronization

/// A qcow2 image of version 3 or 2 (QEMU's docs/interop/qcow2) over the backing image that the caller hands in.
///
/// **Power cuts.** Contents are written at once, tables change in memory. A commit (``flush()``, and whenever much has
/// changed) writes them in an order that any cut leaves sound: raised refcounts and everything new that nothing
/// refers to yet; sync; changed L2 entries and L1 entries; sync. So two syncs, and one when nothing was allocated.
/// Only then are refcounts lowered of what was let go of, its room given back, and used again. What a cut loses is a
/// count that stays too high: a leak, which ``repair()`` finds. What is rare (snapshots, new L1 tables, bitmaps) ends
/// in one write of the header's first sector, which is whole or was never there.
///
/// **Threads.** The lock guards tables and is held while they are looked at, and while a page of them is read.
/// Contents move outside of it. Whoever moves contents is in ``operations`` with its clusters: readers and writers in
/// place share them, whoever changes what an entry says is alone.
package final class QCOW2Image: DiskImage, @unchecked Sendable {  // guarded by `lock`, but for constants
  /// Bytes of L2 tables and of refcounts in memory, beside what is changed and not yet stored.
  package static let defaultCacheSize = 1 << 20
  /// Bytes that one operation writes to new clusters.
  static let pieceSize: UInt64 = 2 << 20

  let file: QCOW2File
  let geometry: QCOW2Geometry
  package let backing: (any DiskImage)?
  package let isReadOnly: Bool
  package var name: String { file.file.name }

  let lock = QCOW2Lock()
  let operations = QCOW2Operations()
  /// Held by whoever commits, so that an older page never follows a newer one. Taken before `lock`.
  let committing = QCOW2Lock()
  private let currentSize: Atomic<UInt64>

  var header: QCOW2Header
  /// The active L1 table, host-endian.
  var l1: [UInt64]
  /// Pages of it, by number, that differ from the file.
  var dirtyL1Pages: Set<Int> = []
  let tables: QCOW2Pages
  let refcounts: QCOW2Refcounts
  let places: QCOW2Places
  let limit: Int
  /// Clusters that lost one reference each, which the file may still have.
  var pendingFrees: [Range<UInt64>] = []
  /// Whether tables in memory refer to what was written since the last sync.
  var hasNewClusters = false
  /// Nothing may be written any more.
  var isCorrupt = false
  /// Refcounts and flags were left out of step by a change that failed.
  var needsRepair = false
  let compressor: QCOW2Compressor
  var snapshots: [QCOW2SnapshotRecord]
  /// Bytes of their table.
  var snapshotTableSize: UInt64
  /// How often each is open, by ID.
  var openSnapshots: [[UInt8]: Int] = [:]
  var bitmaps: [QCOW2Bitmap]
  /// The directory's entries, as the file has them.
  var storedBitmaps: [QCOW2BitmapRecord]
  /// Whether the file says of the enabled ones that they are out of step.
  var areBitmapsInUse = false
  let hasEnabledBitmaps = Atomic<Bool>(false)
  /// Where the end of the last compressed cluster is, for the next.
  var compressedEnd: UInt64 = 0

  package var size: UInt64 { currentSize.load(ordering: .acquiring) }
  func setSize(_ size: UInt64) { currentSize.store(size, ordering: .releasing) }

  /// Opens an image. `backing` is what is underneath, and required where the header names something
  /// (``QCOW2Info`` tells before). It is only read.
  ///
  /// An image that was not closed is repaired first when it is opened for writing; one that is marked as corrupt is
  /// not opened for that.
  package convenience init(
    _ file: any ImageFile, backing: (any DiskImage)? = nil, cacheSize: Int = QCOW2Image.defaultCacheSize
  ) throws(DiskImageError) {
    let header = try QCOW2Header(reading: file)
    if backing == nil, header.backingOffset != 0, !header.backingName.isEmpty {
      throw .backingMissing(name: file.name, backing: String(decoding: header.backingName, as: UTF8.self))
    }
    if !file.isReadOnly, header.incompatible & QCOW2Header.Features.corrupt != 0 {
      throw .damaged(name: file.name, format: .qcow2, reason: "it is marked as corrupt: open it read-only")
    }
    try self.init(file, header: header, backing: backing, cacheSize: cacheSize)
    if !isReadOnly { try learnPlaces() }
    do {
      if !isReadOnly { try prepareForWriting() }
    } catch {
      throw .system(name: file.name, operation: "prepare", error)
    }
  }

  /// Opens an image as damaged as it may be, for a look at its tables alone.
  convenience init(examining file: any ImageFile) throws(DiskImageError) {
    try self.init(
      file, header: try QCOW2Header(reading: file), backing: nil, cacheSize: QCOW2Image.defaultCacheSize)
  }

  private init(
    _ file: any ImageFile, header: QCOW2Header, backing: (any DiskImage)?, cacheSize: Int
  ) throws(DiskImageError) {
    self.header = header
    self.backing = backing
    isReadOnly = file.isReadOnly
    geometry = QCOW2Geometry(header)
    limit = max(cacheSize, 4 << Int(geometry.pageBits))
    currentSize = Atomic(header.size / sectorSize * sectorSize)
    compressor = QCOW2Compressor(
      header.compressionType == 0 ? .zlib : .zstd, clusterSize: Int(header.clusterSize))
    places = QCOW2Places()
    do {
      self.file = try QCOW2File(file)
      let fileSize = self.file.size
      guard header.l1Offset <= fileSize, UInt64(header.l1Size) * 8 <= fileSize - header.l1Offset else {
        throw DiskImageError.damaged(name: file.name, format: .qcow2, reason: "its L1 table is cut off")
      }
      let tableSize = UInt64(header.refcountTableClusters) << geometry.clusterBits
      guard header.refcountTableOffset <= fileSize,
        isReadOnly || tableSize <= fileSize - header.refcountTableOffset
      else {
        throw DiskImageError.damaged(name: file.name, format: .qcow2, reason: "its refcount table is cut off")
      }
      l1 = try file.words(at: header.l1Offset, count: Int(header.l1Size))
      // Who only reads has no use for counts.
      let held = min(tableSize, fileSize - header.refcountTableOffset)
      let table = try file.words(at: header.refcountTableOffset, count: Int(held / 8))
      tables = QCOW2Pages(self.file, pageSize: geometry.pageSize, limit: limit)
      refcounts = QCOW2Refcounts(
        self.file, geometry, table: table, offset: header.refcountTableOffset, places: places,
        limit: limit / 4)
      let list = try QCOW2SnapshotRecord.table(of: header, in: self.file)
      snapshots = list.records
      snapshotTableSize = list.size
      storedBitmaps = try QCOW2BitmapRecord.directory(of: header, in: self.file)
      bitmaps = storedBitmaps.map { QCOW2Bitmap($0) }
    } catch let error as Errno {
      throw .system(name: file.name, operation: "read the tables of", error)
    } catch let error as DiskImageError {
      throw error
    } catch {
      throw .damaged(name: file.name, format: .qcow2, reason: "\(error)")
    }
    // They live no longer than this does, whose deinit may still need them.
    refcounts.switchTable = { [unowned(unsafe) self] (offset, clusters) throws(Errno) in
      var header = self.header
      header.refcountTableOffset = offset
      header.refcountTableClusters = UInt32(clamping: clusters)
      try storeHeader(header)
    }
  }

  deinit {
    // The last chance of what nobody flushed; whoever cares for it closes.
    try? close()
  }

  /// Notes where tables are, and refuses those that stand in each other's way.
  private func learnPlaces() throws(DiskImageError) {
    func damaged(_ reason: String) -> DiskImageError { .damaged(name: name, format: .qcow2, reason: reason) }
    let end = geometry.clusters(for: file.size)
    learnRanges()
    for (entries, kind) in [(l1, "L2 table"), (refcounts.table, "refcount block")] {
      for entry in entries {
        let offset = kind == "L2 table" ? entry & QCOW2Header.offsetMask : entry
        guard offset != 0 else { continue }
        guard offset & geometry.clusterMask == 0, offset >> geometry.clusterBits < end else {
          throw damaged("\(kind) at \(offset)")
        }
        guard places.insert(offset >> geometry.clusterBits) else { throw damaged("two tables at \(offset)") }
      }
    }
    guard !places.haveOverlaps else { throw damaged("its tables overlap") }
  }

  /// Notes where the tables of more than a cluster are.
  func learnRanges() {
    func clusters(_ offset: UInt64, _ bytes: UInt64) -> Range<UInt64> {
      let first = offset >> geometry.clusterBits
      return first..<first + geometry.clusters(for: bytes)
    }
    places.removeSnapshots()
    places.replace(.l1, with: clusters(header.l1Offset, UInt64(l1.count) * 8))
    places.replace(.refcountTable, with: clusters(refcounts.tableOffset, UInt64(refcounts.table.count) * 8))
    places.replace(.snapshots, with: clusters(header.snapshotsOffset, snapshotTableSize))
    // Of very many the refcounts alone must tell.
    for (number, snapshot) in snapshots.prefix(64).enumerated() {
      places.replace(.snapshotL1(number), with: clusters(snapshot.l1Offset, UInt64(snapshot.l1Size) * 8))
    }
  }

  // MARK: - What it says of itself

  /// The backing file's name as the header has it, for other programs.
  package var backingName: String? {
    lock.withLock { header.backingOffset == 0 ? nil : String(decoding: header.backingName, as: UTF8.self) }
  }

  package var backingFormat: String? { lock.withLock { header.backingFormat } }
  package var clusterSize: UInt64 { geometry.clusterSize }

  /// The bytes that the backing image has something to say about.
  var backingEnd: UInt64 { min(backing?.size ?? 0, size) }

  /// Reads what is underneath, and zeroes behind its end.
  func readBacking(
    of size: UInt64, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    let end = min(backing?.size ?? 0, size)
    let held = Int(min(UInt64(buffer.count), end - min(offset, end)))
    if held > 0 {
      try backing?.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
    }
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).zero()
  }
}
