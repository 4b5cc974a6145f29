/// The words of a block device's requests (virtio 1.3 §5.2.6).
enum BlockRequest {
  /// Bytes of a sector, whatever the block size.
  static let sectorSize = 512

  enum Kind: UInt32 {
    case read = 0
    case write = 1
    case flush = 4
    case getID = 8
    case discard = 11
    case writeZeroes = 13
  }

  enum Status: UInt8 {
    case ok = 0
    case ioError = 1
    case unsupported = 2
  }

  /// Bytes of an answer to ``Kind/getID``.
  static let idSize = 20

  /// A range to discard or to zero (`virtio_blk_discard_write_zeroes`).
  struct Segment {
    static let size = 16
    let sector: UInt64
    let sectorCount: UInt32
    let flags: UInt32

    /// Takes the next segment; nil when the bytes end before it does.
    init?(_ reader: inout ChainReader) {
      guard let sector = reader.load(UInt64.self), let sectorCount = reader.load(UInt32.self),
        let flags = reader.load(UInt32.self)
      else { return nil }
      self.sector = sector
      self.sectorCount = sectorCount
      self.flags = flags
    }

    /// The range may lose its room on the host.
    var mayUnmap: Bool { flags & 1 != 0 }
    var hasUnknownFlags: Bool { flags & ~1 != 0 }
  }
}
