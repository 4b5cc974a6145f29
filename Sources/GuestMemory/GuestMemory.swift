internal import Glibc
package import HostSystem
package import Synchronization

/// What can be wrong with an address that a guest named.
package enum GuestMemoryError: Error, Equatable, Sendable {
  /// Some of `address ..< address + count` is not RAM, or the range crosses a region's end.
  case outsideMemory(address: UInt64, count: Int)
}

/// The guest's RAM: one memory file, mapped once, cut into regions of guest-physical addresses.
///
/// Every access that is not made by generated code goes through ``slice(at:count:)``, the one place
/// where an address and a length are added. Beside the bytes there is a byte of flags for each page,
/// by which writers (CPUs, devices) and keepers of derived data (translated code, a dirty log) agree.
package final class GuestMemory: @unchecked Sendable {  // layout immutable; bytes are shared with the guest
  package static let pageSize = 4096
  package static let pageShift = 12

  /// A contiguous run of guest-physical addresses backed by host memory.
  package struct Region: Sendable {
    /// First guest-physical address; a multiple of the page size.
    package let base: UInt64
    /// Bytes; a multiple of the page size.
    package let size: Int
    /// Where the region is mapped in this process.
    nonisolated(unsafe) package let host: UnsafeMutableRawPointer  // shared with the guest
    /// The region's place in the memory file, in bytes.
    package let offset: Int
  }

  /// What is known of a page by others than its writer.
  package enum PageFlag {
    /// Code derived from the page exists: writers must report (``reportWrite(at:count:)``).
    package static let code: UInt8 = 1 << 0
    /// Some CPU may hold a cached right to write the page without asking.
    package static let writeCached: UInt8 = 1 << 1
    /// Written since the dirty log was last read.
    package static let dirty: UInt8 = 1 << 2
    /// Beside ``code``: no CPU holds a right to write the page without asking any more, so that code may
    /// be derived from it.
    package static let codeReady: UInt8 = 1 << 3
  }

  package let regions: [Region]
  /// Bytes in all regions.
  package let size: Int
  /// The memory file, for processes that share or copy it.
  package let descriptor: Descriptor
  private let mapping: Mapping
  let layers: MemoryLayers
  /// Whether some of it may be shown from files that others have too.
  @usableFromInline let isLayered = Atomic(false)
  private let flagMapping: Mapping
  /// One byte of ``PageFlag`` bits a page, in the order of the memory file.
  @usableFromInline package let pageFlags: UnsafeMutablePointer<Atomic<UInt8>>

  /// A function in a mutex of its own type gains a layer each time it is read; in a structure it does not.
  private struct CodeObserver {
    let pagesWritten: @Sendable (Range<Int>) -> Void
  }

  /// Told of the pages (by file page number) with the code flag that a device wrote.
  private let codeObserver = Mutex<CodeObserver?>(nil)

  /// Reserves the given regions (base address, bytes), which must not overlap. Host memory is taken
  /// only as it is touched. `copying` says how memory becomes own that is shared. Throws `Errno` when the host refuses.
  package init(
    regions layout: [(base: UInt64, size: Int)], copying: Copying = .byRequest
  ) throws(Errno) {
    var total = 0
    for part in layout {
      precondition(part.base % UInt64(Self.pageSize) == 0 && part.size % Self.pageSize == 0)
      total += part.size
    }
    size = total
    descriptor = try Descriptor.memory(name: "guest-memory")
    try descriptor.truncate(to: Int64(total))
    mapping = try Mapping.map(size: total, descriptor: descriptor)
    layers = try MemoryLayers(mapping: mapping, size: total, file: descriptor, copying: copying)
    flagMapping = try Mapping.map(size: total >> Self.pageShift)
    pageFlags = flagMapping.base.assumingMemoryBound(to: Atomic<UInt8>.self)
    var offset = 0
    var regions: [Region] = []
    for part in layout {
      regions.append(
        Region(base: part.base, size: part.size, host: mapping.base + offset, offset: offset))
      offset += part.size
    }
    self.regions = regions
  }

  /// Has the host put pages of 2 MiB behind all of it, where whoever runs the host lets programs ask for them
  /// (/sys/kernel/mm/transparent_hugepage/shmem_enabled, `advise`). A processor that walks two page tables for each
  /// access it has not cached is much faster on them; the host's memory is taken in larger pieces then.
  package func preferLargePages() { _ = madvise(mapping.base, size, MADV_HUGEPAGE) }

  /// Bytes of the host's memory behind it, each page once however often it is mapped.
  package var storedBytes: UInt64 { (try? descriptor.storedBytes()).map { UInt64(clamping: $0) } ?? 0 }

  // MARK: - Addresses

  /// Where RAM ends: behind the last region.
  package var end: UInt64 { regions.map { $0.base + UInt64($0.size) }.max() ?? 0 }

  /// The region that holds all of `address ..< address + count`, or nil.
  @inlinable package func region(of address: UInt64, count: Int) -> Region? {
    for region in regions {
      let (offset, under) = address.subtractingReportingOverflow(region.base)
      if !under, offset < UInt64(region.size), count >= 0, UInt64(count) <= UInt64(region.size) - offset {
        return region
      }
    }
    return nil
  }

  /// The host address of `count` bytes of RAM at a guest-physical address, or nil when they are not
  /// RAM. For CPUs' own page walks and fills; devices use ``slice(at:count:)``.
  @inlinable package func host(of address: UInt64, count: Int) -> UnsafeMutableRawPointer? {
    guard let region = region(of: address, count: count) else { return nil }
    return region.host + Int(address &- region.base)
  }

  /// The page's number in the memory file (the index of its flags), or nil when it is not RAM.
  @inlinable package func pageNumber(of address: UInt64) -> Int? {
    guard let region = region(of: address, count: 1) else { return nil }
    return (region.offset + Int(address &- region.base)) >> Self.pageShift
  }

  /// The guest-physical address of a file page number.
  package func address(ofPage number: Int) -> UInt64 {
    let offset = number << Self.pageShift
    for region in regions where offset >= region.offset && offset < region.offset + region.size {
      return region.base + UInt64(offset - region.offset)
    }
    preconditionFailure("page \(number) is outside memory")
  }

  /// A checked window on `count` bytes at `address`.
  @inlinable package func slice(at address: UInt64, count: Int) throws(GuestMemoryError) -> GuestSlice {
    guard let region = region(of: address, count: count) else {
      throw .outsideMemory(address: address, count: count)
    }
    return GuestSlice(
      memory: self, address: address,
      bytes: UnsafeMutableRawBufferPointer(
        start: region.host + Int(address &- region.base), count: count))
  }

  // MARK: - Page flags

  /// Sets flag bits of a page and returns those it had. Sequentially consistent: of two parties that
  /// each set a bit and then look for the other's, at least one sees it.
  @inlinable @discardableResult
  package func setFlags(_ bits: UInt8, ofPage number: Int) -> UInt8 {
    pageFlags[number].bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
  }

  /// Sets flag bits of a page if it has `condition`'s.
  package func setFlags(_ bits: UInt8, ofPage number: Int, if condition: UInt8) {
    var old = flags(ofPage: number)
    while old & condition == condition {
      let (exchanged, now) = pageFlags[number].compareExchange(
        expected: old, desired: old | bits, ordering: .sequentiallyConsistent)
      if exchanged { return }
      old = now
    }
  }

  /// Clears flag bits of a page and returns those it had.
  @inlinable @discardableResult
  package func clearFlags(_ bits: UInt8, ofPage number: Int) -> UInt8 {
    pageFlags[number].bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue
  }

  @inlinable package func flags(ofPage number: Int) -> UInt8 {
    pageFlags[number].load(ordering: .sequentiallyConsistent)
  }

  /// All of memory is new: whoever keeps a copy has nothing of it, and nobody holds or derives anything.
  func forgetFlags() {
    memset(flagMapping.base, Int32(PageFlag.dirty), size >> Self.pageShift)
  }

  /// Marks pages dirty, by a word of a dirty log as kernels keep them: bit 0 stands for page `first`.
  package func markDirty(_ bits: UInt64, from first: Int) {
    var bits = bits
    while bits != 0 {
      setFlags(PageFlag.dirty, ofPage: first + bits.trailingZeroBitCount)
      bits &= bits &- 1
    }
  }

  /// Names who is told of device writes to pages with the code flag. Set before the machine runs.
  package func observeCodeWrites(_ observer: @escaping @Sendable (Range<Int>) -> Void) {
    codeObserver.withLock { $0 = CodeObserver(pagesWritten: observer) }
  }

  /// Reports that a device wrote `count` bytes at `address`: marks the pages dirty and drops what
  /// was derived from them. Slices call it themselves.
  package func reportWrite(at address: UInt64, count: Int) {
    guard count > 0, let region = region(of: address, count: count) else { return }
    let start = region.offset + Int(address - region.base)
    let pages = (start >> Self.pageShift)..<(((start + count - 1) >> Self.pageShift) + 1)
    var holdsCode = false
    for page in pages where setFlags(PageFlag.dirty, ofPage: page) & PageFlag.code != 0 {
      holdsCode = true
    }
    if holdsCode { codeObserver.withLock { $0 }?.pagesWritten(pages) }
  }
}
