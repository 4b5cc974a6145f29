/// A kernel of a few instructions: an ELF file with the note by which loaders find a kernel's PVH entry (Xen,
/// docs/misc/pvh.pandoc). It is entered in 32-bit protected mode.
struct TinyKernel {
  /// Where it is loaded, and entered.
  private static let address: UInt32 = 0x10_0000
  /// A word that outlasts the machine's restarts.
  static let counter: UInt32 = 0x20_0000

  private enum Port {
    static let serial: UInt16 = 0x3F8
    static let panic: UInt16 = 0x505
    static let sleep: UInt16 = 0x600
    static let reset: UInt16 = 0x604
  }

  private var code: [UInt8] = []

  /// The file.
  var file: [UInt8] {
    let header = 64 + 2 * 56
    let note = bytes(4) + bytes(8) + bytes(18 /* XEN_ELFNOTE_PHYS32_ENTRY */) + Array("Xen\0".utf8)
    let noteSize = note.count + 8
    let text = header + noteSize
    var file: [UInt8] = [0x7F] + Array("ELF".utf8) + [2, 1, 1, 0] + [UInt8](repeating: 0, count: 8)
    // An executable for x86-64; the entry, which PVH does not use; the program headers.
    file += [2, 0, 62, 0] + bytes(1) + long(Self.address) + long(64) + long(0)
    file += bytes(0) + [64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]
    func segment(_ type: UInt32, _ flags: UInt32, offset: Int, address: UInt32, size: Int) {
      file += bytes(type) + bytes(flags) + long(UInt32(offset)) + long(address) + long(address)
      file += long(UInt32(size)) + long(UInt32(size)) + long(4)
    }
    segment(1 /* PT_LOAD */, 7, offset: text, address: Self.address, size: code.count)
    segment(4 /* PT_NOTE */, 4, offset: header, address: 0, size: noteSize)
    return file + note + long(Self.address) + code
  }

  private func bytes(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
  private func long(_ value: UInt32) -> [UInt8] { bytes(value) + bytes(0) }

  /// `mov $value, %al; mov $port, %dx; out %al, %dx`.
  private mutating func write(_ value: UInt8, to port: UInt16) {
    code += [0xB0, value, 0x66, 0xBA, UInt8(truncatingIfNeeded: port), UInt8(port >> 8), 0xEE]
  }

  mutating func print(_ text: String) {
    for byte in text.utf8 { write(byte, to: Port.serial) }
  }

  /// `hlt` for ever, with interrupts off.
  mutating func halt() { code += [0xFA, 0xF4, 0xEB, 0xFD] }

  mutating func powerOff() {
    write(0x34, to: Port.sleep)
    halt()
  }

  mutating func reset() {
    write(1, to: Port.reset)
    halt()
  }

  /// Writes back each character that comes, and behind it the digit of how many have come, which is kept in memory.
  mutating func echoAndCount() {
    // Until the line status register says that there is one.
    code += [0x66, 0xBA, 0xFD, 0x03, 0xEC, 0xA8, 0x01, 0x74, 0xF7]
    // Read, written, counted; the count's digit written.
    code += [0x66, 0xBA, 0xF8, 0x03, 0xEC, 0xEE, 0xFF, 0x05] + bytes(Self.counter)
    code += [0xA0] + bytes(Self.counter) + [0x04, 0x30, 0xEE]
    code += [0xEB, 0xE1]
  }

  /// Says that it has crashed.
  mutating func panic() {
    write(1, to: Port.panic)
    halt()
  }

  /// `lidt` of an empty table at address 0x200010, then `ud2`: no CPU can go on.
  mutating func tripleFault() { code += [0x0F, 0x01, 0x1D] + bytes(Self.counter + 0x10) + [0x0F, 0x0B] }

  /// Runs `body` at the first start only: `incl counter; cmpl $1, counter; jne` over it.
  mutating func atFirst(_ body: (inout TinyKernel) -> Void) {
    var inner = TinyKernel()
    body(&inner)
    code += [0xFF, 0x05] + bytes(Self.counter)
    code += [0x83, 0x3D] + bytes(Self.counter) + [1]
    code += [0x0F, 0x85] + bytes(UInt32(inner.code.count)) + inner.code
  }

  /// Reads and writes at addresses and ports where nothing is, or that are not meant for that, in all widths.
  mutating func pokeEverywhere() {
    for address: UInt32 in [0xC000_0000, 0xE800_0000, 0xE800_0001, 0xFEC0_0003, 0xFED0_0000, 0xFFFF_FFF0] {
      // mov address, %al / %ax / %eax, and back.
      code += [0xA0] + bytes(address) + [0x66, 0xA1] + bytes(address) + [0xA1] + bytes(address)
      code += [0xA2] + bytes(address) + [0x66, 0xA3] + bytes(address) + [0xA3] + bytes(address)
    }
    for port: UInt16 in [0x20, 0x60, 0x71, 0x3F9, 0x500, 0x608, 0xCF8, 0xCFB, 0xCFE, 0xFFFF] {
      code += [0x66, 0xBA, UInt8(truncatingIfNeeded: port), UInt8(port >> 8)]
      // in to %al, %ax, %eax; out of %ax, %eax, with zeros.
      code += [0xEC, 0x66, 0xED, 0xED, 0x31, 0xC0, 0x66, 0xEF, 0xEF]
    }
  }
}
