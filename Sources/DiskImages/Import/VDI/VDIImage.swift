internal import HostSystem

/// A disk of VirtualBox's: blocks in the file in any order, and a map that has each block's place (``VDIHeader``).
/// It is only read.
final class VDIImage: MappedImage {
  let source: ImportFile
  let size: UInt64
  private let header: VDIHeader

  init(_ file: any ImageFile) throws(DiskImageError) {
    source = try ImportFile(file, format: .vdi)
    header = try VDIHeader(
      decoding: source.fields(at: 0, count: VDIHeader.byteCount, of: "the header"), of: source)
    size = header.size / sectorSize * sectorSize
    guard size > 0 else { throw source.damaged("a disk of \(header.size) bytes") }
    let most = UInt64(header.blockCount)
    guard UInt64(header.allocatedCount) <= most else {
      throw source.damaged("\(header.allocatedCount) blocks in the file, of \(most)")
    }
  }

  func run(at offset: UInt64) throws(Errno) -> MappedRun {
    let blockSize = UInt64(header.blockSize)
    let block = offset / blockSize
    let end = min(size, (block + 1) * blockSize)
    let entry = try source.entry(UInt32.self, at: UInt64(header.mapOffset) + 4 * block).littleEndian
    if entry == VDIHeader.free || entry == VDIHeader.discarded { return MappedRun(place: .zero, end: end) }
    // 2^32 blocks of 256 MiB: no overflow.
    let place = UInt64(header.dataOffset) + UInt64(entry) * blockSize + offset % blockSize
    return MappedRun(place: .file(place), end: end)
  }
}
