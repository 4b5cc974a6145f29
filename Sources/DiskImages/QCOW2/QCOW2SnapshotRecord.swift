internal import HostSystem

/// An entry of the snapshot table (section Snapshots).
struct QCOW2SnapshotRecord: Equatable, Sendable {
  /// Bytes that a table may have, and extra data of one entry.
  static let maximumTableSize = 16 << 20
  static let maximumExtraData = 1024

  var l1Offset: UInt64 = 0
  var l1Size: UInt32 = 0
  var seconds: UInt32 = 0
  var nanoseconds: UInt32 = 0
  /// How long the guest had run, in nanoseconds.
  var guestClock: UInt64 = 0
  /// Bytes of a virtual machine's state behind the disk; kept, and not looked at.
  var stateSize: UInt64 = 0
  /// Bytes; nil in old images.
  var diskSize: UInt64?
  /// What follows the known extra data.
  var laterExtraData: [UInt8] = []
  var id: [UInt8] = []
  var name: [UInt8] = []

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
    append(l1Offset)
    append(l1Size)
    append(UInt16(id.count))
    append(UInt16(name.count))
    append(seconds)
    append(nanoseconds)
    append(guestClock)
    append(UInt32(clamping: stateSize))
    if let diskSize {
      append(UInt32(16 + laterExtraData.count))
      append(stateSize)
      append(diskSize)
      bytes += laterExtraData
    } else {
      append(UInt32(0))
    }
    bytes += id
    bytes += name
    bytes += repeatElement(0, count: -bytes.count & 7)
    return bytes
  }

  /// Reads a table that anybody may have written.
  static func table(
    of header: QCOW2Header, in file: QCOW2File
  ) throws(DiskImageError) -> (records: [QCOW2SnapshotRecord], size: UInt64) {
    func damaged(_ reason: String) -> DiskImageError {
      .damaged(name: file.file.name, format: .qcow2, reason: reason)
    }
    var records: [QCOW2SnapshotRecord] = []
    guard header.snapshotCount > 0 else { return ([], 0) }
    let geometry = QCOW2Geometry(header)
    let rest = file.size - min(file.size, header.snapshotsOffset)
    let bytes: [UInt8]
    do {
      bytes = try file.file.bytes(
        at: header.snapshotsOffset, count: Int(min(rest, UInt64(Self.maximumTableSize))))
    } catch {
      throw .system(name: file.file.name, operation: "read the snapshots of", error)
    }
    var place = 0
    for number in 0..<Int(header.snapshotCount) {
      guard bytes.count - place >= 40 else { throw damaged("snapshot \(number) is cut off") }
      var record = QCOW2SnapshotRecord()
      record.l1Offset = bytes.bigEndian(UInt64.self, at: place)
      record.l1Size = bytes.bigEndian(UInt32.self, at: place + 8)
      let idCount = Int(bytes.bigEndian(UInt16.self, at: place + 12))
      let nameCount = Int(bytes.bigEndian(UInt16.self, at: place + 14))
      record.seconds = bytes.bigEndian(UInt32.self, at: place + 16)
      record.nanoseconds = bytes.bigEndian(UInt32.self, at: place + 20)
      record.guestClock = bytes.bigEndian(UInt64.self, at: place + 24)
      record.stateSize = UInt64(bytes.bigEndian(UInt32.self, at: place + 32))
      let extraCount = Int(bytes.bigEndian(UInt32.self, at: place + 36))
      place += 40
      guard extraCount <= maximumExtraData, bytes.count - place >= extraCount + idCount + nameCount else {
        throw damaged("snapshot \(number) is cut off")
      }
      if extraCount >= 8 { record.stateSize = bytes.bigEndian(UInt64.self, at: place) }
      if extraCount >= 16 {
        record.diskSize = bytes.bigEndian(UInt64.self, at: place + 8)
        record.laterExtraData = Array(bytes[place + 16..<place + extraCount])
      }
      place += extraCount
      record.id = Array(bytes[place..<place + idCount])
      record.name = Array(bytes[place + idCount..<place + idCount + nameCount])
      place = min(bytes.count, (place + idCount + nameCount + 7) & ~7)
      guard UInt64(record.l1Size) <= QCOW2Header.maximumL1Entries,
        record.l1Offset & geometry.clusterMask == 0,
        record.l1Offset <= file.size, UInt64(record.l1Size) * 8 <= file.size - record.l1Offset,
        record.diskSize ?? 0 < 1 << 62
      else { throw damaged("the L1 table of snapshot \(number)") }
      records.append(record)
    }
    return (records, UInt64(place))
  }
}
