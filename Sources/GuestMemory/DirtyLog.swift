internal import Synchronization

/// Which pages of RAM were written, by whomever: CPUs, devices, the loader.
///
/// Devices' writes set a page's flag as they happen (``GuestMemory/reportWrite(at:count:)``); of engines each is a
/// ``DirtyPageSource``. A write that happens while the log is taken is in that set of pages or in the next, and
/// whoever reads a page after its set was taken sees what it is in the set for. So memory is copied while its guest
/// runs by copying what each set names, until the CPUs rest and a last set is taken.
package final class DirtyLog: Sendable {
  private let memory: GuestMemory
  private let sources: [any DirtyPageSource]
  private let state = Mutex(false)

  /// `sources`: all that write `memory` without reporting it.
  package init(_ memory: GuestMemory, sources: [any DirtyPageSource]) {
    self.memory = memory
    self.sources = sources
  }

  package var isOn: Bool { state.withLock { $0 } }

  /// Begins the log: pages count as clean. Without effect when it has begun. Guests are slower while it goes on.
  package func start() throws(DirtyLogError) {
    try state.withLock { isOn throws(DirtyLogError) in
      guard !isOn else { return }
      for (number, source) in sources.enumerated() {
        do throws(DirtyLogError) { try source.startNotingWrites() } catch {
          for started in sources[..<number] { try? started.stopNotingWrites() }
          throw error
        }
      }
      isOn = true
      _ = try collect()
    }
  }

  /// The pages that were written since the last call, or the start. When it throws, they are in the next set.
  package func take() throws(DirtyLogError) -> DirtyPages {
    try state.withLock { isOn throws(DirtyLogError) in
      precondition(isOn, "a dirty log that was not started")
      return try collect()
    }
  }

  /// Ends the log.
  package func stop() throws(DirtyLogError) {
    try state.withLock { isOn throws(DirtyLogError) in
      guard isOn else { return }
      isOn = false
      for source in sources { try source.stopNotingWrites() }
    }
  }

  private func collect() throws(DirtyLogError) -> DirtyPages {
    for source in sources { try source.reportWrites() }
    let pages = memory.takeDirtyFlags()
    for source in sources { source.dropWriteRights() }
    return pages
  }
}

extension GuestMemory {
  /// Clears the dirty flag of all pages, and returns which had it.
  package func takeDirtyFlags() -> DirtyPages {
    var pages = DirtyPages(of: size >> Self.pageShift)
    // Eight flags at a time; those of the last few pages are followed by zeroes up to the end of a host page.
    let words = UnsafeRawPointer(pageFlags).assumingMemoryBound(to: Atomic<UInt64>.self)
    let mask = 0x0101_0101_0101_0101 * UInt64(PageFlag.dirty)
    for word in 0..<(pages.pageCount + 7) / 8 {
      var rest = UInt64(littleEndian: words[word].load(ordering: .sequentiallyConsistent)) & mask
      while rest != 0 {
        let page = word * 8 + rest.trailingZeroBitCount / 8
        clearFlags(PageFlag.dirty, ofPage: page)
        pages.insert(page)
        rest &= rest &- 1
      }
    }
    return pages
  }
}
