internal import Glibc
package import HostSystem

/// A qcow2 image, version 3, that is written from its first byte to its last (QEMU's docs/interop/qcow2.txt). Which
/// clusters there will be is found out first, by layers' tables alone; so its length is known, and tables lie before
/// contents.
///
/// It names no backing file. Clusters that the layers do not hold are unallocated, and those that they hold as zero are
/// zero clusters, so that the image can be put over what was beneath them.
package struct StreamedQCOW2: Sendable {
  private static let clusterBits: UInt64 = 16
  private static let clusterSize: UInt64 = 1 << clusterBits
  /// Entries of a cluster of a table, and of a block of reference counts of 16 bits.
  private static let tableEntries = clusterSize / 8
  private static let blockEntries = clusterSize / 2
  private static let isCopied: UInt64 = 1 << 63
  /// Bytes of contents that are read at once.
  private static let pieceSize = 1 << 20

  /// Clusters that are alike, up to the one before `end`.
  private struct Run {
    let content: DiskLayerExtent.Content
    let end: UInt64
  }

  private let slice: LayerSlice
  private let runs: [Run]
  /// For each entry of the first table whether there is a second one.
  private let tables: [Bool]
  /// Clusters of each part, in the order of the file.
  private let referenceTable: UInt64
  private let referenceBlocks: UInt64
  private let firstTable: UInt64
  private let secondTables: UInt64
  private let contents: UInt64

  /// Bytes of the file.
  package var byteCount: UInt64 { clusters << Self.clusterBits }
  private var clusters: UInt64 {
    1 + referenceTable + referenceBlocks + firstTable + secondTables + contents
  }

  /// Looks through the tables of the layers.
  package init(_ slice: LayerSlice) throws(Errno) {
    self.slice = slice
    runs = try Self.runs(of: slice)
    let count = (slice.size + Self.clusterSize - 1) >> Self.clusterBits
    let entries = (count + Self.tableEntries - 1) / Self.tableEntries
    var tables = [Bool](repeating: false, count: Int(entries))
    var (start, contents): (UInt64, UInt64) = (0, 0)
    for run in runs {
      if run.content == .data { contents += run.end - start }
      if run.content != .absent {
        for table in start / Self.tableEntries...(run.end - 1) / Self.tableEntries {
          tables[Int(table)] = true
        }
      }
      start = run.end
    }
    self.tables = tables
    self.contents = contents
    firstTable = max(1, (entries + Self.tableEntries - 1) / Self.tableEntries)
    secondTables = UInt64(tables.count { $0 })
    // Blocks count themselves too.
    let others = 1 + firstTable + secondTables + contents
    var (table, blocks): (UInt64, UInt64) = (1, 1)
    while true {
      let needed = (others + table + blocks + Self.blockEntries - 1) / Self.blockEntries
      let tableNeeded = (needed + Self.tableEntries - 1) / Self.tableEntries
      if needed <= blocks, tableNeeded <= table { break }
      (table, blocks) = (max(table, tableNeeded), max(blocks, needed))
    }
    (referenceTable, referenceBlocks) = (table, blocks)
  }

  /// Clusters that are partly this and partly that count as contents.
  private static func runs(of slice: LayerSlice) throws(Errno) -> [Run] {
    var runs: [Run] = []
    func add(_ content: DiskLayerExtent.Content, to end: UInt64) {
      if runs.last?.content == content { runs.removeLast() }
      runs.append(Run(content: content, end: end))
    }
    var place: UInt64 = 0
    while place < slice.size {
      let extent = try slice.extent(at: place, limit: slice.size)
      // The last cluster may be a part of one.
      let end =
        extent.end == slice.size
        ? (extent.end + clusterSize - 1) >> clusterBits : extent.end >> clusterBits
      if end << clusterBits > place {
        add(extent.content, to: end)
        place = end << clusterBits
        continue
      }
      let next = (place >> clusterBits) + 1
      let limit = min(next << clusterBits, slice.size)
      var (content, inner) = (extent.content, extent.end)
      while inner < limit {
        let other = try slice.extent(at: inner, limit: limit)
        if other.content != content { content = .data }
        inner = other.end
      }
      add(content, to: next)
      place = next << clusterBits
    }
    return runs
  }

  // MARK: - Writing

  /// Writes all of it. `progress` is told of bytes that were written since it was told last, and says whether to go on.
  package func write(
    to sink: any ByteSink, progress: (UInt64) -> Bool = { _ in true }
  ) throws(DiskCopy.Failure) {
    do {
      try sink.append(header)
      try writeEntries(to: sink, clusters: referenceTable) { (index) in
        index < referenceBlocks ? (1 + referenceTable + index) << Self.clusterBits : 0
      }
      try writeReferences(to: sink)
      let firstSecond = 1 + referenceTable + referenceBlocks + firstTable
      var made: UInt64 = 0
      try writeEntries(to: sink, clusters: firstTable) { (index) in
        guard index < UInt64(tables.count), tables[Int(index)] else { return 0 }
        defer { made += 1 }
        return (firstSecond + made) << Self.clusterBits | Self.isCopied
      }
      try writeSecondTables(to: sink)
    } catch { throw .writing(error) }
    if !progress((clusters - contents) << Self.clusterBits) { throw .cancelled }
    try writeContents(to: sink, progress)
  }

  private var header: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(Self.clusterSize))
    func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
      withUnsafeBytes(of: value.bigEndian) { bytes.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }
    put(UInt32(0x5146_49FB), at: 0)
    put(UInt32(3), at: 4)
    put(UInt32(Self.clusterBits), at: 20)
    put(slice.size, at: 24)
    put(UInt32(clamping: tables.count), at: 36)
    put((1 + referenceTable + referenceBlocks) << Self.clusterBits, at: 40)
    put(Self.clusterSize, at: 48)
    put(UInt32(clamping: referenceTable), at: 56)
    put(UInt32(4), at: 96)  // reference counts of 16 bits
    put(UInt32(104), at: 100)
    return bytes
  }

  private func writeEntries(
    to sink: any ByteSink, clusters: UInt64, _ entry: (UInt64) -> UInt64
  ) throws(Errno) {
    for cluster in 0..<clusters {
      let first = cluster * Self.tableEntries
      try append((first..<first + Self.tableEntries).map { entry($0).bigEndian }, to: sink)
    }
  }

  private func append(_ words: [UInt64], to sink: any ByteSink) throws(Errno) {
    try words.withUnsafeBufferPointer { (words) throws(Errno) in
      try sink.append(UnsafeRawBufferPointer(words))
    }
  }

  /// Each cluster of the file is there once.
  private func writeReferences(to sink: any ByteSink) throws(Errno) {
    let one = [UInt8](repeating: 0, count: Int(Self.clusterSize)).enumerated().map { UInt8($0.offset & 1) }
    for block in 0..<referenceBlocks {
      let first = block * Self.blockEntries
      let used = Int(min(Self.blockEntries, clusters > first ? clusters - first : 0)) * 2
      try sink.append(
        Array(one[..<used]) + [UInt8](repeating: 0, count: Int(Self.clusterSize) - used))
    }
  }

  private func writeSecondTables(to sink: any ByteSink) throws(Errno) {
    var host = clusters - contents
    var (run, cluster) = (0, UInt64(0))
    for (index, isThere) in tables.enumerated() {
      let end = UInt64(index + 1) * Self.tableEntries
      var words: [UInt64] = []
      while cluster < end {
        while run < runs.count, runs[run].end <= cluster { run += 1 }
        let content = run < runs.count ? runs[run].content : .absent
        switch content {
        case .data:
          words.append((host << Self.clusterBits | Self.isCopied).bigEndian)
          host += 1
        case .zero: words.append(UInt64(1).bigEndian)
        case .absent: words.append(0)
        }
        cluster += 1
        if !isThere { cluster = end }
      }
      if isThere { try append(words, to: sink) }
    }
  }

  private func writeContents(
    to sink: any ByteSink, _ progress: (UInt64) -> Bool
  ) throws(DiskCopy.Failure) {
    let room: Mapping
    do { room = try Mapping.map(size: Self.pieceSize) } catch { throw .reading(error) }
    var place: UInt64 = 0
    for run in runs {
      let end = run.end << Self.clusterBits
      defer { place = end }
      guard run.content == .data else { continue }
      var offset = place
      while offset < end {
        let count = Int(min(UInt64(Self.pieceSize), end - offset))
        let piece = UnsafeMutableRawBufferPointer(start: room.base, count: count)
        let known = Int(min(UInt64(count), slice.size - offset))
        do {
          try slice.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: piece[..<known]))
        } catch { throw .reading(error) }
        if known < count { memset(room.base + known, 0, count - known) }
        do { try sink.append(UnsafeRawBufferPointer(piece)) } catch { throw .writing(error) }
        offset += UInt64(count)
        if !progress(UInt64(count)) { throw .cancelled }
      }
    }
  }
}
