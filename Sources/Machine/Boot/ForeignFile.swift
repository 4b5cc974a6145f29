/// Names what was given as an amd64 kernel and is none, as far as its first bytes tell.
enum ForeignFile {
  static func name(_ start: [UInt8], fileSize: Int) -> String {
    let fields = LittleEndianFields(start)
    if fields.field(at: 0x38) == 0x644D_5241 as UInt32 { return "an arm64 Image" }
    if fields.field(at: 0x38) == 0x0543_5352 as UInt32 { return "a riscv64 Image" }
    if start.starts(with: Array("MZ".utf8)) {
      return fields.field(at: 4) == 0x676D_697A as UInt32 ? "a compressed EFI image" : "an EFI executable"
    }
    if let compression = Compression(start: start) { return "a file compressed with \(compression.name)" }
    return fileSize < BzImage.startSize ? "\(fileSize) bytes" : "no header of a bzImage"
  }

  /// The name of the processor that an ELF file is for (`e_machine`).
  static func processor(_ machine: UInt16) -> String {
    switch machine {
    case 3: "32-bit x86"
    case 40: "32-bit ARM"
    case 183: "arm64"
    case 243: "RISC-V"
    default: "processor \(machine)"
    }
  }
}
