internal import HostSystem

/// What an L2 table says of one cluster of the disk (sections L2 table entry and Extended L2 Entries). Images
/// without extended entries have one subcluster a cluster, so both are handled alike.
struct QCOW2Cluster: Equatable {
  static let copiedFlag: UInt64 = 1 << 63
  static let compressedFlag: UInt64 = 1 << 62
  static let zeroFlag: UInt64 = 1

  /// Where the contents are in the file, 0 for nowhere. It is reserved only, where nothing is `allocated`.
  var host: UInt64 = 0
  /// Whether nobody else refers to the host cluster, so that it may be written in place.
  var isCopied = false
  /// The compressed cluster's descriptor (bits 0 to 61); nil for a standard one.
  var compressed: UInt64?
  /// The subclusters whose contents are in the host cluster, lowest bit first.
  var allocated: UInt32 = 0
  /// The subclusters that read as zero, whatever is underneath.
  var zeroes: UInt32 = 0

  init() {}

  /// `EIO` for an entry that no sound image has.
  init(_ entry: UInt64, bitmap: UInt64, _ geometry: QCOW2Geometry) throws(Errno) {
    if entry & Self.compressedFlag != 0 {
      compressed = entry & ~(Self.copiedFlag | Self.compressedFlag)
      return
    }
    host = entry & QCOW2Header.offsetMask
    isCopied = entry & Self.copiedFlag != 0
    guard host & geometry.clusterMask == 0 else { throw .io }
    if geometry.isExtended {
      allocated = UInt32(truncatingIfNeeded: bitmap)
      zeroes = UInt32(truncatingIfNeeded: bitmap >> 32)
      guard allocated & zeroes == 0, allocated == 0 || host != 0 else { throw .io }
    } else if entry & Self.zeroFlag != 0 {
      guard geometry.version >= 3 else { throw .io }
      zeroes = 1
    } else {
      allocated = host == 0 ? 0 : 1
    }
  }

  /// The entry and, for extended ones, the bitmap.
  func encoded(_ geometry: QCOW2Geometry) -> (entry: UInt64, bitmap: UInt64) {
    if let compressed { return (compressed | Self.compressedFlag, 0) }
    let entry = host | (host != 0 && isCopied ? Self.copiedFlag : 0)
    if geometry.isExtended { return (entry, UInt64(allocated) | UInt64(zeroes) << 32) }
    return (entry | (zeroes != 0 ? Self.zeroFlag : 0), 0)
  }

  enum Content {
    case data, zero, absent
  }

  func content(ofSubcluster index: Int) -> Content {
    if allocated >> UInt32(index) & 1 != 0 { return .data }
    return zeroes >> UInt32(index) & 1 != 0 ? .zero : .absent
  }

  /// The first subcluster behind those, from `index` on, that are alike.
  func endOfRun(from index: Int, _ geometry: QCOW2Geometry) -> Int {
    let kind = content(ofSubcluster: index)
    var end = index + 1
    while end < geometry.subclusters, content(ofSubcluster: end) == kind { end += 1 }
    return end
  }

  /// The bytes of the file that a compressed cluster's descriptor names.
  static func compressedRange(_ descriptor: UInt64, _ geometry: QCOW2Geometry) -> Range<UInt64> {
    let offsetBits = 62 - (geometry.clusterBits - 8)
    // Bits above 55 cannot be an offset's; small clusters leave room for them in the field.
    let offset = descriptor & (1 << offsetBits - 1)
    let sectors = descriptor >> offsetBits
    return offset..<(offset & ~511) + (sectors + 1) * 512
  }

  /// A descriptor for `count` bytes, more than 0, at a byte offset of the file; nil where it does not fit.
  static func compressedDescriptor(_ offset: UInt64, count: UInt64, _ geometry: QCOW2Geometry) -> UInt64? {
    let offsetBits = 62 - (geometry.clusterBits - 8)
    let sectors = (offset + count - 1) >> 9 - offset >> 9
    guard offset < 1 << min(56, offsetBits), sectors < 1 << (geometry.clusterBits - 8) else { return nil }
    return offset | sectors << offsetBits
  }
}
