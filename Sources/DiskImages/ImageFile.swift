package import HostSystem

/// The file under an image: the seam between formats and the host, so that tests can put a file
/// there that loses power. Every function may be called from any thread.
package protocol ImageFile: AnyObject, Sendable {
  /// What messages call the file: its path, usually.
  var name: String { get }
  var isReadOnly: Bool { get }

  /// Bytes.
  func size() throws(Errno) -> UInt64
  /// Grows or cuts the file; what is added reads as zero.
  func resize(to size: UInt64) throws(Errno)
  /// Fills `buffer`; `EIO` when the file ends before.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno)
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno)
  /// Makes the range read as zero and gives its blocks back. False: the file system cannot.
  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool
  /// Makes the range read as zero and keeps its blocks. False: the file system cannot.
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool
  /// Returns when everything written before the call is on stable storage.
  func sync() throws(Errno)
  /// What the file has from a place inside it on: bytes, or a hole; up to `limit` at most, which is greater.
  func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent
}

extension ImageFile {
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    DiskExtent(.data, end: limit)
  }

  /// Makes the range read as zero by the cheapest way the file system has, at worst by writing.
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    guard count > 0 else { return }
    if mayUnmap, try deallocate(at: offset, count: count) { return }
    if try zeroAllocated(at: offset, count: count) { return }
    let zeroes = [UInt8](repeating: 0, count: Int(min(count, 256 << 10)))
    var done: UInt64 = 0
    while done < count {
      let step = min(count - done, UInt64(zeroes.count))
      try zeroes.withUnsafeBufferPointer { (bytes) throws(Errno) in
        try write(
          at: offset + done, from: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[..<Int(step)])))
      }
      done += step
    }
  }
}
