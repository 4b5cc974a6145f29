internal import Glibc
package import HostSystem
internal import Synchronization

extension GuestMemory {
  /// Gives the host back the memory of all whole pages in `address ..< address + count`, which then read
  /// as zero until they are written again. A range that is not RAM is a thrown
  /// ``GuestMemoryError/outsideMemory(address:count:)``; that the host keeps the pages is no error a guest
  /// could notice or mend, and is returned.
  @discardableResult
  package func discard(at address: UInt64, count: Int) throws(GuestMemoryError) -> Errno? {
    guard let region = region(of: address, count: count) else {
      throw .outsideMemory(address: address, count: count)
    }
    let pageMask = Self.pageSize - 1
    let offset = Int(address - region.base)
    let start = (offset + pageMask) & ~pageMask
    let end = (offset + count) & ~pageMask
    guard start < end else { return nil }
    let range = region.offset + start..<region.offset + end
    layers.own(range, keepingContent: false)
    // As fallocate(2)'s hole punching, for whatever file is mapped here.
    let status = madvise(region.host + start, end - start, MADV_REMOVE)
    var failure = status == 0 ? nil : Errno(errno)
    // What the kernel has copied, or is still to copy, is no hole of a file.
    if failure != nil, isLayered.load(ordering: .relaxed) { failure = layers.forget(range) }
    reportWrite(at: region.base + UInt64(start), count: end - start)
    return failure
  }
}
