/// How a qcow2 image is to be made.
package struct QCOW2Options: Sendable {
  package enum Compression: UInt8, CaseIterable, Sendable {
    case zlib = 0
    case zstd = 1
  }

  package enum Preallocation: Sendable {
    case off
    /// All tables are made, so that later writes change none. Not with a backing file.
    case metadata
  }

  /// 3, or 2 for programs of before 2013: without zero clusters, other refcounts than of 16 bits, zstd and
  /// extended L2 entries.
  package var version: UInt32 = 3
  /// Bytes: a power of two from 512 to 2 MiB.
  package var clusterSize: UInt64 = 65536
  /// Subclusters of a 32nd of a cluster, of 16 KiB at least: small writes over a backing file copy less.
  package var hasExtendedL2 = false
  /// Whether other programs may leave refcounts to be repaired. This one needs no such thing to be fast.
  package var hasLazyRefcounts = false
  /// 1, 2, 4, 8, 16, 32 or 64.
  package var refcountBits = 16
  package var compression = Compression.zlib
  /// What other programs read as the backing file's name; nobody here follows it.
  package var backingName: String?
  /// As other programs call it: `raw` or `qcow2`.
  package var backingFormat: String?
  package var preallocation = Preallocation.off

  package init() {}
}
