package import Foundation

/// The header of a kernel: of a raw `Image` (Linux, Documentation/arch/riscv/boot-image-header.rst and
/// Documentation/arch/arm64/booting.rst), or of a PC's `bzImage` (Documentation/arch/x86/boot.rst). Each has a
/// magic word that tells the architecture.
package enum KernelImage {
  /// Bytes at the start of a file in which all of them have theirs.
  static let headerSize = 0x208
  /// Bytes of a raw `Image`'s header.
  private static let rawHeaderSize = 0x40

  /// The architecture of a kernel whose first bytes are `header`, nil when it is none of these.
  package static func architecture(header: Data) -> GuestArchitecture? {
    let bytes = [UInt8](header.prefix(headerSize))
    guard bytes.count >= rawHeaderSize else { return nil }
    if bytes[0x30..<0x35].elementsEqual("RISCV".utf8), bytes[0x38..<0x3c].elementsEqual("RSC\u{5}".utf8) {
      return .riscv64
    }
    if bytes[0x38..<0x3c].elementsEqual("ARMd".utf8) { return .arm64 }
    // A boot sector's signature, and behind it the header of the boot protocol.
    if bytes.count >= 0x206, bytes[0x1fe..<0x200].elementsEqual([0x55, 0xaa]),
      bytes[0x202..<0x206].elementsEqual("HdrS".utf8)
    {
      return .amd64
    }
    return nil
  }

  /// The architecture of a file's kernel; nil when it cannot be read, or is none of these.
  package static func architecture(of file: URL) -> GuestArchitecture? {
    (try? header(of: file)).flatMap { architecture(header: $0) }
  }

  private static func header(of file: URL) throws -> Data {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    return try handle.read(upToCount: headerSize) ?? Data()
  }

  /// Throws for a kernel of an architecture that is surely another. What is none at all the loader tells.
  package static func refuse(_ path: String, otherThan architecture: GuestArchitecture) throws(ImageError) {
    guard let found = Self.architecture(of: URL(fileURLWithPath: path)), found != architecture else { return }
    throw ImageError(
      .usage, "the kernel \(path) is for \(found.rawValue), and the machine is to be \(architecture.rawValue)"
    )
  }

  /// Throws unless the file is a kernel for `architecture` that a machine can boot.
  static func check(_ file: URL, is architecture: GuestArchitecture) throws(ImageError) {
    let header: Data
    do { header = try Self.header(of: file) } catch {
      throw ImageError(.notFound, "cannot read the kernel \(file.path): \(error.localizedDescription)")
    }
    if header.starts(with: [0x1f, 0x8b]) {
      throw ImageError(
        "the kernel \(file.path) is compressed: unpack it first, as in 'zcat \(file.path) > Image'")
    }
    guard let found = Self.architecture(header: header) else {
      let kind = architecture == .amd64 ? "bzImage" : "raw Image"
      throw ImageError(
        "\(file.path) is no kernel for \(architecture.rawValue): it lacks the \(kind) header")
    }
    guard found == architecture else {
      throw ImageError("the kernel \(file.path) is for \(found.rawValue), not \(architecture.rawValue)")
    }
  }
}
