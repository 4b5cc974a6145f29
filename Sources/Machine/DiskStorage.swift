internal import Devices
internal import DiskImages
internal import HostSystem

/// A disk image as the block device sees it.
final class DiskStorage: BlockStorage {
  private let image: any DiskImage

  init(_ image: any DiskImage) { self.image = image }

  var size: UInt64 { image.size }
  var isReadOnly: Bool { image.isReadOnly }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
    try image.read(at: offset, into: target)
  }

  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
    try image.write(at: offset, from: source)
  }

  func flush() throws(Errno) { try image.flush() }
  func discard(at offset: UInt64, count: UInt64) throws(Errno) { try image.discard(at: offset, count: count) }

  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try image.writeZeroes(at: offset, count: count, mayUnmap: mayUnmap)
  }
}
