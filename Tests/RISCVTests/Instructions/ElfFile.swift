/// A static riscv64 executable, as little of one as its readers want.
struct ElfFile {
  struct Segment {
    let address: UInt64
    let bytes: [UInt8]
    /// Bytes in memory; what the file does not have is zero.
    let size: Int
  }

  var segments: [Segment] = []
  var entry: UInt64 = 0
  /// The extensions that a disassembler takes for granted, in the syntax of `-march`, with versions.
  var architecture = ""

  /// The whole file. The first segment is also the section `.text`.
  var bytes: [UInt8] {
    let headerSize = 64
    let programHeaderSize = 56
    var body: [UInt8] = []
    var offset = headerSize + segments.count * programHeaderSize
    var programHeaders: [UInt8] = []
    var textOffset = 0
    for (number, segment) in segments.enumerated() {
      // The loader maps pages: offset and address agree in their low bits.
      let padding = (Int(segment.address % 4096) - offset % 4096 + 4096) % 4096
      body += [UInt8](repeating: 0, count: padding)
      offset += padding
      if number == 0 { textOffset = offset }
      programHeaders += little(UInt32(1)) + little(UInt32(7))  // PT_LOAD; read, write, execute
      programHeaders += little(UInt64(offset)) + little(segment.address) + little(segment.address)
      programHeaders += little(UInt64(segment.bytes.count)) + little(UInt64(segment.size))
      programHeaders += little(UInt64(4096))
      body += segment.bytes
      offset += segment.bytes.count
    }

    let attributes = attributeSection
    let names: [UInt8] = Array("\0.text\0.riscv.attributes\0.shstrtab\0".utf8)
    let sections: [(name: UInt32, type: UInt32, flags: UInt64, address: UInt64, offset: Int, size: Int)] = [
      (0, 0, 0, 0, 0, 0),
      (1, 1, 6, segments[0].address, textOffset, segments[0].bytes.count),
      (7, 0x7000_0003, 0, 0, offset, attributes.count),
      (25, 3, 0, 0, offset + attributes.count, names.count),
    ]
    body += attributes + names
    offset += attributes.count + names.count
    var sectionHeaders: [UInt8] = []
    for section in sections {
      sectionHeaders += little(section.name) + little(section.type) + little(section.flags)
      sectionHeaders += little(section.address) + little(UInt64(section.offset))
      sectionHeaders += little(UInt64(section.size)) + little(UInt32(0)) + little(UInt32(0))
      sectionHeaders += little(UInt64(1)) + little(UInt64(0))
    }

    var header: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    header += little(UInt16(2)) + little(UInt16(243)) + little(UInt32(1))  // executable, RISC-V
    header += little(entry) + little(UInt64(headerSize)) + little(UInt64(offset))
    header += little(UInt32(5))  // compressed instructions, double-precision calling convention
    header += little(UInt16(headerSize)) + little(UInt16(programHeaderSize))
    header += little(UInt16(segments.count)) + little(UInt16(64))
    header += little(UInt16(sections.count)) + little(UInt16(sections.count - 1))
    return header + programHeaders + body + sectionHeaders
  }

  /// Build attributes (RISC-V psABI, "Attributes"): the one of tag 5, Tag_RISCV_arch.
  private var attributeSection: [UInt8] {
    let attribute = [5] + Array(architecture.utf8) + [0]
    let file = [1] + little(UInt32(attribute.count + 5)) + attribute
    let vendor: [UInt8] = Array("riscv\0".utf8)
    return [0x41] + little(UInt32(4 + vendor.count + file.count)) + vendor + file
  }
}

/// The bytes of a value, the lowest first.
func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}
