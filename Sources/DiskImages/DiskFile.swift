internal import Glibc
package import HostSystem

/// A disk as the file of an image: an image that lies on a server's disk, or within another image. It neither grows
/// nor shrinks.
package final class DiskFile: ImageFile {
  package let name: String
  private let disk: any DiskImage
  package var isReadOnly: Bool { disk.isReadOnly }

  package init(_ disk: any DiskImage, name: String) {
    self.disk = disk
    self.name = name
  }

  package func size() throws(Errno) -> UInt64 { disk.size }

  package func resize(to size: UInt64) throws(Errno) {
    guard size == disk.size else { throw .noSpace }
  }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard offset <= disk.size, UInt64(buffer.count) <= disk.size - offset else { throw .io }
    try disk.read(at: offset, into: buffer)
  }

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    guard offset <= disk.size, UInt64(buffer.count) <= disk.size - offset else { throw .noSpace }
    try disk.write(at: offset, from: buffer)
  }

  package func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    try disk.writeZeroes(at: offset, count: count, mayUnmap: true)
    return true
  }

  package func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool {
    try disk.writeZeroes(at: offset, count: count, mayUnmap: false)
    return true
  }

  package func sync() throws(Errno) { try disk.flush() }

  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try disk.extent(at: offset, limit: limit)
  }
}
