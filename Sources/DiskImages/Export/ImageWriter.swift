package import HostSystem

/// What a disk's contents are written to from front to back, by one thread at a time.
///
/// Ranges ascend, lie inside the disk, and are multiples of 512 bytes. What no call names reads as zero. After an
/// error nothing more is to be called.
package protocol ImageWriter: AnyObject {
  /// Bytes of the disk.
  var size: UInt64 { get }

  /// Writes bytes behind all that was written before.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno)
  /// Says that a range behind all that was written before reads as zero. Where nothing was there before, that
  /// need not be said.
  func zero(at offset: UInt64, count: UInt64) throws(Errno)
  /// Completes the image; it is on stable storage when this returns, where it is a file's.
  func finish() throws(Errno)
}

extension ImageWriter {
  package func zero(at offset: UInt64, count: UInt64) throws(Errno) {}

  /// Throws `EINVAL` unless the range is inside the disk and behind `end`, up to which all was written.
  func checkNext(_ offset: UInt64, _ count: Int, after end: UInt64) throws(Errno) {
    guard offset >= end, offset <= size, UInt64(count) <= size - offset, offset % sectorSize == 0,
      UInt64(count) % sectorSize == 0
    else { throw .invalid }
  }
}

/// Writes a disk in place.
package final class DiskImageWriter: ImageWriter {
  private let disk: any DiskImage
  private let isEmpty: Bool
  package var size: UInt64 { disk.size }

  /// `isEmpty`: the disk reads as zero throughout, so that zeroes need not be written.
  package init(_ disk: any DiskImage, isEmpty: Bool) {
    self.disk = disk
    self.isEmpty = isEmpty
  }

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try disk.write(at: offset, from: buffer)
  }

  package func zero(at offset: UInt64, count: UInt64) throws(Errno) {
    if !isEmpty, count > 0 { try disk.writeZeroes(at: offset, count: count, mayUnmap: true) }
  }

  package func finish() throws(Errno) { try disk.flush() }
}
