internal import HostSystem

/// Writes a disk as a file of its bytes, with holes for what reads as zero.
final class RawWriter: ImageWriter {
  let size: UInt64
  private let file: any ImageFile
  private var end: UInt64 = 0

  init(_ file: any ImageFile, size: UInt64) throws(Errno) {
    self.file = file
    self.size = size
    try file.resize(to: 0)
    try file.resize(to: size)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    try file.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) { try file.sync() }
}
