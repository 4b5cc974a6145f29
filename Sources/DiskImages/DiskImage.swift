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
  /// What the disk holds from a byte offset inside it on, as far as it is known at little cost, and at most up to
  /// `limit`, which is greater. Of a disk that is written meanwhile it is what was true at some moment of the call.
  func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent
}

/// A stretch of a disk that is alike.
package struct DiskExtent: Equatable, Sendable {
  package enum Content: Sendable {
    /// Whatever is there.
    case data
    /// It reads as zero, through all layers.
    case zero
  }

  package let content: Content
  /// The byte behind the last.
  package let end: UInt64

  package init(_ content: Content, end: UInt64) {
    self.content = content
    self.end = end
  }
}

/// The unit in which a disk is addressed by its guests, in bytes.
package let sectorSize: UInt64 = 512

extension DiskImage {
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    DiskExtent(.data, end: min(limit, size))
  }

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
