internal import CHost
internal import Glibc

/// A mapped range of host memory, unmapped when its last reference goes.
package final class Mapping: @unchecked Sendable {  // immutable; the memory behind it is the users' to share
  package let base: UnsafeMutableRawPointer
  package let size: Int

  private init(base: UnsafeMutableRawPointer, size: Int) {
    self.base = base
    self.size = size
  }

  deinit { munmap(base, size) }

  /// Maps `size` bytes. With a descriptor the mapping shares the file from `offset`; without one it
  /// is anonymous, private and zero. `protection` and `flags` are mmap(2)'s, beyond the sharing kind.
  package static func map(
    size: Int, descriptor: Descriptor? = nil, offset: Int = 0,
    protection: Int32 = PROT_READ | PROT_WRITE, flags: Int32 = MAP_NORESERVE
  ) throws(Errno) -> Mapping {
    let kind = descriptor == nil ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED
    return try map(size: size, descriptor: descriptor, offset: offset, protection, kind | flags)
  }

  /// Maps `size` bytes of new, zero memory that ``again(protection:)`` can map once more.
  package static func shared(size: Int) throws(Errno) -> Mapping {
    try map(
      size: size, descriptor: nil, offset: 0, PROT_READ | PROT_WRITE,
      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE)
  }

  /// Maps the same bytes of a shared mapping at a second address.
  package func again(protection: Int32) throws(Errno) -> Mapping {
    var place: UnsafeMutableRawPointer?
    let status = volary_map_again(base, size, protection, &place)
    guard status == 0, let place else { throw Errno(-status) }
    return Mapping(base: place, size: size)
  }

  private static func map(
    size: Int, descriptor: Descriptor?, offset: Int, _ protection: Int32, _ flags: Int32
  ) throws(Errno) -> Mapping {
    let address = mmap(nil, size, protection, flags, descriptor?.raw ?? -1, offset)
    guard let address, address != MAP_FAILED else { throw Errno(errno) }
    return Mapping(base: address, size: size)
  }
}

extension Mapping {
  /// Shows another part of a file in a range of whole pages of the mapping.
  package func show(_ descriptor: Descriptor, from offset: Int, in range: Range<Int>) throws(Errno) {
    precondition(range.lowerBound >= 0 && range.upperBound <= size)
    let address = mmap(
      base + range.lowerBound, range.count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
      descriptor.raw, offset)
    guard address != MAP_FAILED else { throw Errno(errno) }
  }

  /// Asks for the host's large pages: for private memory that is reached at random and used as a whole. What is
  /// smaller than such a page is left as it is.
  package func preferLargePages() {
    if size >= 2 << 20 { _ = madvise(base, size, MADV_HUGEPAGE) }
  }

  /// Gives the pages of a shared mapping's range back to the host (MADV_REMOVE); they read as zeroes.
  package func discard(_ range: Range<Int>) {
    _ = madvise(base + range.lowerBound, range.count, MADV_REMOVE)
  }

  /// Takes the pages of a shared mapping's range out of this process's memory (MADV_DONTNEED); the next
  /// access brings them back as they were.
  package func release(_ range: Range<Int>) {
    _ = madvise(base + range.lowerBound, range.count, MADV_DONTNEED)
  }
}
