internal import HostSystem

/// A disk of Hyper-V's: blocks in the file at multiples of 1 MiB, and a table that has each block's place and state
/// ([MS-VHDX]). It is only read. What its log holds and the file does not is read from the log.
final class VHDXImage: MappedImage {
  let source: ImportFile
  let size: UInt64
  private let metadata: VHDXMetadata
  private let table: UInt64

  /// States of a block ([MS-VHDX] 2.5.1.1).
  enum BlockState: UInt64 {
    case notPresent = 0
    case undefined = 1
    case zero = 2
    case unmapped = 3
    case fullyPresent = 6
  }

  init(_ file: any ImageFile) throws(DiskImageError) {
    let stored = try ImportFile(file, format: .vhdx)
    guard try stored.fields(at: 0, count: 8, of: "its beginning").has("vhdxfile", at: 0) else {
      throw stored.damaged("it does not begin as one")
    }
    let header = try VHDXHeader.current(of: stored)
    if header.log == .none {
      source = stored
    } else {
      source = try ImportFile(
        VHDXReplayedFile(stored, VHDXLog(header, of: stored).patches(), size: stored.size), format: .vhdx)
    }
    let regions = try VHDXRegions(of: source)
    metadata = try VHDXMetadata(in: regions.metadata, of: source)
    table = regions.blockTable.offset
    size = metadata.diskSize
    let bytes = 8 * metadata.tableEntries
    guard bytes <= regions.blockTable.length, source.holds(table, bytes) else {
      throw source.damaged("its block allocation table is too short")
    }
  }

  func run(at offset: UInt64) throws(Errno) -> MappedRun {
    let blockSize = UInt64(metadata.blockSize)
    let block = offset / blockSize
    let end = min(size, (block + 1) * blockSize)
    let entry = try source.entry(UInt64.self, at: table + 8 * (block + block / metadata.chunkRatio))
      .littleEndian
    switch BlockState(rawValue: entry & 7) {
    case .notPresent, .undefined, .zero, .unmapped: return MappedRun(place: .zero, end: end)
    case .fullyPresent:
      let place = entry & ~0xF_FFFF
      guard place >= 1 << 20, place < 1 << 63 else { throw .io }
      return MappedRun(place: .file(place + offset % blockSize), end: end)
    // Partly present is for layers.
    case nil: throw .io
    }
  }
}
