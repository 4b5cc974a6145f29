internal import HostSystem

/// The log of a VHDX file, which holds changes of its tables that may not have reached their places
/// ([MS-VHDX] 2.3).
///
/// Its length is the file's to say, so it is read entry by entry. Entries are not laid out within others, so that
/// looking for them at each sector takes no longer than reading the log.
struct VHDXLog {
  static let sectorSize: UInt64 = 4096
  static let descriptorSize = 32
  static let headerSize = 64
  /// A longer log than this program replays; those that are written usually have 1 MiB.
  private static let mostBytes: UInt32 = 256 << 20
  /// So many ranges of zeroes at most, because each is compared with all else.
  private static let mostZeroRanges = 4096

  private let source: ImportFile
  private let header: VHDXHeader
  private var length: UInt64 { UInt64(header.logLength) }

  /// A log entry that was found sound.
  private struct Entry {
    /// Where it begins in the log.
    var offset: UInt64
    var length: UInt64
    /// Where the oldest entry begins that has to be replayed with it.
    var tail: UInt64
    var sequence: UInt64
    /// How large the file was for certain, and how large it has to be.
    var flushedSize: UInt64
    var lastSize: UInt64
    var descriptors: Fields
    var descriptorCount: Int
  }

  init(_ header: VHDXHeader, of source: ImportFile) throws(DiskImageError) {
    self.header = header
    self.source = source
    guard header.logVersion == 0 else { throw source.unsupported("version \(header.logVersion) of its log") }
    guard header.logLength > 0, header.logLength % (1 << 20) == 0, header.logOffset % (1 << 20) == 0,
      header.logOffset >= 1 << 20, source.holds(header.logOffset, UInt64(header.logLength))
    else { throw source.damaged("its log is not inside the file") }
    guard header.logLength <= Self.mostBytes else {
      throw source.unsupported("\(header.logLength) bytes of log to be replayed")
    }
  }

  /// What the log's newest sequence of entries changes.
  func patches() throws(DiskImageError) -> VHDXPatches {
    let entries = try activeSequence()
    var patches = VHDXPatches()
    guard let last = entries.last else { throw source.damaged("its log has no entry that is sound") }
    guard source.size >= last.flushedSize else {
      throw .truncated(name: source.name, size: source.size, expected: last.flushedSize)
    }
    for entry in entries { try add(entry, to: &patches) }
    patches.fileSize = last.lastSize
    patches.settle()
    return patches
  }

  private func add(_ entry: Entry, to patches: inout VHDXPatches) throws(DiskImageError) {
    var data = descriptorBytes(entry.descriptorCount)
    for index in 0..<entry.descriptorCount {
      let place = Self.headerSize + Self.descriptorSize * index
      let offset = entry.descriptors.little(UInt64.self, at: place + 16)
      if entry.descriptors.has("zero", at: place) {
        let length = entry.descriptors.little(UInt64.self, at: place + 8)
        let end = offset.addingReportingOverflow(length)
        guard offset % Self.sectorSize == 0, length % Self.sectorSize == 0, !end.overflow,
          end.partialValue <= UInt64(Int64.max)
        else {
          throw source.damaged("its log zeroes \(length) bytes at \(offset)")
        }
        guard patches.zeroCount < Self.mostZeroRanges else {
          throw source.unsupported("a log with more than \(Self.mostZeroRanges) ranges of zeroes")
        }
        patches.zero(offset..<end.partialValue)
      } else {
        guard offset % Self.sectorSize == 0 else { throw source.damaged("its log writes at \(offset)") }
        patches.write(
          offset,
          VHDXPatches.Sector(
            place: header.logOffset + (entry.offset + data) % length,
            leading: entry.descriptors.little(UInt64.self, at: place + 8),
            trailing: entry.descriptors.little(UInt32.self, at: place + 4)))
        data += Self.sectorSize
      }
    }
  }

  // MARK: - Entries

  /// Bytes that an entry's header and descriptors take, in whole sectors.
  private func descriptorBytes(_ count: Int) -> UInt64 {
    let bytes = UInt64(Self.headerSize + Self.descriptorSize * count)
    return (bytes + Self.sectorSize - 1) / Self.sectorSize * Self.sectorSize
  }

