internal import HostSystem

/// An internal snapshot as a disk that is only read.
final class QCOW2Snapshot: DiskImage {
  let size: UInt64
  var isReadOnly: Bool { true }
  private let image: QCOW2Image
  private let id: [UInt8]
  private let l1: [UInt64]

  init(of image: QCOW2Image, id: [UInt8], l1: [UInt64], size: UInt64) {
    self.image = image
    self.id = id
    self.l1 = l1
    self.size = size
  }

  deinit { image.closeSnapshot(id) }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    try image.read(l1, of: size, at: offset, into: buffer)
  }

  func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try image.extent(l1, of: size, at: offset, limit: limit)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    throw Errno(30 /* EROFS */)
  }
  func discard(at offset: UInt64, count: UInt64) throws(Errno) { throw Errno(30 /* EROFS */) }
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    throw Errno(30 /* EROFS */)
  }
  func flush() throws(Errno) {}
}
