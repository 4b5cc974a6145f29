internal import GuestMemory

/// What a kernel's 64-bit entry is given: `boot_params` (Documentation/arch/x86/zero-page.rst), with the setup header
/// of the kernel's own file in it.
struct ZeroPage {
  private enum Field {
    static let rootPointer = 0x70
    static let initrdHigh = 0xC0
    static let initrdSizeHigh = 0xC4
    static let mapCount = 0x1E8
    static let loader = 0x210
    static let initrd = 0x218
    static let initrdSize = 0x21C
    static let commandLine = 0x228
    static let kernelAlignment = 0x230
    static let setupData = 0x250
    static let map = 0x2D0
  }
  private static let mapEntrySize = 20
  /// E820_MAX_ENTRIES_ZEROPAGE.
  static let mostMapEntries = 128
  /// `type_of_loader`: one that has no number.
  private static let unknownLoader: UInt8 = 0xFF
  /// The protocol whose fields are filled in when the kernel's file has no header.
  private static let version: UInt16 = 0x20F

  /// The bytes at 0x1F1; nil for a kernel that has none.
  var setupHeader: [UInt8]?
  var commandLine: UInt64
  var rootPointer: UInt64
  /// The first element of the list of `setup_data`; 0 for none.
  var setupData: UInt64
  var initrd: Range<UInt64>?
  var map: [MemoryMapEntry]

  /// Writes it to a page.
  func write(to page: GuestSlice) {
    precondition(page.count == GuestMemory.pageSize && map.count <= Self.mostMapEntries)
    page.clear()
    if let setupHeader {
      let room = page.part(BzImage.Field.setupSectors..<Field.map)
      setupHeader.withUnsafeBytes { room.copy(from: $0) }
    } else {
      page.store(BzImage.Magic.bootFlag, at: BzImage.Field.bootFlag)
      page.store(BzImage.Magic.header, at: BzImage.Field.magic)
      page.store(Self.version, at: BzImage.Field.version)
      page.store(BzImage.Magic.loadedHigh, at: BzImage.Field.loadFlags)
      page.store(UInt32(0x100_0000), at: Field.kernelAlignment)
    }
    page.store(Self.unknownLoader, at: Field.loader)
    page.store(UInt32(truncatingIfNeeded: commandLine), at: Field.commandLine)
    page.store(rootPointer, at: Field.rootPointer)
    page.store(setupData, at: Field.setupData)
    if let initrd {
      let size = UInt64(initrd.count)
      page.store(UInt32(truncatingIfNeeded: initrd.lowerBound), at: Field.initrd)
      page.store(UInt32(truncatingIfNeeded: initrd.lowerBound >> 32), at: Field.initrdHigh)
      page.store(UInt32(truncatingIfNeeded: size), at: Field.initrdSize)
      page.store(UInt32(truncatingIfNeeded: size >> 32), at: Field.initrdSizeHigh)
    }
    page.store(UInt8(map.count), at: Field.mapCount)
    for (index, entry) in map.enumerated() {
      let offset = Field.map + Self.mapEntrySize * index
      entry.bytes.withUnsafeBytes { page.part(offset..<offset + $0.count).copy(from: $0) }
    }
  }
}
