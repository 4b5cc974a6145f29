internal import HostSystem

/// The reference counts of the file's clusters (section Host cluster management), and who gets which free ones.
/// Guarded by the image's lock.
///
/// A count is raised before anything refers to the cluster, and lowered only once whatever referred to it is
/// durably gone. So at every moment a count in memory is no lower than what the file's tables, old or new, need, and
/// blocks may be stored at any time. What is free by its count is free on the medium too.
final class QCOW2Refcounts {
  let geometry: QCOW2Geometry
  let file: QCOW2File
  let pages: QCOW2Pages
  /// Offsets of the blocks, 0 where there is none.
  private(set) var table: [UInt64]
  private(set) var tableOffset: UInt64
  private(set) var tableClusters: UInt64
  /// Pages of the table, by number, that differ from the file.
  var dirtyTablePages: Set<Int> = []
  /// No cluster before it is free.
  private var firstCandidate: UInt64 = 0
  /// Which clusters hold active tables and must never be given out.
  let places: QCOW2Places

  init(
    _ file: QCOW2File, _ geometry: QCOW2Geometry, table: [UInt64], offset: UInt64, places: QCOW2Places,
    limit: Int
  ) {
    self.file = file
    self.geometry = geometry
    self.table = table
    tableOffset = offset
    tableClusters = (UInt64(table.count) * 8) >> geometry.clusterBits
    self.places = places
    pages = QCOW2Pages(file, pageSize: geometry.pageSize, limit: limit)
  }

  /// Clusters that the table's blocks could count.
  var coverage: UInt64 { UInt64(table.count) << geometry.blockBits }

  /// Uses another table, which the header names now, and blocks that are stored.
  func reset(_ table: [UInt64], at offset: UInt64) {
    self.table = table
    tableOffset = offset
    tableClusters = (UInt64(table.count) * 8) >> geometry.clusterBits
    dirtyTablePages = []
    firstCandidate = 0
    pages.forgetAll()
    let first = offset >> geometry.clusterBits
    places.replace(.refcountTable, with: first..<first + tableClusters)
    for block in table where block != 0 { places.insert(block >> geometry.clusterBits) }
  }

  // MARK: - Counts

  private func place(of cluster: UInt64) throws(Errno) -> (page: QCOW2Page, index: Int)? {
    let tableIndex = cluster >> geometry.blockBits
    guard tableIndex < UInt64(table.count), table[Int(tableIndex)] != 0 else { return nil }
    let inBlock = cluster & (1 << geometry.blockBits - 1)
    let bitsOfPage = geometry.pageBits + 3 - geometry.refcountOrder
    let offset = table[Int(tableIndex)] + ((inBlock >> bitsOfPage) << geometry.pageBits)
    return (try pages.page(at: offset), Int(inBlock & (1 << bitsOfPage - 1)))
  }

  func count(of cluster: UInt64) throws(Errno) -> UInt64 {
    guard let (page, index) = try place(of: cluster) else { return 0 }
    return Self.load(page.bytes, index, geometry.refcountOrder)
  }

  /// Sets a count that has a block.
  func set(_ cluster: UInt64, to value: UInt64) throws(Errno) {
    guard let (page, index) = try place(of: cluster) else { throw .io }
    let order = geometry.refcountOrder
    pages.change(page) { Self.store(value, $0, index, order) }
    if value == 0 { firstCandidate = min(firstCandidate, cluster) }
  }

  /// Raises a count, or throws `ERANGE` when it is as wide as it can be.
  func raise(_ cluster: UInt64, by more: UInt64 = 1) throws(Errno) {
    let now = try count(of: cluster)
    guard more <= geometry.maximumRefcount - min(now, geometry.maximumRefcount) else { throw Errno(.range) }
    if try place(of: cluster) == nil { try addBlock(for: cluster) }
    try set(cluster, to: now + more)
  }

