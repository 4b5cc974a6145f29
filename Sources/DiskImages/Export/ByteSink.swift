package import HostSystem

/// What takes bytes one after the other.
package protocol ByteSink: AnyObject {
  func append(_ bytes: UnsafeRawBufferPointer) throws(Errno)
}

extension ByteSink {
  package func append(_ bytes: [UInt8]) throws(Errno) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(Errno) in try append(UnsafeRawBufferPointer(bytes)) }
  }
}

/// A file that is written from some place on.
package final class FileSink: ByteSink {
  private let file: any ImageFile
  /// Where the next bytes go.
  package private(set) var position: UInt64

  package init(_ file: any ImageFile, from position: UInt64 = 0) {
    self.file = file
    self.position = position
  }

  package func append(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
    try file.write(at: position, from: bytes)
    position += UInt64(bytes.count)
  }

  package func sync() throws(Errno) { try file.sync() }
}
