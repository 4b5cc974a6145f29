internal import Glibc
package import HostSystem

/// A disk's contents: bytes that are read and written in place.
///
/// Every function may be called from any thread, several at a time. Of operations that overlap in
/// time and in bytes, either order may be seen. A range outside the disk is `EINVAL`, a change of a
/// read-only disk `EROFS`.
package protocol DiskImage: AnyObject, Sendable {
  /// Bytes; a multiple of 512.
  var size: UInt64 { get }
  var isReadOnly: Bool { get }

  /// Fills `buffer` from a byte offset.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno)
  /// Writes `buffer` to a byte offset; durable after the next ``flush()``.
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno)
  /// Returns when every write that returned before the call is on stable storage.
  func flush() throws(Errno)
  /// Tells that the range's contents are not needed any more.
  func discard(at offset: UInt64, count: UInt64) throws(Errno)
  /// Makes the range read as zero; with `mayUnmap` its space may be given back to the host.
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno)
}

/// The unit in which a disk is addressed by its guests, in bytes.
package let sectorSize: UInt64 = 512

extension DiskImage {
  /// Throws `EINVAL` unless the range is inside the disk.
  func checkRange(_ offset: UInt64, _ count: UInt64) throws(Errno) {
    guard offset <= size, count <= size - offset else { throw .invalid }
  }

  /// ``checkRange(_:_:)`` for a change: `EROFS` on a read-only disk.
  func checkChange(_ offset: UInt64, _ count: UInt64) throws(Errno) {
    guard !isReadOnly else { throw Errno(EROFS) }
    try checkRange(offset, count)
  }
}
