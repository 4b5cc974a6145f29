/// The header of a riscv64 Linux `Image` (Documentation/arch/riscv/boot-image-header.rst).
package struct LinuxImage: Equatable, Sendable {
  /// Bytes of the header.
  package static let headerSize = 64

  /// Where the image wants to be, in bytes from the start of RAM.
  package let textOffset: UInt64
  /// Bytes of memory that the kernel takes, with its zeroed data.
  package let memorySize: UInt64

  /// Bytes at the start of a file that say all that is wanted of it: the header, and the table of the
  /// sections of the PE executable that the file is to UEFI.
  package static let startSize = 4096

  /// Reads the first bytes of a file, up to ``startSize``; `fileSize` is the whole file's, in bytes.
  package init(header: [UInt8], fileSize: Int) throws(BootError) {
    guard header.count >= 4 else { throw .notAKernel("\(fileSize) bytes") }
    if header.starts(with: [0x1F, 0x8B]) { throw .compressedKernel("gzip") }
    if header.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { throw .compressedKernel("zstd") }
    if header.starts(with: [0xFD, 0x37, 0x7A, 0x58]) { throw .compressedKernel("xz") }
    if ELFKernel.isOne(header) { throw .notAKernel("an ELF file") }
    guard header.count >= Self.headerSize else { throw .notAKernel("\(fileSize) bytes") }
    let fields = LittleEndianFields(header)
    guard Array(header[0x30..<0x35]) == Array("RISCV".utf8),
      Array(header[0x38..<0x3C]) == Array("RSC\u{5}".utf8)
    else {
      if Array(header[0x38..<0x3C]) == [0x41, 0x52, 0x4D, 0x64] { throw .notAKernel("an arm64 Image") }
      if header[0] == 0x4D, header[1] == 0x5A { throw .notAKernel("a kernel for another processor") }
      throw .notAKernel("no RISCV magic in its header")
    }
    textOffset = fields.field(at: 8) ?? 0
    let size = fields.field(UInt64.self, at: 16) ?? 0
    memorySize = max(size, UInt64(fileSize))
    // The file lacks what is zeroed at the start. Its sections tell exactly where it ends; without them,
    // one shorter than a quarter is cut off.
    let leastSize = Self.executableSize(fields) ?? size / 4
    guard fileSize > Self.startSize, UInt64(fileSize) >= leastSize else {
      throw .kernelTooShort(bytes: fileSize)
    }
  }

  /// Where the last section of a PE executable ends in its file (PE Format, "COFF File Header" and
  /// "Section Table"); nil for a file that is none, or whose table lies beyond `start`.
  private static func executableSize(_ start: LittleEndianFields) -> UInt64? {
    guard let header = start.field(UInt32.self, at: 0x3C).map({ Int($0) }),
      start.field(UInt32.self, at: header) == 0x4550 /* "PE" */,
      let count = start.field(UInt16.self, at: header + 6),
      let optionalSize = start.field(UInt16.self, at: header + 20)
    else { return nil }
    var end: UInt64 = 0
    for index in 0..<Int(count) {
      let section = header + 24 + Int(optionalSize) + 40 * index
      guard let size = start.field(UInt32.self, at: section + 16),
        let offset = start.field(UInt32.self, at: section + 20)
      else { return nil }
      end = max(end, UInt64(offset) + UInt64(size))
    }
    return end
  }
}
