/// Takes out of a kernel module (an ELF64 relocatable file, ELF 1.2 and its 64-bit supplement) what
/// loading it does not need: symbols that no relocation uses, and what serves tracing alone.
///
/// RISC-V's assembler leaves a symbol at every branch target. In Debian's ext4 module they are 200,000
/// of 216,000 symbols and five of its seven megabytes, and the guest's kernel would walk them all.
/// A signature is lost with them, which the kernel notes as a taint and accepts.
package enum ModuleStripper {
  private static let headerSize = 64
  private static let sectionHeaderSize = 64
  private static let symbolSize = 24
  private static let relocationSize = 24
  /// Type information for BPF, and what the kernel's tracing would set up piece by piece (function
  /// entries to patch, events to list): more than half of the time that inserting ext4 takes.
  private static let dropped = [
    ".BTF", ".BTF.base", ".comment", "__patchable_function_entries", "_ftrace_events", "_ftrace_eval_map",
    "__bpf_raw_tp_map",
  ]

  private enum SectionType {
    static let null: UInt32 = 0
    static let symbols: UInt32 = 2
    static let strings: UInt32 = 3
    static let relocations: UInt32 = 4
    static let noBits: UInt32 = 8
    static let group: UInt32 = 17
  }

  private struct Section {
    var name: Int
    var type: UInt32
    var link: Int
    /// What it means depends on the type: for symbols the first that is not local, for a group its
    /// symbol.
    var info: Int
    var contents: [UInt8]
    /// The section header as it was.
    var header: [UInt8]
  }

  /// The module without them; nil when `file` is not of the expected form, to be used as it is.
  package static func strip(_ file: [UInt8]) -> [UInt8]? {
    guard var sections = readSections(file),
      let table = sections.firstIndex(where: { $0.type == SectionType.symbols }),
      sections.indices.contains(sections[table].link), sections[table].link != Int(file.read16(at: 0x3e)),
      sections[sections[table].link].type == SectionType.strings
    else { return nil }
    for index in sections.indices
    where sections[index].type == SectionType.relocations || sections[index].type == SectionType.group {
      guard sections[index].link == table else { return nil }
    }
    let names = sections[Int(file.read16(at: 0x3e))].contents
    func isDropped(_ index: Int) -> Bool {
      sections.indices.contains(index) && dropped.contains(names.string(at: sections[index].name))
    }
    for index in sections.indices {
      // Relocations go with the section that they are of.
      let isOfDropped = sections[index].type == SectionType.relocations && isDropped(sections[index].info)
      guard isDropped(index) || isOfDropped else { continue }
      sections[index].type = SectionType.null
      sections[index].contents = []
    }
    renumber(&sections, table: table)
    return write(header: Array(file.prefix(headerSize)), sections)
  }

  // MARK: - Symbols

  private static func renumber(_ sections: inout [Section], table: Int) {
    let symbols = sections[table].contents
    let names = sections[sections[table].link].contents
    let count = symbols.count / symbolSize
    let used = usedSymbols(sections)
    var numbers = [Int: Int]()
    var newSymbols: [UInt8] = []
    var newNames: [UInt8] = [0]
    var locals = 0
    for number in 0..<count {
      let start = number * symbolSize
      let (binding, type) = (symbols[start + 4] >> 4, symbols[start + 4] & 15)
      // Global, weak; functions and data, whose names stack traces show; what is referred to.
      guard number == 0 || binding != 0 || type == 1 || type == 2 || used.contains(number) else { continue }
      numbers[number] = newSymbols.count / symbolSize
      if binding == 0 { locals += 1 }
      var symbol = Array(symbols[start..<(start + symbolSize)])
      let name = names.string(at: Int(symbols.read32(at: start)))
      // Labels that only relocations refer to need no name.
      let keepsName = !name.isEmpty && (binding != 0 || type != 0)
      symbol.write32(keepsName ? UInt32(newNames.count) : 0, at: 0)
      if keepsName { newNames += Array(name.utf8) + [0] }
      newSymbols += symbol
    }
    sections[table].contents = newSymbols
    sections[table].info = locals
    sections[sections[table].link].contents = newNames
    for index in sections.indices {
      switch sections[index].type {
      case SectionType.relocations:
        for entry in stride(from: 0, to: sections[index].contents.count, by: relocationSize) {
          let old = Int(sections[index].contents.read32(at: entry + 12))
          sections[index].contents.write32(UInt32(numbers[old] ?? 0), at: entry + 12)
        }
      case SectionType.group:
        sections[index].info = numbers[sections[index].info] ?? 0
      default: break
      }
    }
  }

  private static func usedSymbols(_ sections: [Section]) -> Set<Int> {
    var used: Set<Int> = []
    for section in sections {
      if section.type == SectionType.group { used.insert(section.info) }
      guard section.type == SectionType.relocations else { continue }
      for entry in stride(from: 0, to: section.contents.count, by: relocationSize) {
        // The upper half of r_info.
        used.insert(Int(section.contents.read32(at: entry + 12)))
      }
    }
    return used
  }

  // MARK: - The file

  private static func readSections(_ file: [UInt8]) -> [Section]? {
    // ELF, 64 bits, little-endian, relocatable.
    guard file.count >= headerSize, file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]),
      file.read16(at: 0x10) == 1, Int(file.read16(at: 0x3a)) == sectionHeaderSize
    else { return nil }
    let count = Int(file.read16(at: 0x3c))
    guard let table = Int(exactly: file.read64(at: 0x28)), table <= file.count,
      count * sectionHeaderSize <= file.count - table, Int(file.read16(at: 0x3e)) < count
    else { return nil }
    var sections: [Section] = []
    for number in 0..<count {
      let header = Array(file[(table + number * sectionHeaderSize)...].prefix(sectionHeaderSize))
      let type = header.read32(at: 4)
      var contents: [UInt8] = []
      if type != SectionType.null, type != SectionType.noBits {
        guard let offset = Int(exactly: header.read64(at: 24)),
          let size = Int(exactly: header.read64(at: 32)),
          offset <= file.count, size <= file.count - offset
        else { return nil }
        contents = Array(file[offset..<(offset + size)])
      }
      if type == SectionType.symbols || type == SectionType.relocations {
        guard contents.count.isMultiple(of: symbolSize) else { return nil }
      }
      sections.append(
        Section(
          name: Int(header.read32(at: 0)), type: type, link: Int(header.read32(at: 40)),
          info: Int(header.read32(at: 44)), contents: contents, header: header))
    }
    return sections
  }

  private static func write(header: [UInt8], _ sections: [Section]) -> [UInt8] {
    var file = header
    var headers: [UInt8] = []
    for section in sections {
      var header = section.header
      header.write32(section.type, at: 4)
      header.write32(UInt32(section.info), at: 44)
      if section.type != SectionType.null, section.type != SectionType.noBits {
        let alignment = max(1, min(4096, Int(clamping: header.read64(at: 48))))
        file += Array(repeating: 0, count: (alignment - file.count % alignment) % alignment)
        header.write64(UInt64(file.count), at: 24)
        header.write64(UInt64(section.contents.count), at: 32)
        file += section.contents
      } else if section.type == SectionType.null {
        header.replaceSubrange(0..., with: repeatElement(0, count: sectionHeaderSize))
      }
      headers += header
    }
    file += Array(repeating: 0, count: (8 - file.count % 8) % 8)
    file.write64(UInt64(file.count), at: 0x28)
    return file + headers
  }
}

extension [UInt8] {
  fileprivate func read16(at offset: Int) -> UInt16 { UInt16(self[offset]) | UInt16(self[offset + 1]) << 8 }

  fileprivate func read32(at offset: Int) -> UInt32 {
    UInt32(read16(at: offset)) | UInt32(read16(at: offset + 2)) << 16
  }

  fileprivate func read64(at offset: Int) -> UInt64 {
    UInt64(read32(at: offset)) | UInt64(read32(at: offset + 4)) << 32
  }

  fileprivate mutating func write32(_ value: UInt32, at offset: Int) {
    for byte in 0..<4 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }

  fileprivate mutating func write64(_ value: UInt64, at offset: Int) {
    for byte in 0..<8 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }

  /// The text that ends at the next zero byte.
  fileprivate func string(at offset: Int) -> String {
    guard offset < count else { return "" }
    return String(decoding: self[offset...].prefix { $0 != 0 }, as: UTF8.self)
  }
}
