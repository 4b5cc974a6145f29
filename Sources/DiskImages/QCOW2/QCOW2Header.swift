internal import HostSystem

/// The header of a qcow2 image (QEMU's docs/interop/qcow2, sections Header and Header extensions), host-endian.
/// Decoding checks what can be checked without the rest of the file.
struct QCOW2Header: Equatable, Sendable {
  static let magic: UInt32 = 0x5146_49FB
  /// Bytes of a version 2 header, and the least of a version 3 one.
  static let lengthOfVersion2 = 72
  static let lengthOfVersion3 = 104
  static let clusterBitsRange: ClosedRange<UInt32> = 9...21
  /// The longest name of a backing file, in bytes.
  static let maximumNameLength = 1023
  /// Bounds that the field's tools share: 32 MiB of L1 table, 8 MiB of refcount table.
  static let maximumL1Entries: UInt64 = 4 << 20
  static let maximumRefcountTableEntries: UInt64 = 1 << 20
  static let maximumSnapshots: UInt32 = 65536
  /// Bits of an L1, L2 or bitmap table's entry that are an offset into the file.
  static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00

  struct Features {
    static let dirty: UInt64 = 1
    static let corrupt: UInt64 = 2
    static let externalData: UInt64 = 4
    static let compressionType: UInt64 = 8
    static let extendedL2: UInt64 = 16
    static let known: UInt64 = 31
    /// Of the compatible ones.
    static let lazyRefcounts: UInt64 = 1
    /// Of the autoclear ones.
    static let bitmaps: UInt64 = 1
  }

  struct Extension: Equatable, Sendable {
    static let end: UInt32 = 0
    static let backingFormat: UInt32 = 0xE279_2ACA
    static let featureNames: UInt32 = 0x6803_F857
    static let bitmaps: UInt32 = 0x2385_2875
    /// How many an image may have.
    static let limit = 1024

    var type: UInt32
    var data: [UInt8]
  }

  var version: UInt32 = 3
  /// Where the backing file's name is in the file; 0 without one.
  var backingOffset: UInt64 = 0
  var backingName: [UInt8] = []
  var clusterBits: UInt32 = 16
  /// Bytes of the disk.
  var size: UInt64 = 0
  /// Entries.
  var l1Size: UInt32 = 0
  var l1Offset: UInt64 = 0
  var refcountTableOffset: UInt64 = 0
  var refcountTableClusters: UInt32 = 0
  var snapshotCount: UInt32 = 0
  var snapshotsOffset: UInt64 = 0
  var incompatible: UInt64 = 0
  var compatible: UInt64 = 0
  var autoclear: UInt64 = 0
  /// The width of a refcount is 2 to this, in bits.
  var refcountOrder: UInt32 = 4
  var compressionType: UInt8 = 0
  /// Fields behind the compression type, kept as they are; the header's length follows from it.
  var laterFields: [UInt8] = [0, 0, 0, 0, 0, 0, 0]
  /// Whether the header ends before the compression type, as old ones do.
  var isShort = false
  var extensions: [Extension] = []

  var clusterSize: UInt64 { 1 << UInt64(clusterBits) }
  /// Bytes of the fields, without extensions.
  var length: Int {
    if version == 2 { return Self.lengthOfVersion2 }
    return Self.lengthOfVersion3 + (isShort ? 0 : 1 + laterFields.count)
  }
  var hasExtendedL2: Bool { incompatible & Features.extendedL2 != 0 }

  /// What the header calls the backing file's format, if it does.
  var backingFormat: String? {
    extensions.first { $0.type == Extension.backingFormat }.map { String(decoding: $0.data, as: UTF8.self) }
  }
}

// MARK: - Encoding

extension QCOW2Header {
  /// The bytes from the beginning of the file to the end of the extensions.
  func encodedFields() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(512)
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
    append(Self.magic)
    append(version)
    append(backingOffset)
    append(UInt32(backingName.count))
    append(clusterBits)
    append(size)
    append(UInt32(0))  // no encryption
    append(l1Size)
    append(l1Offset)
    append(refcountTableOffset)
    append(refcountTableClusters)
    append(snapshotCount)
    append(snapshotsOffset)
    if version >= 3 {
      append(incompatible)
      append(compatible)
      append(autoclear)
      append(refcountOrder)
      append(UInt32(length))
      if !isShort {
        append(compressionType)
        bytes += laterFields
      }
    }
    for part in extensions {
      append(part.type)
      append(UInt32(part.data.count))
      bytes += part.data
      bytes += repeatElement(0, count: -part.data.count & 7)
    }
    append(UInt64(0))
    return bytes
  }
}

