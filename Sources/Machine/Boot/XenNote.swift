/// The note by which a kernel tells that it has a PVH entry (Xen, xen/include/public/elfnote.h).
package enum XenNote {
  /// XEN_ELFNOTE_PHYS32_ENTRY.
  private static let physicalEntry: UInt32 = 18

  /// The address of the 32-bit entry; nil when the notes tell of none.
  package static func entry(in notes: [UInt8], alignment: Int) -> UInt32? {
    let fields = LittleEndianFields(notes)
    func aligned(_ offset: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }
    var offset = 0
    while let nameSize = fields.field(UInt32.self, at: offset),
      let size = fields.field(UInt32.self, at: offset + 4),
      let type = fields.field(UInt32.self, at: offset + 8)
    {
      let name = offset + 12
      let content = aligned(name + Int(nameSize))
      guard content <= notes.count, Int(size) <= notes.count - content else { return nil }
      if type == physicalEntry, Array(notes[name..<name + Int(nameSize)]) == Array("Xen\0".utf8) {
        // As wide as the kernel's pointers, or as the entry.
        if size == 8 { return fields.field(UInt64.self, at: content).flatMap { UInt32(exactly: $0) } }
        if size == 4 { return fields.field(at: content) }
      }
      offset = aligned(content + Int(size))
    }
    return nil
  }
}
