/// The names of control and status registers, for disassembly (privileged specification, "CSR
/// Listing").
package enum ControlRegisterName {
  /// A register's name, or its number in hexadecimal.
  package static func text(_ number: UInt32) -> String {
    names[number] ?? "0x" + String(number, radix: 16)
  }

  private static let names: [UInt32: String] = {
    var names: [UInt32: String] = [
      0x001: "fflags", 0x002: "frm", 0x003: "fcsr",
      0xC00: "cycle", 0xC01: "time", 0xC02: "instret",

      0x100: "sstatus", 0x104: "sie", 0x105: "stvec", 0x106: "scounteren", 0x10A: "senvcfg",
      0x140: "sscratch", 0x141: "sepc", 0x142: "scause", 0x143: "stval", 0x144: "sip",
      0x14D: "stimecmp", 0x180: "satp", 0x5A8: "scontext", 0xDA0: "scountovf",

      0xF11: "mvendorid", 0xF12: "marchid", 0xF13: "mimpid", 0xF14: "mhartid", 0xF15: "mconfigptr",
      0x300: "mstatus", 0x301: "misa", 0x302: "medeleg", 0x303: "mideleg", 0x304: "mie",
      0x305: "mtvec", 0x306: "mcounteren", 0x30A: "menvcfg",
      0x340: "mscratch", 0x341: "mepc", 0x342: "mcause", 0x343: "mtval", 0x344: "mip",
      0x320: "mcountinhibit", 0xB00: "mcycle", 0xB02: "minstret",
    ]
    for counter in 3...31 as ClosedRange<UInt32> {
      names[0xC00 + counter] = "hpmcounter\(counter)"
      names[0xB00 + counter] = "mhpmcounter\(counter)"
      names[0x320 + counter] = "mhpmevent\(counter)"
    }
    for entry in 0..<64 as Range<UInt32> { names[0x3B0 + entry] = "pmpaddr\(entry)" }
    // The configurations of eight entries share a register; odd numbers are of 32-bit harts.
    for group in 0..<8 as Range<UInt32> { names[0x3A0 + 2 * group] = "pmpcfg\(2 * group)" }
    return names
  }()
}
