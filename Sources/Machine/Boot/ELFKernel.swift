/// The header of a kernel as an ELF file for x86-64 (System V ABI, "Object Files"): what is put where in memory, and
/// where it is entered.
package struct ELFKernel: Equatable, Sendable {
  /// Bytes at the start of a file that hold the header and the table of segments.
  package static let startSize = 4096
  /// Notes that are longer than this are not looked at.
  private static let mostNotes = 1 << 16

  /// A part of memory that is filled from the file, and with zeroes behind that.
  package struct Segment: Equatable, Sendable {
    /// Where its bytes are in the file.
    package let file: Range<Int>
    /// Where it is in the guest's physical memory.
    package let memory: Range<UInt64>
    /// Where the zeroes begin.
    var zeroes: UInt64 { memory.lowerBound + UInt64(file.count) }
  }

  /// Notes in the file, and what each is aligned to.
  package struct Notes: Equatable, Sendable {
    package let file: Range<Int>
    package let alignment: Int
  }

  /// Where 64-bit code begins, in physical memory.
  package let entry: UInt64
  /// In the order of their addresses; at least one, none of them empty, none over another.
  package let segments: [Segment]
  package let notes: [Notes]

  /// From the first to behind the last byte of memory.
  package let memory: Range<UInt64>

  static func isOne(_ start: [UInt8]) -> Bool { start.starts(with: [0x7F, 0x45, 0x4C, 0x46]) }

  /// Reads the first bytes of a file, up to ``startSize``; `fileSize` is the whole file's, in bytes.
  package init(start: [UInt8], fileSize: Int) throws(BootError) {
    let fields = LittleEndianFields(start)
    guard Self.isOne(start) else { throw .damagedKernel("there is no ELF file in it") }
    // EI_CLASS, EI_DATA.
    guard start.count > 5, start[5] == 1 else { throw .notAnAMD64Kernel("a big-endian ELF file") }
    guard let type = fields.field(UInt16.self, at: 16), let machine = fields.field(UInt16.self, at: 18) else {
      throw .kernelTooShort(bytes: fileSize)
    }
    guard machine == 62 /* EM_X86_64 */, start[4] == 2 /* ELFCLASS64 */ else {
      throw .notAnAMD64Kernel("an ELF file for \(ForeignFile.processor(machine))")
    }
    // ET_EXEC, ET_DYN.
    guard type == 2 || type == 3 else { throw .notAnAMD64Kernel("an ELF file that is no program") }
    guard let entry = fields.field(UInt64.self, at: 24), let table = fields.field(UInt64.self, at: 32),
      let entrySize = fields.field(UInt16.self, at: 54), let count = fields.field(UInt16.self, at: 56)
    else { throw .kernelTooShort(bytes: fileSize) }
    guard entrySize == 56, table <= UInt64(start.count), Int(table) + 56 * Int(count) <= start.count else {
      if start.count < Self.startSize { throw .kernelTooShort(bytes: fileSize) }
      throw .damagedKernel("its table of segments is not in the first \(Self.startSize) bytes")
    }
    var segments: [Segment] = []
    var notes: [Notes] = []
    for index in 0..<Int(count) {
      let header = Int(table) + 56 * index
      guard let kind = fields.field(UInt32.self, at: header) else { continue }
      if kind == 1 /* PT_LOAD */, let segment = try Self.segment(fields, header, fileSize) {
        segments.append(segment)
      }
      if kind == 4 /* PT_NOTE */, let found = Self.notes(fields, header, fileSize) { notes.append(found) }
    }
    segments.sort { $0.memory.lowerBound < $1.memory.lowerBound }
    guard let first = segments.first, let last = segments.last else {
      throw .damagedKernel("it has nothing to load")
    }
    for (lower, upper) in zip(segments, segments.dropFirst())
    where lower.memory.upperBound > upper.memory.lowerBound {
      throw .damagedKernel("its segments lie over each other")
    }
    self.entry = entry
    self.segments = segments
    self.notes = notes
    memory = first.memory.lowerBound..<last.memory.upperBound
  }

  /// Whether code at `address` is in the kernel.
  func holds(_ address: UInt64) -> Bool { segments.contains { $0.memory.contains(address) } }

  /// The segment whose program header (`Elf64_Phdr`) stands at `header`; nil for one that takes no memory.
  private static func segment(
    _ fields: LittleEndianFields, _ header: Int, _ fileSize: Int
  ) throws(BootError) -> Segment? {
    guard let offset = fields.field(UInt64.self, at: header + 8),
      let address = fields.field(UInt64.self, at: header + 24),
      let size = fields.field(UInt64.self, at: header + 32),
      let memorySize = fields.field(UInt64.self, at: header + 40), memorySize > 0
    else { return nil }
    guard offset <= UInt64(fileSize), size <= UInt64(fileSize) - offset else {
      throw .kernelTooShort(bytes: fileSize)
    }
    let (end, overflow) = address.addingReportingOverflow(memorySize)
    guard size <= memorySize, !overflow else {
      throw .damagedKernel("a segment of \(size) bytes takes \(memorySize) at \(String(address, radix: 16))")
    }
    return Segment(file: Int(offset)..<Int(offset + size), memory: address..<end)
  }

  /// The notes of the program header at `header`; nil for those that cannot be read.
  private static func notes(_ fields: LittleEndianFields, _ header: Int, _ fileSize: Int) -> Notes? {
    guard let offset = fields.field(UInt64.self, at: header + 8),
      let size = fields.field(UInt64.self, at: header + 32),
      let alignment = fields.field(UInt64.self, at: header + 48),
      size <= UInt64(mostNotes), offset <= UInt64(fileSize), size <= UInt64(fileSize) - offset
    else { return nil }
    return Notes(file: Int(offset)..<Int(offset + size), alignment: alignment == 8 ? 8 : 4)
  }
}
