internal import GuestMemory

/// What a kernel's PVH entry is given: `hvm_start_info` of version 1 with its lists
/// (Xen, xen/include/public/arch-x86/hvm/start_info.h).
struct PVHStartInfo {
  private static let magic: UInt32 = 0x336E_C578
  private static let version: UInt32 = 1
  /// Where the lists lie behind the structure.
  private static let modules = 0x40
  private static let memoryMap = 0x60
  private static let memoryMapEntrySize = 24
  /// Entries of the memory map that one page has room for.
  static let mostMapEntries = (GuestMemory.pageSize - memoryMap) / memoryMapEntrySize

  var commandLine: UInt64
  var rootPointer: UInt64
  var initrd: Range<UInt64>?
  var map: [MemoryMapEntry]

  /// Writes it to a page.
  func write(to page: GuestSlice) {
    precondition(page.count == GuestMemory.pageSize && map.count <= Self.mostMapEntries)
    page.clear()
    page.store(Self.magic, at: 0)
    page.store(Self.version, at: 4)
    page.store(commandLine, at: 24)
    page.store(rootPointer, at: 32)
    if let initrd {
      page.store(UInt32(1), at: 12)
      page.store(page.address + UInt64(Self.modules), at: 16)
      page.store(initrd.lowerBound, at: Self.modules)
      page.store(UInt64(initrd.count), at: Self.modules + 8)
    }
    page.store(page.address + UInt64(Self.memoryMap), at: 40)
    page.store(UInt32(map.count), at: 48)
    for (index, entry) in map.enumerated() {
      let offset = Self.memoryMap + Self.memoryMapEntrySize * index
      entry.bytes.withUnsafeBytes { page.part(offset..<offset + $0.count).copy(from: $0) }
    }
  }
}
