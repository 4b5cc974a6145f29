internal import Glibc
package import HostSystem
internal import Synchronization

/// A disk whose bytes are a file's, in place.
///
/// A file whose size is not a multiple of 512 bytes can be read, its last sector filled up with
/// zeroes, and cannot be written: there is no place for the rest of the sector.
/// ``discard(at:count:)`` punches holes where the file system can, and does nothing where it cannot.
package final class RawImage: DiskImage {
  package var size: UInt64 { (fileSize + sectorSize - 1) / sectorSize * sectorSize }
  package var isReadOnly: Bool { file.isReadOnly }
  private let file: any ImageFile
  private let bytes: Atomic<UInt64>
  private var fileSize: UInt64 { bytes.load(ordering: .acquiring) }

  package init(_ file: any ImageFile) throws(DiskImageError) {
    self.file = file
    let fileSize: UInt64
    do {
      fileSize = try file.size()
    } catch {
      throw .system(name: file.name, operation: "find the size of", error)
    }
    guard fileSize > 0 else { throw .empty(name: file.name) }
    bytes = Atomic(fileSize)
    guard fileSize % sectorSize == 0 || file.isReadOnly else {
      throw .partialSector(name: file.name, size: fileSize)
    }
  }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    let held = Int(min(UInt64(buffer.count), fileSize - min(offset, fileSize)))
    try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).initializeMemory(as: UInt8.self, repeating: 0)
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try checkRange(offset, 1)
    let limit = min(limit, size)
    // A last sector that is not whole.
    guard offset < fileSize else { return DiskExtent(.zero, end: limit) }
    let extent = try file.extent(at: offset, limit: min(limit, fileSize))
    // In whole sectors, so that none is cut.
    guard extent.content == .data || extent.end == fileSize else {
      let end = extent.end / sectorSize * sectorSize
      return end > offset
        ? DiskExtent(.zero, end: end) : DiskExtent(.data, end: min(limit, offset + sectorSize))
    }
    return DiskExtent(
      extent.content, end: min(limit, (extent.end + sectorSize - 1) / sectorSize * sectorSize))
  }

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkChange(offset, UInt64(buffer.count))
    try file.write(at: offset, from: buffer)
  }

  /// Makes the disk larger, where it reads as zero. `EINVAL` for a smaller size, or one that is no multiple of 512.
  package func grow(to newSize: UInt64) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    guard newSize % sectorSize == 0, newSize >= size else { throw .invalid }
    try file.resize(to: newSize)
    bytes.store(newSize, ordering: .releasing)
  }

  package func flush() throws(Errno) {
    guard !isReadOnly else { return }
    try file.sync()
  }

  package func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try checkChange(offset, count)
    guard count > 0 else { return }
    _ = try file.deallocate(at: offset, count: count)
  }

  package func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try checkChange(offset, count)
    try file.writeZeroes(at: offset, count: count, mayUnmap: mayUnmap)
  }
}
