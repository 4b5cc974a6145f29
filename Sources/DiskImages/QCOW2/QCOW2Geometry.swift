/// The sizes that follow from a header. Bits are powers of two.
struct QCOW2Geometry: Sendable {
  let version: UInt32
  let clusterBits: UInt64
  /// Of the bytes of an L2 table's entry: 3, with extended entries 4.
  let entryBits: UInt64
  /// Of the entries of an L2 table.
  let l2Bits: UInt64
  /// Of a refcount's bits.
  let refcountOrder: UInt64
  /// Of the refcounts in a block.
  let blockBits: UInt64
  /// Of a subcluster's bytes: a 32nd of a cluster with extended entries, otherwise a cluster.
  let subclusterBits: UInt64
  /// Of the bytes of a table that are read and written at once.
  let pageBits: UInt64

  init(_ header: QCOW2Header) {
    version = header.version
    clusterBits = UInt64(header.clusterBits)
    entryBits = header.hasExtendedL2 ? 4 : 3
    l2Bits = clusterBits - entryBits
    refcountOrder = UInt64(header.refcountOrder)
    blockBits = clusterBits + 3 - refcountOrder
    subclusterBits = header.hasExtendedL2 ? clusterBits - 5 : clusterBits
    pageBits = min(12, clusterBits)
  }

  var clusterSize: UInt64 { 1 << clusterBits }
  var clusterMask: UInt64 { clusterSize - 1 }
  var subclusterSize: UInt64 { 1 << subclusterBits }
  var subclusters: Int { 1 << Int(clusterBits - subclusterBits) }
  /// A bit for each subcluster.
  var allSubclusters: UInt32 { subclusters == 32 ? .max : 1 }
  var isExtended: Bool { entryBits == 4 }
  /// Bytes of the disk that one L2 table maps, as a power of two.
  var l2CoverageBits: UInt64 { clusterBits + l2Bits }
  /// Bytes of the disk that a page of an L2 table maps.
  var pageCoverage: UInt64 { 1 << (pageBits - entryBits + clusterBits) }
  var pageSize: Int { 1 << Int(pageBits) }
  var maximumRefcount: UInt64 { refcountOrder == 6 ? .max : 1 << (1 << refcountOrder) - 1 }

  func clusters(for bytes: UInt64) -> UInt64 { (bytes + clusterMask) >> clusterBits }

  /// L1 entries that a disk of `size` bytes, less than 2^62, needs.
  func l1Entries(for size: UInt64) -> UInt64 { (size + (1 << l2CoverageBits - 1)) >> l2CoverageBits }
}
