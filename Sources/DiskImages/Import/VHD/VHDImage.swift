internal import HostSystem

/// A disk of Virtual PC's, of one piece (fixed) or in blocks that a table finds (dynamic). It is only read.
///
/// In front of a dynamic disk's block there is a bitmap: a sector whose bit is 0 was never written and reads as
/// zero, whatever is there.
final class VHDImage: MappedImage {
  let source: ImportFile
  let size: UInt64
  private let dynamic: VHDDynamicHeader?

  init(_ file: any ImageFile) throws(DiskImageError) {
    source = try ImportFile(file, format: .vhd)
    let footer = try Self.footer(of: source)
    size = footer.diskSize / sectorSize * sectorSize
    guard size > 0 else { throw source.damaged("a disk of \(footer.diskSize) bytes") }
    switch footer.kind {
    case .fixed:
      dynamic = nil
      guard size <= source.size - UInt64(VHDFooter.byteCount) else {
        throw .truncated(
          name: source.name, size: source.size, expected: size &+ UInt64(VHDFooter.byteCount))
      }
    case .dynamic:
      let header = try VHDDynamicHeader(
        decoding: source.fields(
          at: footer.dataOffset, count: VHDDynamicHeader.byteCount, of: "the header of a dynamic disk"),
        of: source
      )
      guard size <= UInt64(header.tableEntries) * UInt64(header.blockSize) else {
        throw source.damaged("\(header.tableEntries) blocks for a disk of \(size) bytes")
      }
      dynamic = header
    }
  }

  /// The footer, or its copy in front where the one at the end is not sound.
  private static func footer(of source: ImportFile) throws(DiskImageError) -> VHDFooter {
    let count = VHDFooter.byteCount
    guard source.size >= UInt64(2 * count) else { throw source.damaged("it is too short") }
    let last = try source.fields(at: source.size - UInt64(count), count: count, of: "the footer")
    if VHDFooter.isSound(last) { return try VHDFooter(decoding: last, of: source) }
    let first = try source.fields(at: 0, count: count, of: "the footer's copy")
    guard VHDFooter.isSound(first) else {
      let isThere = last.has(VHDFooter.cookie, at: 0) || first.has(VHDFooter.cookie, at: 0)
      throw source.damaged(isThere ? "wrong checksum of its footer" : "it has no footer")
    }
    let footer = try VHDFooter(decoding: first, of: source)
    guard footer.kind != .fixed else { throw source.damaged("it has no footer") }
    return footer
  }

  func run(at offset: UInt64) throws(Errno) -> MappedRun {
    guard let dynamic else { return MappedRun(place: .file(offset), end: size) }
    let blockSize = UInt64(dynamic.blockSize)
    let block = offset / blockSize
    let end = min(size, (block + 1) * blockSize)
    let entry = try source.entry(UInt32.self, at: dynamic.tableOffset + 4 * block).bigEndian
    if entry == VHDDynamicHeader.unused { return MappedRun(place: .zero, end: end) }
    let bitmap = UInt64(entry) * 512
    let inBlock = offset % blockSize
    let (isPresent, sectors) = try presence(
      bitmap, from: inBlock / 512, to: (end - block * blockSize + 511) / 512)
    let stop = min(end, block * blockSize + sectors * 512)
    return MappedRun(place: isPresent ? .file(bitmap + dynamic.bitmapSize + inBlock) : .zero, end: stop)
  }

  /// Whether a sector of a block is there, and up to which the same is so. The bitmap's highest bit is the first.
  private func presence(_ bitmap: UInt64, from first: UInt64, to end: UInt64) throws(Errno) -> (Bool, UInt64)
  {
    // A multiple of 512 as `bitmap` is, so that no piece of the table's is crossed.
    let part = first / 4096
    let bytes = try source.tableBytes(
      at: bitmap + part * 512, count: Int(min(512, (end - part * 4096 + 7) / 8)))
    let limit = min(end, (part + 1) * 4096)
    func bit(_ sector: UInt64) -> Bool {
      bytes[Int((sector - part * 4096) / 8)] & (0x80 >> UInt8(sector % 8)) != 0
    }
    let isPresent = bit(first)
    let alike: UInt8 = isPresent ? 0xFF : 0
    var sector = first + 1
    while sector < limit {
      if sector % 8 == 0, sector + 8 <= limit, bytes[Int((sector - part * 4096) / 8)] == alike {
        sector += 8
      } else if bit(sector) == isPresent {
        sector += 1
      } else {
        break
      }
    }
    return (isPresent, sector)
  }
}
