import Foundation

/// The header of a kernel's raw `Image` (Linux, Documentation/arch/riscv/boot-image-header.rst and
/// Documentation/arch/arm64/booting.rst): 64 bytes with a magic word that tells the architecture.
enum KernelImage {
  static let headerSize = 0x40

  /// The architecture of a kernel whose first bytes are `header`, nil when it is no raw `Image`.
  static func architecture(header: Data) -> GuestArchitecture? {
    guard header.count >= headerSize else { return nil }
    let bytes = [UInt8](header.prefix(headerSize))
    if bytes[0x30..<0x35].elementsEqual("RISCV".utf8), bytes[0x38..<0x3c].elementsEqual("RSC\u{5}".utf8) {
      return .riscv64
    }
    if bytes[0x38..<0x3c].elementsEqual("ARMd".utf8) { return .arm64 }
    return nil
  }

  /// Throws unless the file is an uncompressed kernel for `architecture`.
  static func check(_ file: URL, is architecture: GuestArchitecture) throws(ImageError) {
    let header: Data
    do {
      let handle = try FileHandle(forReadingFrom: file)
      defer { try? handle.close() }
      header = try handle.read(upToCount: headerSize) ?? Data()
    } catch {
      throw ImageError(.notFound, "cannot read the kernel \(file.path): \(error.localizedDescription)")
    }
    if header.starts(with: [0x1f, 0x8b]) {
      throw ImageError(
        "the kernel \(file.path) is compressed: unpack it first, as in 'zcat \(file.path) > Image'")
    }
    guard let found = Self.architecture(header: header) else {
      throw ImageError(
        "\(file.path) is no kernel for \(architecture.rawValue): it lacks the raw Image header")
    }
    guard found == architecture else {
      throw ImageError("the kernel \(file.path) is for \(found.rawValue), not \(architecture.rawValue)")
    }
  }
}
