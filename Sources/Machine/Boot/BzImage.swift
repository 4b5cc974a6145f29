/// The setup header of an x86-64 `bzImage` (Documentation/arch/x86/boot.rst).
package struct BzImage: Equatable, Sendable {
  /// Bytes at the start of a file that hold the header in every version of it.
  package static let startSize = 4096
  /// The oldest protocol with ``initialSize`` and the 64-bit flag, of Linux 3.8.
  static let oldestProtocol: UInt16 = 0x20C

  /// Offsets of fields in the file, which are those in `boot_params` too.
  enum Field {
    static let setupSectors = 0x1F1
    static let bootFlag = 0x1FE
    static let jump = 0x200
    static let magic = 0x202
    static let version = 0x206
    static let loadFlags = 0x211
    static let initrdAddressMax = 0x22C
    static let loadFlags64 = 0x236
    static let commandLineSize = 0x238
    static let payloadOffset = 0x248
    static let payloadLength = 0x24C
    static let preferredAddress = 0x258
    static let initialSize = 0x260
  }

  /// What the fields have to hold.
  enum Magic {
    static let bootFlag: UInt16 = 0xAA55
    /// "HdrS".
    static let header: UInt32 = 0x5372_6448
    /// LOADED_HIGH: the kernel lies at 1 MiB or above.
    static let loadedHigh: UInt8 = 1 << 0
    /// XLF_KERNEL_64.
    static let is64Bit: UInt16 = 1 << 0
  }

  /// The protocol's version, major in the high byte.
  package let version: UInt16
  /// `xloadflags`.
  package let loadFlags64: UInt16
  /// Bytes that the kernel takes of a command line, without the zero at its end.
  package let commandLineLimit: Int
  /// The highest address that a byte of the initrd may have.
  package let initrdAddressMax: UInt64
  /// Where the kernel runs if it is not moved.
  package let preferredAddress: UInt64
  /// Bytes from there that it takes until it knows its memory.
  package let initialSize: UInt64
  /// Where the compressed kernel lies in the file.
  package let payload: Range<Int>
  /// The bytes that go into `boot_params` at 0x1F1.
  package let setupHeader: [UInt8]

  /// Whether the first bytes of a file are those of a `bzImage`, of whatever age and width.
  static func isOne(_ start: [UInt8]) -> Bool {
    let fields = LittleEndianFields(start)
    return fields.field(at: Field.bootFlag) == Magic.bootFlag && fields.field(at: Field.magic) == Magic.header
  }

  /// Reads the first bytes of a file, up to ``startSize``; `fileSize` is the whole file's, in bytes.
  package init(start: [UInt8], fileSize: Int) throws(BootError) {
    guard Self.isOne(start) else { throw .notAnAMD64Kernel(ForeignFile.name(start, fileSize: fileSize)) }
    let fields = LittleEndianFields(start)
    guard let version = fields.field(UInt16.self, at: Field.version),
      let loadFlags = fields.field(UInt8.self, at: Field.loadFlags)
    else { throw .kernelTooShort(bytes: fileSize) }
    guard loadFlags & Magic.loadedHigh != 0 else { throw .notAnAMD64Kernel("a zImage") }
    guard version >= Self.oldestProtocol else { throw .bootProtocolTooOld(version) }
    guard let loadFlags64 = fields.field(UInt16.self, at: Field.loadFlags64),
      let commandLineSize = fields.field(UInt32.self, at: Field.commandLineSize),
      let initrdAddressMax = fields.field(UInt32.self, at: Field.initrdAddressMax),
      let preferredAddress = fields.field(UInt64.self, at: Field.preferredAddress),
      let initialSize = fields.field(UInt32.self, at: Field.initialSize),
      let sectors = fields.field(UInt8.self, at: Field.setupSectors),
      let payloadOffset = fields.field(UInt32.self, at: Field.payloadOffset),
      let payloadLength = fields.field(UInt32.self, at: Field.payloadLength),
      let jump = fields.field(UInt8.self, at: Field.jump + 1)
    else { throw .kernelTooShort(bytes: fileSize) }
    guard loadFlags64 & Magic.is64Bit != 0 else { throw .notAnAMD64Kernel("a 32-bit kernel") }
    self.version = version
    self.loadFlags64 = loadFlags64
    self.preferredAddress = preferredAddress
    commandLineLimit = Int(commandLineSize)
    self.initrdAddressMax = UInt64(initrdAddressMax)
    self.initialSize = UInt64(initialSize)
    // The header ends where its jump instruction, two bytes at its start, leads to.
    let end = Field.jump + 2 + Int(jump)
    guard end <= start.count else { throw .kernelTooShort(bytes: fileSize) }
    setupHeader = Array(start[Field.setupSectors..<end])
    // No number of sectors means four, for loaders of old. The boot sector is not counted.
    let code = ((sectors == 0 ? 4 : Int(sectors)) + 1) * 512
    let first = code + Int(payloadOffset)
    payload = first..<first + Int(payloadLength)
    guard payload.upperBound <= fileSize else { throw .kernelTooShort(bytes: fileSize) }
  }
}
