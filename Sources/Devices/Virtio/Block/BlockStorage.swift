package import HostSystem

/// Where a block device keeps its bytes. Offsets and counts are multiples of 512, and lie within the
/// size. Every function may be called from any thread, several at a time; which of operations that overlap comes first is
/// not said.
package protocol BlockStorage: AnyObject, Sendable {
  /// Bytes.
  var size: UInt64 { get }
  var isReadOnly: Bool { get }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno)
  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno)
  /// Makes what was written durable.
  func flush() throws(Errno)
  /// Forgets bytes, which may then read as anything.
  func discard(at offset: UInt64, count: UInt64) throws(Errno)
  /// Makes bytes read as zero; with `mayUnmap`, without room of their own.
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno)

  /// Reads consecutive bytes into several buffers, each a multiple of 512 bytes.
  func read(at offset: UInt64, into targets: [UnsafeMutableRawBufferPointer]) throws(Errno)
  /// Writes consecutive bytes from several buffers, each a multiple of 512 bytes.
  func write(at offset: UInt64, from sources: [UnsafeRawBufferPointer]) throws(Errno)
}

extension BlockStorage {
  package func read(at offset: UInt64, into targets: [UnsafeMutableRawBufferPointer]) throws(Errno) {
    var offset = offset
    for target in targets {
      try read(at: offset, into: target)
      offset += UInt64(target.count)
    }
  }

  package func write(at offset: UInt64, from sources: [UnsafeRawBufferPointer]) throws(Errno) {
    var offset = offset
    for source in sources {
      try write(at: offset, from: source)
      offset += UInt64(source.count)
    }
  }
}
