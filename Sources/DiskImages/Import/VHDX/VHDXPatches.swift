/// What a log changes in its file, sector by sector of 4 KiB, the newest change alone.
struct VHDXPatches {
  /// Where a sector's new contents are: in the log, but for the first eight bytes and the last four, in whose
  /// places the log has marks of its own.
  struct Sector {
    /// Where the log's sector begins in the file.
    var place: UInt64
    var leading: UInt64
    var trailing: UInt32
  }

  /// By offset in the file.
  private(set) var sectors: [UInt64: Sector] = [:]
  /// Ranges that read as zero where no sector is written; sorted and apart after ``settle()``.
  private(set) var zeroes: [Range<UInt64>] = []
  var zeroCount: Int { zeroes.count }
  /// Bytes that the file has at least.
  var fileSize: UInt64 = 0

  mutating func write(_ offset: UInt64, _ sector: Sector) { sectors[offset] = sector }

  mutating func zero(_ range: Range<UInt64>) {
    guard !range.isEmpty else { return }
    zeroes.append(range)
    if (range.upperBound - range.lowerBound) / VHDXLog.sectorSize < UInt64(sectors.count) {
      var offset = range.lowerBound
      while offset < range.upperBound {
        sectors[offset] = nil
        offset += VHDXLog.sectorSize
      }
    } else {
      sectors = sectors.filter { !range.contains($0.key) }
    }
  }

  mutating func settle() {
    var settled: [Range<UInt64>] = []
    for range in zeroes.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = settled.last, range.lowerBound <= last.upperBound {
        settled[settled.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
      } else {
        settled.append(range)
      }
    }
    zeroes = settled
  }

  /// Whether a sector was zeroed. Only after ``settle()``.
  func isZeroed(_ offset: UInt64) -> Bool {
    var low = 0
    var high = zeroes.count
    while low < high {
      let middle = (low + high) / 2
      if zeroes[middle].upperBound <= offset { low = middle + 1 } else { high = middle }
    }
    return low < zeroes.count && zeroes[low].contains(offset)
  }
}
