/// The first 512 bytes of an overlay's file, and the file's fixed layout. Numbers are little-endian.
///
/// | bytes | field |
/// | --- | --- |
/// | 0 ..< 8 | the letters `VOLARYOV` |
/// | 8 ..< 12 | version, 1 |
/// | 12 ..< 16 | cluster size as a power of two, 12 to 21 |
/// | 16 ..< 24 | size of the disk in bytes |
/// | 24 ..< 32 | size of the base in bytes, 0 without one |
/// | 32 ..< 40 | the base's ``Fingerprint`` |
/// | 40 ..< 504 | zero |
/// | 504 ..< 512 | FNV-1a, 64 bits, of the bytes before |
///
/// From ``bitmapOffset`` on there is a bit a cluster, lowest first: 1 when the cluster is in the
/// overlay, 0 when it is in the base. From ``dataOffset`` on there are the clusters, each at its own
/// place, in a sparse file. The header is one sector, so a power cut cannot tear it.
package struct OverlayHeader: Equatable, Sendable {
  static let version: UInt32 = 1
  static let byteCount = 512
  static let magic: [UInt8] = Array("VOLARYOV".utf8)
  /// Where the bitmap begins in the file; its room reaches to ``dataOffset``.
  static let bitmapOffset: UInt64 = 1 << 20
  /// Where the clusters begin in the file.
  static let dataOffset: UInt64 = 16 << 20
  static let clusterShifts: ClosedRange<UInt32> = 12...21
  static let maximumClusters = (dataOffset - bitmapOffset) * 8

  /// Cluster size as a power of two.
  package var clusterShift: UInt32
  /// Bytes of the disk.
  package var size: UInt64
  /// Bytes of the base, 0 without one.
  package var baseSize: UInt64
  package var baseFingerprint: UInt64

  /// The bytes that all clusters take, the last one whole.
  var dataSize: UInt64 { clusterCount << UInt64(clusterShift) }
  var clusterCount: UInt64 { (size - 1) >> UInt64(clusterShift) + 1 }
  var fileSize: UInt64 { Self.dataOffset + dataSize }

  /// The smallest clusters whose bitmap has room for the disk, so that writes of a guest's usual
  /// block size never copy from the base; nil when no cluster size is large enough.
  static func clusterShift(forSize size: UInt64) -> UInt32? {
    clusterShifts.first { (size >> UInt64($0)) < maximumClusters }
  }

  package func encoded() -> [UInt8] {
    var bytes = Self.magic
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }
    append(Self.version)
    append(clusterShift)
    append(size)
    append(baseSize)
    append(baseFingerprint)
    bytes.append(contentsOf: repeatElement(0, count: Self.byteCount - 8 - bytes.count))
    var checksum = Fingerprint()
    bytes.withUnsafeBytes { checksum.add($0) }
    append(checksum.value)
    return bytes
  }

  /// Reads a header that anybody may have written. `bytes` are the file's first, fewer than 512 when
  /// it is shorter.
  package init(decoding bytes: [UInt8], name: String) throws(DiskImageError) {
    guard bytes.count >= Self.byteCount, bytes[..<8].elementsEqual(Self.magic) else {
      throw .notAnOverlay(name: name, looksLike: Self.foreignFormat(bytes))
    }
    func load<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number {
      bytes.withUnsafeBytes { Number(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
    }
    let version = load(UInt32.self, at: 8)
    guard version == Self.version else { throw .unknownVersion(name: name, version: version) }
    var checksum = Fingerprint()
    bytes[..<504].withUnsafeBytes { checksum.add($0) }
    guard checksum.value == load(UInt64.self, at: 504) else {
      throw .damagedHeader(name: name, reason: "wrong checksum")
    }
    clusterShift = load(UInt32.self, at: 12)
    size = load(UInt64.self, at: 16)
    baseSize = load(UInt64.self, at: 24)
    baseFingerprint = load(UInt64.self, at: 32)
    guard Self.clusterShifts.contains(clusterShift) else {
      throw .damagedHeader(name: name, reason: "cluster size 2^\(clusterShift)")
    }
    guard size > 0, size % sectorSize == 0, size >> UInt64(clusterShift) < Self.maximumClusters else {
      throw .damagedHeader(name: name, reason: "disk size \(size)")
    }
    guard baseSize <= size else { throw .damagedHeader(name: name, reason: "base larger than the disk") }
  }

  package init(clusterShift: UInt32, size: UInt64, baseSize: UInt64, baseFingerprint: UInt64) {
    self.clusterShift = clusterShift
    self.size = size
    self.baseSize = baseSize
    self.baseFingerprint = baseFingerprint
  }

  /// The format that a file begins like, for messages only.
  private static func foreignFormat(_ bytes: [UInt8]) -> String? {
    let formats: [(String, [UInt8])] = [
      ("qcow2", [0x51, 0x46, 0x49, 0xFB]), ("VMDK", Array("KDMV".utf8)),
      ("VHDX", Array("vhdxfile".utf8)), ("VHD", Array("conectix".utf8)),
    ]
    return formats.first { bytes.starts(with: $0.1) }?.0
  }
}
