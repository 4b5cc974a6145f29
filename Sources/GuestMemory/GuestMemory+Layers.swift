package import HostSystem
internal import Synchronization

extension GuestMemory {
  /// How memory that is shared with other machines becomes this machine's own.
  package enum Copying: Sendable {
    /// By ``own(_:)``, before it is written: for engines that map the memory file more than once.
    case byRequest
    /// By the kernel, page by page, at the first write: for engines that reach it through its one mapping.
    case byKernel
  }

  /// Files that show a guest's memory together, and that nobody writes any more.
  package struct Layers: Sendable {
    /// Files at most.
    package static let most = 8

    /// From the lowest to the one that was written last; each as long as memory.
    package var files: [Descriptor]
    /// log2 of the bytes of a chunk, of which each is in one file.
    package var chunkShift: Int
    /// For each chunk the place in ``files`` of the one that shows it.
    package var sources: [UInt8]

    package init(files: [Descriptor], chunkShift: Int, sources: [UInt8]) {
      self.files = files
      self.chunkShift = chunkShift
      self.sources = sources
    }
  }

  /// Freezes what memory holds, in a time that does not depend on how much that is, but for ``Layers/most`` files on
  /// each other, and for ``Copying/byKernel`` the second time. Memory goes on over them, copy-on-write. Nobody may
  /// write it meanwhile, and whoever has mapped the memory file elsewhere must have forgotten that.
  package func freeze() throws(Errno) -> Layers {
    defer { isLayered.store(true, ordering: .sequentiallyConsistent) }
    return try layers.freeze()
  }

  /// Shows what frozen files hold, copy-on-write, in place of what memory held, and forgets what pages were marked as.
  /// Throws `EINVAL` when the files do not fit this memory, and has changed nothing then. Nobody may use memory
  /// meanwhile, and whoever has mapped the memory file elsewhere, or derived anything from it, must have forgotten that.
  /// What memory held is given back to the host beside what follows.
  package func adopt(_ frozen: Layers) throws(Errno) {
    isLayered.store(true, ordering: .sequentiallyConsistent)
    var former = try layers.adopt(frozen)
    if former == nil { return }
    forgetFlags()
    Leftovers.drop(&former)
  }

  /// Bytes of a chunk.
  package var chunkSize: Int { 1 << layers.chunkShift }

  /// Has a page, by its number in the memory file, be this machine's own, so that it may be written, and mapped from
  /// the memory file.
  @inlinable package func own(page: Int) {
    if isLayered.load(ordering: .relaxed) { ownNow(page << Self.pageShift..<(page + 1) << Self.pageShift) }
  }

  /// As ``own(page:)``, for all of `count` bytes at `address`.
  @inlinable package func own(at address: UInt64, count: Int) {
    if isLayered.load(ordering: .relaxed) { ownNow(address, count) }
  }

  @usableFromInline package func ownNow(_ address: UInt64, _ count: Int) {
    guard count > 0, let region = region(of: address, count: count) else { return }
    let start = region.offset + Int(address - region.base)
    ownNow(start..<start + count)
  }

  @usableFromInline package func ownNow(_ range: Range<Int>) { layers.own(range) }
}
