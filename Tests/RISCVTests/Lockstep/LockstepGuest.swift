import RISCV

/// The surroundings of a random program: where things are, its page tables, its trap handler, and how it
/// starts.
///
/// Virtual addresses, the same in all address spaces:
/// | | |
/// | --- | --- |
/// | 0x4000_0000 | the code, for user mode: readable, writable and executable |
/// | 0x4020_0000 | the code, for supervisor mode |
/// | 0x4040_0000 | data pages of all kinds, other permissions in each address space |
/// | 0x4060_0000 | a page of 2 MiB |
/// | 0x4080_0000 | a contiguous run of 64 KiB (Svnapot) |
/// | 0x2_4000_0000, ... | all of the above again (``aliases``) |
/// | 0x8000_0000 | all of memory at its physical addresses, one page of 1 GiB, for supervisor mode |
enum LockstepGuest {
  static let memoryBase: UInt64 = 0x8000_0000
  static let memorySize = 8 << 20
  static let device: UInt64 = 0x1000_0000

  // Physical addresses.
  static let handler = memoryBase
  static let start = memoryBase + 0x800
  static let scratch = memoryBase + 0x1000
  static let parameters = memoryBase + 0x2000
  static let tables = memoryBase + 0x10_0000
  static let code = memoryBase + 0x2_0000
  /// The same code with other instructions here and there.
  static let twin = memoryBase + 0x3_0000
  static let data = memoryBase + 0x4_0000
  static let large: [UInt64] = [memoryBase + 0x20_0000, memoryBase + 0x40_0000]
  static let contiguous: [UInt64] = [memoryBase + 0x60_0000, memoryBase + 0x61_0000]
  static let codePages = 4
  static let dataPages = 16

  // Virtual addresses.
  static let userCode: UInt64 = 0x4000_0000
  static let supervisorCode: UInt64 = 0x4020_0000
  static let dataWindow: UInt64 = 0x4040_0000
  static let largeWindow: UInt64 = 0x4060_0000
  static let contiguousWindow: UInt64 = 0x4080_0000
  static let windowMask: UInt64 = 0xFFFF
  /// The GiB that show what the second one shows.
  static let aliases: Range<UInt64> = 9..<17

  // MARK: - Page tables

  enum Entry {
    static let valid: UInt64 = 1
    static let read: UInt64 = 2
    static let write: UInt64 = 4
    static let execute: UInt64 = 8
    static let user: UInt64 = 16
    static let global: UInt64 = 32
    static let accessed: UInt64 = 64
    static let used: UInt64 = accessed | 128
    static let all = valid | read | write | execute
  }

  /// The tables of one address space, in the order of their pages.
  enum Table: Int, CaseIterable { case root, middle, userCode, supervisorCode, data, contiguous }

  static func table(_ table: Table, space: Int) -> UInt64 {
    tables + UInt64(space * Table.allCases.count + table.rawValue) << 12
  }

  /// Whether a page is a table of pages that are fetched from.
  static func isCodeTable(_ address: UInt64) -> Bool {
    (0..<spaces).contains {
      [table(.userCode, space: $0), table(.supervisorCode, space: $0)].contains(address)
    }
  }

  /// More address spaces, with the privileges and permissions they are seen with, than a hart has views.
  static let spaces = 6
  static func asid(_ space: Int) -> UInt64 { [0x11, 0xFFFE, 0, 1, 2, 0x8000][space] }
  static func satp(_ space: Int) -> UInt64 { 8 << 60 | asid(space) << 44 | table(.root, space: space) >> 12 }

  static func leaf(_ physical: UInt64, _ bits: UInt64) -> UInt64 {
    (physical >> 12) << 10 | bits | Entry.valid
  }

  static func pointer(_ table: Table, space: Int) -> UInt64 { leaf(self.table(table, space: space), 0) }

  /// What the data pages allow, in one address space.
  static func dataEntry(_ page: Int, space: Int, _ dice: inout LockstepDice) -> UInt64 {
    // The other spaces show the pages in another order.
    let physical = data + UInt64(space == 0 ? page : page ^ (space + 4)) << 12
    switch page {
    case 13: return 0
    case 14: return leaf(device, Entry.read | Entry.write | Entry.user | Entry.used)
    case 11: return leaf(physical, Entry.read | Entry.user)
    case 12: return leaf(physical, Entry.execute | Entry.user)
    case 10: return leaf(physical, Entry.read | Entry.write)
    default:
      let used: UInt64 = dice.chance(50) ? Entry.used : dice.chance(50) ? 64 : 0
      return leaf(physical, Entry.read | Entry.write | Entry.user | used)
    }
  }

  static func contiguousEntry(_ target: UInt64) -> UInt64 {
    // N, and the size in the low bits of the frame number.
    1 << 63 | leaf(target | 0x8000, Entry.read | Entry.write | Entry.user)
  }