  static func load(_ bytes: UnsafeMutableRawBufferPointer, _ index: Int, _ order: UInt64) -> UInt64 {
    switch order {
    case 4: UInt64(UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)))
    case 5: UInt64(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
    case 6: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
    default:
      {
        let width = 1 << Int(order)
        let byte = UInt64(bytes[index * width / 8])
        return byte >> UInt64(index * width % 8) & (1 << UInt64(width) - 1)
      }()
    }
  }

  static func store(_ value: UInt64, _ bytes: UnsafeMutableRawBufferPointer, _ index: Int, _ order: UInt64) {
    switch order {
    case 4:
      bytes.storeBytes(
        of: UInt16(truncatingIfNeeded: value).bigEndian, toByteOffset: index * 2, as: UInt16.self)
    case 5:
      bytes.storeBytes(
        of: UInt32(truncatingIfNeeded: value).bigEndian, toByteOffset: index * 4, as: UInt32.self)
    case 6: bytes.storeBytes(of: value.bigEndian, toByteOffset: index * 8, as: UInt64.self)
    default:
      let width = 1 << Int(order)
      let shift = UInt8(index * width % 8)
      let mask = UInt8(truncatingIfNeeded: 1 << width - 1) << shift
      let old = bytes[index * width / 8]
      bytes[index * width / 8] = old & ~mask | UInt8(truncatingIfNeeded: value) << shift & mask
    }
  }

  // MARK: - Allocation

  /// Takes up to `most` free clusters side by side, each of count 1 then.
  func allocate(upTo most: UInt64) throws(Errno) -> Range<UInt64> {
    let first = try firstFree(from: firstCandidate)
    firstCandidate = first
    var end = first
    while end < first + most, try isCountedFree(end) { end += 1 }
    let run = first..<max(end, first + 1)
    try take(run)
    firstCandidate = run.upperBound
    return run
  }

  /// Takes `count` free clusters side by side.
  func allocate(contiguous count: UInt64) throws(Errno) -> Range<UInt64> {
    var start = try firstFree(from: firstCandidate)
    while true {
      // Blocks that counts need are added first: they may sit where the run would be.
      var end = start
      while end < start + count, try isFree(end) { end += 1 }
      if end == start + count {
        for cluster in stride(from: start, to: end, by: 1) where try place(of: cluster) == nil {
          try addBlock(for: cluster)
        }
        var isWhole = true
        for cluster in start..<end where try !isFree(cluster) { isWhole = false }
        if isWhole { break }
        continue
      }
      start = try firstFree(from: end)
    }
    try take(start..<start + count)
    return start..<start + count
  }

  private func isFree(_ cluster: UInt64) throws(Errno) -> Bool { try count(of: cluster) == 0 }

  /// Whether a cluster is free and has a block, which could otherwise take its place.
  private func isCountedFree(_ cluster: UInt64) throws(Errno) -> Bool {
    guard let (page, index) = try place(of: cluster) else { return false }
    return Self.load(page.bytes, index, geometry.refcountOrder) == 0
  }

  private func firstFree(from start: UInt64) throws(Errno) -> UInt64 {
    var cluster = start
    while true {
      let tableIndex = cluster >> geometry.blockBits
      if tableIndex >= UInt64(table.count) {
        try growTable()
        continue
      }
      guard let (page, index) = try place(of: cluster) else {
        try addBlock(for: cluster)
        continue
      }
      let order = geometry.refcountOrder
      let entries = (geometry.pageSize * 8) >> Int(order)
      for entry in index..<entries {
        if Self.load(page.bytes, entry, order) == 0 { return cluster }
        cluster += 1
      }
    }
  }

  private func take(_ clusters: Range<UInt64>) throws(Errno) {
    guard clusters.upperBound < 1 << (56 - geometry.clusterBits) else { throw Errno(.tooLarge) }
    if places.isUsed(clusters) { throw QCOW2Places.corruption }
    for cluster in clusters {
      if try place(of: cluster) == nil { try addBlock(for: cluster) }
      try set(cluster, to: 1)
    }
  }

  /// Makes the block that counts a cluster. It sits in the first place that it counts itself.
  private func addBlock(for cluster: UInt64) throws(Errno) {
    while cluster >> geometry.blockBits >= UInt64(table.count) { try growTable() }
    let tableIndex = Int(cluster >> geometry.blockBits)
    guard table[tableIndex] == 0 else { return }
    let home = UInt64(tableIndex) << geometry.blockBits
    guard home < 1 << (56 - geometry.clusterBits) else { throw Errno(.tooLarge) }
    // Nothing that it counts is in use, unless the file is damaged.
    if places.isUsed(home..<home + 1) { throw QCOW2Places.corruption }
    let offset = home << geometry.clusterBits
    pages.forget(offset..<offset + geometry.clusterSize)
    try file.fillWithZeroes(at: offset, count: geometry.clusterSize)
    table[tableIndex] = offset
    dirtyTablePages.insert(tableIndex * 8 / geometry.pageSize)
    places.insert(home)
    try set(home, to: 1)
  }

  // MARK: - The table

  /// How the header is told of a new table: offset in bytes and clusters; it is durable afterwards.
  var switchTable: ((UInt64, UInt64) throws(Errno) -> Void)?

  /// Moves the table to where what it cannot count yet begins, twice as large. Everything is durable afterwards.
  private func growTable() throws(Errno) {
    let entriesInCluster = geometry.clusterSize / 8
    let newClusters = tableClusters * 2
    guard newClusters * entriesInCluster <= QCOW2Header.maximumRefcountTableEntries else {
      throw Errno(.tooLarge)
    }
    let start = coverage
    var blocks: UInt64 = 1
    while blocks << geometry.blockBits < newClusters + blocks { blocks += 1 }
    let all = start..<start + newClusters + blocks
    guard all.upperBound < 1 << (56 - geometry.clusterBits) else { throw Errno(.tooLarge) }
    if places.isUsed(all) { throw QCOW2Places.corruption }
    var newTable = table
    newTable += [UInt64](repeating: 0, count: Int(newClusters * entriesInCluster) - table.count)
    for block in 0..<blocks {
      newTable[table.count + Int(block)] = (start + newClusters + block) << geometry.clusterBits
      let contents = QCOW2Buffer(count: Int(geometry.clusterSize), isZero: true)
      for index in 0..<UInt64(1) << geometry.blockBits {
        let cluster = start + block << geometry.blockBits + index
        guard cluster < all.upperBound else { break }
        Self.store(1, contents.bytes, Int(index), geometry.refcountOrder)
      }
      let offset = (start + newClusters + block) << geometry.clusterBits
      pages.forget(offset..<offset + geometry.clusterSize)
      try file.write(at: offset, from: UnsafeRawBufferPointer(contents.bytes))
    }
    try file.write(newTable[...], at: start << geometry.clusterBits)
    let copies = pages.copies()
    try QCOW2Pages.write(copies, to: file)
    try file.sync()
    pages.markStored(copies)
    try switchTable?(start << geometry.clusterBits, newClusters)
    let old = tableOffset >> geometry.clusterBits..<tableOffset >> geometry.clusterBits + tableClusters
    table = newTable
    tableOffset = start << geometry.clusterBits
    tableClusters = newClusters
    dirtyTablePages = []
    places.replace(.refcountTable, with: start..<start + newClusters)
    for block in 0..<blocks { places.insert(start + newClusters + block) }
    for cluster in old {
      let now = try count(of: cluster)
      if now > 0 { try set(cluster, to: now - 1) }
    }
  }
}

extension Int32 {
  fileprivate static var range: Int32 { 34 /* ERANGE */ }
  fileprivate static var tooLarge: Int32 { 27 /* EFBIG */ }
}
