internal import Glibc
internal import HostSystem

/// A file that a guest is loaded from.
///
/// It is read, not mapped: whoever may write it can neither end this process by cutting it off nor change what has
/// been checked.
struct BootFile: Sendable {
  private let descriptor: Descriptor
  /// What the file is to the reader of an error: "the kernel".
  let name: String
  /// Bytes.
  let size: Int

  init(_ descriptor: Descriptor, name: String) throws(BootError) {
    self.descriptor = descriptor
    self.name = name
    do throws(Errno) { size = Int(try descriptor.size()) } catch {
      throw .cannotRead(name, error.description)
    }
  }

  /// Copies a part of the file, which must lie within it.
  func bytes(_ range: Range<Int>) throws(BootError) -> [UInt8] {
    try [UInt8](filling: range.count) { target throws(BootError) in
      try read(from: range.lowerBound, into: target)
      return target.count
    }
  }

  /// The first `count` bytes, or all if there are fewer.
  func start(_ count: Int) throws(BootError) -> [UInt8] { try bytes(0..<min(count, size)) }

  /// Fills `target` with what stands at `offset`; a file that ends before that is an error.
  func read(from offset: Int, into target: UnsafeMutableRawBufferPointer) throws(BootError) {
    guard let base = target.baseAddress else { return }
    var done = 0
    while done < target.count {
      let got = pread(descriptor.raw, base + done, target.count - done, off_t(offset + done))
      if got < 0, errno == EINTR { continue }
      if got < 0 { throw .cannotRead(name, Errno(errno).description) }
      if got == 0 { throw .cannotRead(name, "it ends early") }
      done += got
    }
  }
}
