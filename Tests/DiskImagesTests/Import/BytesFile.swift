import DiskImages
import HostSystem
import Synchronization

/// A file whose bytes are an array's.
final class BytesFile: ImageFile {
  let name = "x"
  let isReadOnly: Bool
  private let contents: Mutex<[UInt8]>

  init(_ bytes: [UInt8] = [], isReadOnly: Bool = false) {
    contents = Mutex(bytes)
    self.isReadOnly = isReadOnly
  }

  var bytes: [UInt8] { contents.withLock { $0 } }

  func size() throws(Errno) -> UInt64 { contents.withLock { UInt64($0.count) } }

  func resize(to size: UInt64) throws(Errno) {
    contents.withLock { bytes in
      if Int(size) < bytes.count { bytes.removeLast(bytes.count - Int(size)) }
      bytes += [UInt8](repeating: 0, count: Int(size) - bytes.count)
    }
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let isInside = contents.withLock { bytes in
      guard offset <= bytes.count, buffer.count <= bytes.count - Int(offset) else { return false }
      buffer.copyBytes(from: bytes[Int(offset)..<Int(offset) + buffer.count])
      return true
    }
    if !isInside { throw .io }
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    contents.withLock { bytes in
      let end = Int(offset) + buffer.count
      if end > bytes.count { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
      bytes.replaceSubrange(Int(offset)..<end, with: buffer)
    }
  }

  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { false }
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { false }
  func sync() throws(Errno) {}
}