// MARK: - Decoding

extension QCOW2Header {
  /// Reads the header of a file that anybody may have written.
  init(reading file: any ImageFile) throws(DiskImageError) {
    let damaged = { (reason: String) in
      DiskImageError.damaged(name: file.name, format: .qcow2, reason: reason)
    }
    let fileSize: UInt64
    var bytes: [UInt8]
    do {
      fileSize = try file.size()
      bytes = try file.bytes(at: 0, count: Int(min(fileSize, 512)))
    } catch {
      throw .system(name: file.name, operation: "read", error)
    }
    guard bytes.count >= Self.lengthOfVersion2, bytes.bigEndian(UInt32.self, at: 0) == Self.magic else {
      throw damaged("it does not begin as one")
    }
    let clusterBits = bytes.bigEndian(UInt32.self, at: 20)
    guard Self.clusterBitsRange.contains(clusterBits) else { throw damaged("cluster size 2^\(clusterBits)") }
    do {
      bytes = try file.bytes(at: 0, count: Int(min(fileSize, 1 << UInt64(clusterBits))))
    } catch {
      throw .system(name: file.name, operation: "read", error)
    }
    try self.init(decoding: bytes, name: file.name)
  }

  /// `bytes` are the file's first cluster, or less where the file is shorter; at least 72.
  init(decoding bytes: [UInt8], name: String) throws(DiskImageError) {
    func damaged(_ reason: String) -> DiskImageError { .damaged(name: name, format: .qcow2, reason: reason) }
    func unsupported(_ feature: String) -> DiskImageError {
      .unsupported(name: name, format: .qcow2, feature: feature)
    }
    version = bytes.bigEndian(UInt32.self, at: 4)
    guard version == 2 || version == 3 else { throw unsupported("version \(version)") }
    clusterBits = bytes.bigEndian(UInt32.self, at: 20)
    size = bytes.bigEndian(UInt64.self, at: 24)
    l1Size = bytes.bigEndian(UInt32.self, at: 36)
    l1Offset = bytes.bigEndian(UInt64.self, at: 40)
    refcountTableOffset = bytes.bigEndian(UInt64.self, at: 48)
    refcountTableClusters = bytes.bigEndian(UInt32.self, at: 56)
    snapshotCount = bytes.bigEndian(UInt32.self, at: 60)
    snapshotsOffset = bytes.bigEndian(UInt64.self, at: 64)
    var length = Self.lengthOfVersion2
    laterFields = []
    if version == 3 {
      guard bytes.count >= Self.lengthOfVersion3 else { throw damaged("its header is cut short") }
      incompatible = bytes.bigEndian(UInt64.self, at: 72)
      compatible = bytes.bigEndian(UInt64.self, at: 80)
      autoclear = bytes.bigEndian(UInt64.self, at: 88)
      refcountOrder = bytes.bigEndian(UInt32.self, at: 96)
      length = Int(bytes.bigEndian(UInt32.self, at: 100))
      guard length >= Self.lengthOfVersion3, length % 8 == 0, length <= bytes.count else {
        throw damaged("header of \(length) bytes")
      }
      if length > Self.lengthOfVersion3 {
        compressionType = bytes[104]
        laterFields = Array(bytes[105..<length])
      } else {
        isShort = true
      }
    }
    let nameOffset = bytes.bigEndian(UInt64.self, at: 8)
    let nameLength = Int(bytes.bigEndian(UInt32.self, at: 16))
    var areaEnd = bytes.count
    if nameOffset != 0 {
      guard nameLength <= Self.maximumNameLength, nameOffset >= UInt64(length),
        nameOffset <= UInt64(bytes.count), nameLength <= bytes.count - Int(nameOffset)
      else { throw damaged("the backing file's name lies outside the first cluster") }
      backingOffset = nameOffset
      backingName = Array(bytes[Int(nameOffset)..<Int(nameOffset) + nameLength])
      areaEnd = Int(nameOffset)
    }
    // Extensions came with version 3, but tools write the backing format in version 2 as well.
    extensions = try Self.extensions(bytes[length..<areaEnd], damaged)
    let unknown = incompatible & ~Features.known
    guard unknown == 0 else {
      throw unsupported(Self.names(of: unknown, in: extensions).joined(separator: " and "))
    }
    guard incompatible & Features.externalData == 0 else { throw unsupported("an external data file") }
    switch bytes.bigEndian(UInt32.self, at: 32) {
    case 0: break
    case 1: throw unsupported("AES encryption")
    case 2: throw unsupported("LUKS encryption")
    case let method: throw unsupported("encryption method \(method)")
    }
    guard Self.clusterBitsRange.contains(clusterBits), !hasExtendedL2 || clusterBits >= 14 else {
      throw damaged("cluster size 2^\(clusterBits)")
    }
    guard refcountOrder <= 6 else { throw damaged("refcounts of 2^\(refcountOrder) bits") }
    guard (incompatible & Features.compressionType != 0) == (compressionType != 0) else {
      throw damaged("compression type \(compressionType) against its feature bit")
    }
    guard compressionType <= 1 else { throw unsupported("compression type \(compressionType)") }
    try checkTables(damaged)
  }

