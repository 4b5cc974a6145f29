internal import HostSystem

extension QCOW2Image {
  /// What an image needs before it is written for the first time.
  func prepareForWriting() throws(Errno) {
    if header.incompatible & QCOW2Header.Features.dirty != 0 {
      _ = try alone { () throws(Errno) in try repairAlone() }
    }
    // What other programs keep in step with the contents is out of step from now on.
    var new = header
    new.autoclear &= QCOW2BitmapRecord.directory(header) == nil ? 0 : QCOW2Header.Features.bitmaps
    if new.autoclear != header.autoclear { try storeHeader(new) }
    openBitmaps()
  }
}

/// What an image says of itself, without being opened.
package struct QCOW2Info: Equatable, Sendable {
  package let version: UInt32
  /// Bytes of the disk.
  package let size: UInt64
  package let clusterSize: UInt64
  package let backingName: String?
  package let backingFormat: String?
  package let hasExtendedL2: Bool
  package let refcountBits: Int
  package let compression: QCOW2Options.Compression
  package let snapshotCount: Int
  package let isDirty: Bool
  package let isCorrupt: Bool

  package init(reading file: any ImageFile) throws(DiskImageError) {
    let header = try QCOW2Header(reading: file)
    version = header.version
    size = header.size
    clusterSize = header.clusterSize
    backingName = header.backingName.isEmpty ? nil : String(decoding: header.backingName, as: UTF8.self)
    backingFormat = header.backingFormat
    hasExtendedL2 = header.hasExtendedL2
    refcountBits = 1 << Int(header.refcountOrder)
    compression = QCOW2Options.Compression(rawValue: header.compressionType) ?? .zlib
    snapshotCount = Int(header.snapshotCount)
    isDirty = header.incompatible & QCOW2Header.Features.dirty != 0
    isCorrupt = header.incompatible & QCOW2Header.Features.corrupt != 0
  }
}
