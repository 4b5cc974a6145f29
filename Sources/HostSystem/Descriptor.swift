internal import CHost
internal import Glibc

/// An owned file descriptor, closed when its last reference goes.
package final class Descriptor: Sendable {
  package let raw: Int32

  /// Takes ownership of `raw`.
  package init(owning raw: Int32) { self.raw = raw }

  deinit { close(raw) }

  /// Opens a file with close-on-exec set. `flags` are open(2)'s.
  package static func open(_ path: String, _ flags: Int32, mode: UInt32 = 0o600) throws(Errno) -> Descriptor {
    Descriptor(owning: try check(volary_open(path, flags, mode)))
  }

  /// A pipe (pipe2(2)), both ends close-on-exec.
  package static func pipe() throws(Errno) -> (reading: Descriptor, writing: Descriptor) {
    var ends: [Int32] = [-1, -1]
    try check(volary_pipe(&ends))
    return (Descriptor(owning: ends[0]), Descriptor(owning: ends[1]))
  }

  /// An anonymous file in memory (memfd_create(2)).
  package static func memory(name: String, allowSealing: Bool = false) throws(Errno) -> Descriptor {
    Descriptor(owning: try check(volary_memfd_create(name, allowSealing)))
  }

  /// Reads up to `buffer.count` bytes; 0 at the end of the file.
  package func read(into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
    try retrying { Glibc.read(raw, buffer.baseAddress, buffer.count) }
  }

  /// Writes up to `buffer.count` bytes and returns how many.
  package func write(_ buffer: UnsafeRawBufferPointer) throws(Errno) -> Int {
    try retrying { Glibc.write(raw, buffer.baseAddress, buffer.count) }
  }

  /// Writes all of `buffer` to a blocking descriptor.
  package func writeAll(_ buffer: UnsafeRawBufferPointer) throws(Errno) {
    var done = 0
    while done < buffer.count {
      done += try write(UnsafeRawBufferPointer(rebasing: buffer[done...]))
    }
  }

  package func setNonblocking(_ on: Bool) throws(Errno) {
    let flags = try check(volary_fcntl(raw, F_GETFL, 0))
    try check(volary_fcntl(raw, F_SETFL, Int(on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)))
  }

  package func truncate(to size: Int64) throws(Errno) {
    _ = try retrying { Int(ftruncate(raw, Int(size))) }
  }

  /// The file's size in bytes.
  package func size() throws(Errno) -> Int64 {
    var status = stat()
    _ = try retrying { Int(fstat(raw, &status)) }
    return Int64(status.st_size)
  }

  /// Bytes that the host holds of the file, without its holes.
  package func storedBytes() throws(Errno) -> Int64 {
    var status = stat()
    _ = try retrying { Int(fstat(raw, &status)) }
    return Int64(status.st_blocks) * 512
  }
}