  private func checkTables(_ damaged: (String) -> DiskImageError) throws(DiskImageError) {
    func isPlace(_ offset: UInt64, _ count: UInt64) -> Bool {
      offset % clusterSize == 0 && offset >= clusterSize && offset < 1 << 62 && count < 1 << 40
    }
    let geometry = QCOW2Geometry(self)
    guard size < 1 << 62, UInt64(l1Size) <= Self.maximumL1Entries,
      UInt64(l1Size) >= geometry.l1Entries(for: size)
    else { throw damaged("a disk of \(size) bytes with an L1 table of \(l1Size) entries") }
    guard l1Size == 0 || isPlace(l1Offset, UInt64(l1Size) * 8) else {
      throw damaged("L1 table at \(l1Offset)")
    }
    guard refcountTableClusters > 0,
      UInt64(refcountTableClusters) << UInt64(clusterBits) <= Self.maximumRefcountTableEntries * 8
        + clusterSize,
      isPlace(refcountTableOffset, 0)
    else { throw damaged("refcount table of \(refcountTableClusters) clusters at \(refcountTableOffset)") }
    guard snapshotCount <= Self.maximumSnapshots else { throw damaged("\(snapshotCount) snapshots") }
    guard snapshotCount == 0 || isPlace(snapshotsOffset, 0) else {
      throw damaged("snapshot table at \(snapshotsOffset)")
    }
  }

  private static func extensions(
    _ area: ArraySlice<UInt8>, _ damaged: (String) -> DiskImageError
  ) throws(DiskImageError) -> [Extension] {
    var found: [Extension] = []
    var rest = area
    while rest.count >= 8 {
      let type = Array(rest.prefix(8)).bigEndian(UInt32.self, at: 0)
      let count = Int(Array(rest.prefix(8)).bigEndian(UInt32.self, at: 4))
      if type == Extension.end { break }
      rest = rest.dropFirst(8)
      guard count <= rest.count, found.count < Extension.limit else {
        throw damaged("its header extensions do not end")
      }
      found.append(Extension(type: type, data: Array(rest.prefix(count))))
      rest = rest.dropFirst((count + 7) & ~7)
    }
    return found
  }

  /// What the image's own table calls incompatible features, by their bits.
  private static func names(of bits: UInt64, in extensions: [Extension]) -> [String] {
    let table = extensions.first { $0.type == Extension.featureNames }?.data ?? []
    return (0..<64).filter { bits >> UInt64($0) & 1 != 0 }.map { bit in
      var entry = 0
      while table.count - entry >= 48 {
        if table[entry] == 0, table[entry + 1] == UInt8(bit) {
          let name = table[entry + 2..<entry + 48].prefix { $0 != 0 }
          return "the feature \"\(String(decoding: name, as: UTF8.self))\""
        }
        entry += 48
      }
      return "the incompatible feature of bit \(bit)"
    }
  }
}