  /// All tables of all spaces, by physical address.
  static func pageTables(_ dice: inout LockstepDice, writableCode: Bool = true) -> [UInt64: [UInt64]] {
    let code = writableCode ? Entry.all : Entry.all & ~Entry.write
    var pages: [UInt64: [UInt64]] = [:]
    func set(_ table: Table, _ space: Int, _ index: Int, _ entry: UInt64) {
      pages[self.table(table, space: space), default: [UInt64](repeating: 0, count: 512)][index] = entry
    }
    for space in 0..<spaces {
      for place in [1] + Array(aliases) { set(.root, space, Int(place), pointer(.middle, space: space)) }
      set(.root, space, 2, leaf(memoryBase, Entry.all | Entry.global | Entry.used))
      set(.middle, space, 0, pointer(.userCode, space: space))
      set(.middle, space, 1, pointer(.supervisorCode, space: space))
      set(.middle, space, 2, pointer(.data, space: space))
      set(.middle, space, 3, leaf(large[space & 1], Entry.read | Entry.write | Entry.user))
      set(.middle, space, 4, pointer(.contiguous, space: space))
      for page in 0..<codePages {
        let physical = Self.code + UInt64(page) << 12
        set(.userCode, space, page, leaf(physical, code | Entry.user | (dice.chance(50) ? Entry.used : 0)))
        set(.supervisorCode, space, page, leaf(physical, code))
      }
      for page in 0..<dataPages { set(.data, space, page, dataEntry(page, space: space, &dice)) }
      for page in 0..<16 { set(.contiguous, space, page, contiguousEntry(contiguous[space & 1])) }
    }
    return pages
  }

  // MARK: - Code around the program

  /// Steps over what traps; lets a user-mode ECALL go on in supervisor mode; goes back to the first address
  /// space when an instruction cannot be fetched; puts interrupts out.
  static let handlerCode: [UInt8] = {
    var c = LockstepCode(base: handler)
    let (interrupt, call, refetch, long, out) = (
      c.newLabel(), c.newLabel(), c.newLabel(), c.newLabel(), c.newLabel()
    )
    c.csrrw(5, 0x140, 5)
    c.sd(6, 5, 0)
    c.sd(7, 5, 8)
    c.sd(28, 5, 16)
    c.csrrs(6, 0x142, 0)
    c.branch(.less, 6, 0, to: interrupt)
    c.li(7, 8)
    c.branch(.equal, 6, 7, to: call)
    c.li(7, 12)
    c.branch(.equal, 6, 7, to: refetch)
    c.li(7, 1)
    c.branch(.equal, 6, 7, to: refetch)
    // How long is the instruction?
    c.csrrs(6, 0x141, 0)
    c.li(7, windowMask)
    c.and(7, 6, 7)
    c.li(28, code)
    c.add(7, 7, 28)
    c.lhu(7, 7)
    c.andi(7, 7, 3)
    c.li(28, 3)
    c.branch(.equal, 7, 28, to: long)
    c.addi(6, 6, -2)
    c.bind(long)
    c.addi(6, 6, 4)
    c.csrrw(0, 0x141, 6)
    c.bind(out)
    c.ld(6, 5, 0)
    c.ld(7, 5, 8)
    c.ld(28, 5, 16)
    c.csrrw(5, 0x140, 5)
    c.sret()
    c.bind(call)
    c.csrrs(6, 0x141, 0)
    c.li(7, supervisorCode - userCode + 4)
    c.add(6, 6, 7)
    c.csrrw(0, 0x141, 6)
    c.li(7, 0x100)
    c.csrrs(0, 0x100, 7)
    c.jump(to: out)
    c.bind(refetch)
    c.ld(7, 5, 24)
    c.csrrw(0, 0x180, 7)
    c.sfenceVMA()
    c.jump(to: out)
    c.bind(interrupt)
    c.li(7, .max)
    c.csrrw(0, 0x14D, 7)
    c.csrrci(0, 0x144, 2)
    c.jump(to: out)
    return c.finished()
  }()

  /// Takes all state from the parameters and goes to the program.
  static let startCode: [UInt8] = {
    var c = LockstepCode(base: start)
    c.li(31, parameters)
    c.ld(5, 31, 0)
    c.csrrw(0, 0x180, 5)
    c.ld(5, 31, 8)
    c.csrrw(0, 0x105, 5)
    c.ld(5, 31, 16)
    c.csrrw(0, 0x140, 5)
    c.ld(5, 31, 24)
    c.csrrw(0, 0x100, 5)
    c.ld(5, 31, 32)
    c.csrrw(0, 0x141, 5)
    c.ld(5, 31, 40)
    c.csrrw(0, 0x104, 5)
    c.ld(5, 31, 48)
    c.csrrw(0, 0x003, 5)
    c.li(5, 7)
    c.csrrw(0, 0x106, 5)
    for register in 0..<32 as Range<UInt32> { c.fld(register, 31, 512 + Int32(register) * 8) }
    for register in 1..<32 as Range<UInt32> { c.ld(register, 31, 256 + Int32(register) * 8) }
    c.sret()
    return c.finished()
  }()
}