  /// The entries to be replayed, oldest first ([MS-VHDX] 2.3.2): of all sequences of entries, each with the number
  /// behind the last one's, that hold what their last entry names as the oldest, the one with the highest numbers.
  private func activeSequence() throws(DiskImageError) -> [Entry] {
    var best: [Entry] = []
    var start: UInt64 = 0
    while start < length {
      var sequence: [Entry] = []
      var next = start
      var taken: UInt64 = 0
      // A sequence may go on at the log's beginning, and ends where it began.
      while taken < length, let entry = try entry(at: next) {
        if let last = sequence.last, entry.sequence != last.sequence &+ 1 { break }
        taken += entry.length
        guard taken <= length else { break }
        sequence.append(entry)
        next = (next + entry.length) % length
      }
      if let last = sequence.last, let oldest = sequence.firstIndex(where: { $0.offset == last.tail }),
        best.last.map({ $0.sequence < last.sequence }) ?? true
      {
        best = Array(sequence[oldest...])
      }
      start += sequence.isEmpty ? Self.sectorSize : taken
    }
    return best
  }

  /// The entry at a place of the log; nil when there is none that is sound.
  private func entry(at offset: UInt64) throws(DiskImageError) -> Entry? {
    let head = try log(at: offset, count: Int(Self.sectorSize))
    guard head.has("loge", at: 0), VHDXIdentifier(head.bytes[32..<48]) == header.log else { return nil }
    let count = Int(head.little(UInt32.self, at: 24))
    let entryLength = UInt64(head.little(UInt32.self, at: 8))
    let sequence = head.little(UInt64.self, at: 16)
    guard sequence > 0, entryLength > 0, entryLength % Self.sectorSize == 0, entryLength <= length,
      Self.headerSize + Self.descriptorSize * count <= Int(entryLength)
    else { return nil }
    // The form first: a checksum over what a header of no entry claims would be taken again and again.
    let table = try descriptors(at: offset, head: head, count: count, sequence: sequence)
    guard let table else { return nil }
    let dataSectors = (0..<count).count { table.has("desc", at: Self.headerSize + Self.descriptorSize * $0) }
    let dataStart = descriptorBytes(count)
    guard entryLength == dataStart + UInt64(dataSectors) * Self.sectorSize else { return nil }
    var sum = CRC32C()
    sum.add(table.bytes[..<4])
    sum.add(repeatElement(0, count: 4))
    sum.add(table.bytes[8...])
    for index in 0..<UInt64(dataSectors) {
      let sector = try log(at: offset + dataStart + index * Self.sectorSize, count: Int(Self.sectorSize))
      guard sector.has("data", at: 0), sector.little(UInt32.self, at: 4) == UInt32(sequence >> 32),
        sector.little(UInt32.self, at: 4092) == UInt32(truncatingIfNeeded: sequence)
      else { return nil }
      sum.add(sector.bytes)
    }
    guard sum.value == head.little(UInt32.self, at: 4) else { return nil }
    return Entry(
      offset: offset, length: entryLength, tail: UInt64(head.little(UInt32.self, at: 12)), sequence: sequence,
      flushedSize: head.little(UInt64.self, at: 48), lastSize: head.little(UInt64.self, at: 56),
      descriptors: table, descriptorCount: count)
  }

  /// An entry's header and descriptors; nil when one of them is none of this entry's.
  private func descriptors(
    at offset: UInt64, head: Fields, count: Int, sequence: UInt64
  ) throws(DiskImageError) -> Fields? {
    var bytes = head.bytes
    for index in 0..<count {
      let place = Self.headerSize + Self.descriptorSize * index
      if place == bytes.count {
        bytes += try log(at: offset + UInt64(place), count: Int(Self.sectorSize)).bytes
      }
      let descriptor = Fields(Array(bytes[place..<place + Self.descriptorSize]))
      guard descriptor.has("desc", at: 0) || descriptor.has("zero", at: 0),
        descriptor.little(UInt64.self, at: 24) == sequence
      else { return nil }
    }
    return Fields(bytes)
  }

  /// Bytes of the log, which ends at a sector's end and goes on at its beginning. No sector crosses that.
  private func log(at offset: UInt64, count: Int) throws(DiskImageError) -> Fields {
    try source.fields(at: header.logOffset + offset % length, count: count, of: "the log")
  }
}
