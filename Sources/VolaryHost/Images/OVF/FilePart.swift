package import DiskImages
internal import Glibc
package import HostSystem

/// A part of a file, as a file that is only read.
package final class FilePart: ImageFile {
  package let name: String
  package var isReadOnly: Bool { true }
  private let file: any ImageFile
  private let start: UInt64
  private let count: UInt64

  /// `start` and `count`, in bytes, are inside the file.
  package init(_ file: any ImageFile, name: String, start: UInt64, count: UInt64) {
    self.file = file
    self.name = name
    self.start = start
    self.count = count
  }

  package func size() throws(Errno) -> UInt64 { count }

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard offset <= count, UInt64(buffer.count) <= count - offset else { throw .io }
    try file.read(at: start + offset, into: buffer)
  }

  package func resize(to size: UInt64) throws(Errno) { throw Errno(EROFS) }
  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    throw Errno(EROFS)
  }
  package func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  package func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  package func sync() throws(Errno) {}
}

extension ImageFile {
  /// All of a file, of `most` bytes at most; nil of a longer one.
  package func contents(most: Int) throws(Errno) -> [UInt8]? {
    let size = try size()
    guard size <= UInt64(most) else { return nil }
    return try bytes(at: 0, count: Int(size))
  }

  func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
      try read(at: offset, into: UnsafeMutableRawBufferPointer(bytes))
    }
    return bytes
  }

  /// A digest of all of it.
  func digest(_ algorithm: Digest.Algorithm) throws(Errno) -> String {
    var digest = Digest(algorithm)
    let size = try size()
    var position: UInt64 = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    while position < size {
      let count = Int(min(UInt64(buffer.count), size - position))
      try buffer.withUnsafeMutableBufferPointer { (buffer) throws(Errno) in
        let part = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
        try read(at: position, into: part)
        digest.add(UnsafeRawBufferPointer(part))
      }
      position += UInt64(count)
    }
    return digest.hexadecimal()
  }
}
