internal import HostSystem

/// How often the file's tables refer to each of its clusters, counted anew.
final class QCOW2Census {
  /// Clusters of a file, and entries of all L1 tables together, that are counted; who has more is refused.
  static let maximumClusters: UInt64 = 1 << 30
  static let maximumL1Entries: UInt64 = 1 << 26

  let clusterCount: UInt64
  private let memory: Mapping
  private let geometry: QCOW2Geometry
  /// How many L1 entries name a table of the second level.
  private var tables: [UInt64: UInt64] = [:]
  private(set) var corruptions = 0
  private(set) var messages: [String] = []

  /// For a file of `size` bytes; `EFBIG` when that is more than can be counted.
  init(size: UInt64, _ geometry: QCOW2Geometry) throws(Errno) {
    self.geometry = geometry
    clusterCount = geometry.clusters(for: size)
    guard clusterCount <= Self.maximumClusters else { throw Errno(27 /* EFBIG */) }
    // Only what is counted takes memory.
    memory = try Mapping.map(size: max(4096, Int(clusterCount) * 4))
  }

  private var counts: UnsafeMutablePointer<UInt32> { memory.base.assumingMemoryBound(to: UInt32.self) }

  subscript(_ cluster: UInt64) -> UInt64 {
    cluster < clusterCount ? UInt64(counts[Int(cluster)]) : 0
  }

  func corruption(_ message: @autoclosure () -> String) {
    corruptions += 1
    if messages.count < 20 { messages.append(message()) }
  }

  /// Counts `times` references to the clusters of a range of bytes. False, and a corruption, where it does not
  /// begin inside the file.
  @discardableResult
  func add(_ offset: UInt64, _ count: UInt64, times: UInt64 = 1, _ what: @autoclosure () -> String) -> Bool {
    guard count > 0 else { return true }
    let first = offset >> geometry.clusterBits
    let (sum, overflow) = offset.addingReportingOverflow(count - 1)
    let last = sum >> geometry.clusterBits
    // The last cluster of a table may lie behind the end as a whole only if the file was cut.
    guard !overflow, first < clusterCount, last < clusterCount else {
      corruption("\(what()) at \(offset) lies outside the file")
      return false
    }
    for cluster in first...last {
      let (value, overflow) = UInt64(counts[Int(cluster)]).addingReportingOverflow(times)
      counts[Int(cluster)] = overflow ? .max : UInt32(clamping: value)
    }
    return true
  }

  func set(_ cluster: UInt64, to count: UInt32) {
    if cluster < clusterCount { counts[Int(cluster)] = count }
  }

  /// Notes an L1 table, whose second level ``countTables(in:)`` counts.
  func add(_ l1: [UInt64]) {
    for (index, entry) in l1.enumerated() {
      let offset = entry & QCOW2Header.offsetMask
      guard offset != 0 else { continue }
      guard offset & geometry.clusterMask == 0 else {
        corruption("L1 entry \(index) names \(offset), which is no cluster's beginning")
        continue
      }
      tables[offset, default: 0] += 1
    }
  }

  /// Counts each table of the second level once, however many name it, and what it names as often as that.
  func countTables(in file: QCOW2File) throws(Errno) {
    let contents = QCOW2Buffer(count: Int(geometry.clusterSize))
    for (offset, times) in tables.sorted(by: { $0.key < $1.key }) {
      guard add(offset, geometry.clusterSize, times: times, "L2 table") else { continue }
      try file.read(at: offset, into: contents.bytes)
      count(contents.bytes, of: offset, times: times)
    }
    tables = [:]
  }

  private func count(_ table: UnsafeMutableRawBufferPointer, of offset: UInt64, times: UInt64) {
    let step = 1 << Int(geometry.entryBits)
    for place in stride(from: 0, to: table.count, by: step) {
      let entry = UInt64(bigEndian: table.loadUnaligned(fromByteOffset: place, as: UInt64.self))
      let bitmap =
        step == 16 ? UInt64(bigEndian: table.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self)) : 0
      if entry == 0, bitmap == 0 { continue }
      guard let state = try? QCOW2Cluster(entry, bitmap: bitmap, geometry) else {
        corruption("entry \(place / step) of the L2 table at \(offset) is \(String(entry, radix: 16))")
        continue
      }
      if let descriptor = state.compressed {
        let range = QCOW2Cluster.compressedRange(descriptor, geometry)
        add(range.lowerBound, range.upperBound - range.lowerBound, times: times, "a compressed cluster")
      } else if state.host != 0 {
        add(state.host, geometry.clusterSize, times: times, "a cluster")
      }
    }
  }
}
