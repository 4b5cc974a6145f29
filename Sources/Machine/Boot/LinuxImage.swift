/// The header of a riscv64 Linux `Image` (Documentation/arch/riscv/boot-image-header.rst).
package struct LinuxImage: Equatable, Sendable {
  /// Bytes of the header.
  package static let headerSize = 64

  /// Where the image wants to be, in bytes from the start of RAM.
  package let textOffset: UInt64
  /// Bytes of memory that the kernel takes, with its zeroed data.
  package let memorySize: UInt64

  /// Reads a header; `fileSize` is the whole file's, in bytes.
  package init(header: [UInt8], fileSize: Int) throws(BootError) {
    guard header.count >= 4 else { throw .notAKernel("\(fileSize) bytes") }
    if header.starts(with: [0x1F, 0x8B]) { throw .compressedKernel("gzip") }
    if header.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { throw .compressedKernel("zstd") }
    if header.starts(with: [0xFD, 0x37, 0x7A, 0x58]) { throw .compressedKernel("xz") }
    if header.starts(with: [0x7F, 0x45, 0x4C, 0x46]) { throw .notAKernel("an ELF file") }
    guard header.count >= Self.headerSize else { throw .notAKernel("\(fileSize) bytes") }
    func field(_ offset: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(header[offset + $1]) << UInt64(8 * $1) }
    }
    guard Array(header[0x30..<0x35]) == Array("RISCV".utf8), Array(header[0x38..<0x3C]) == Array("RSC\u{5}".utf8)
    else {
      if Array(header[0x38..<0x3C]) == [0x41, 0x52, 0x4D, 0x64] { throw .notAKernel("an arm64 Image") }
      if header[0] == 0x4D, header[1] == 0x5A { throw .notAKernel("a kernel for another processor") }
      throw .notAKernel("no RISCV magic in its header")
    }
    textOffset = field(8)
    memorySize = max(field(16), UInt64(fileSize))
    // The file lacks at most what is zeroed at the start; a file shorter than half is cut off.
    guard fileSize > 4096, UInt64(fileSize) >= field(16) / 4 else { throw .kernelTooShort(bytes: fileSize) }
  }
}
