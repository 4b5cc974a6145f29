package import GuestMemory
internal import Synchronization

/// What an access wants to do with a page.
package enum AccessKind: UInt8, Sendable {
  case read, write, execute

  /// The exception when the page table forbids it.
  package var pageFault: UInt64 {
    switch self {
    case .read: Trap.Cause.loadPageFault
    case .write: Trap.Cause.storePageFault
    case .execute: Trap.Cause.instructionPageFault
    }
  }

  /// The exception when nothing can be accessed there.
  package var accessFault: UInt64 {
    switch self {
    case .read: Trap.Cause.loadAccessFault
    case .write: Trap.Cause.storeAccessFault
    case .execute: Trap.Cause.instructionAccessFault
    }
  }
}

/// Address translation by page tables (RISC-V Privileged Architecture, chapters 12.3 to 12.6, with
/// Svadu, Svnapot and Svpbmt). Invalid entries are never remembered, as Svvptc promises.
package enum PageWalk {
  /// satp's MODE field for each number of levels.
  package enum Mode {
    package static let bare: UInt64 = 0
    package static let sv39: UInt64 = 8
    package static let sv48: UInt64 = 9
    package static let sv57: UInt64 = 10
  }

  /// Bits of a page table entry.
  enum Entry {
    static let valid: UInt64 = 1 << 0
    static let readable: UInt64 = 1 << 1
    static let writable: UInt64 = 1 << 2
    static let executable: UInt64 = 1 << 3
    static let user: UInt64 = 1 << 4
    static let global: UInt64 = 1 << 5
    static let accessed: UInt64 = 1 << 6
    static let dirty: UInt64 = 1 << 7
    /// Bits that must be zero in every entry; bits 61 to 63 are PBMT and N.
    static let reserved: UInt64 = 0x7F << 54
  }

  /// Where an address leads.
  package struct Result {
    /// The guest-physical address of the 4 KiB page.
    package let page: UInt64
    /// Bytes that the entry maps, of which the page is a part.
    package let size: UInt64
    /// Whether the entry's dirty bit is set, so that writes need not come here again.
    package let dirty: Bool
    /// Whether the page is in all address spaces.
    package let isGlobal: Bool
  }

  /// Finds the page of `address` for `kind` at a privilege, setting accessed and dirty bits as the
  /// hardware does. Throws the page fault, or the access fault when a table lies outside RAM.
  package static func find(
    _ address: UInt64, _ kind: AccessKind, state: HartState, privilege: Privilege, memory: GuestMemory
  ) throws(Trap) -> Result {
    let mode = state.translation >> 60
    guard mode != Mode.bare else {
      return Result(page: address & ~0xFFF, size: 4096, dirty: true, isGlobal: false)
    }
    let fault = Trap(cause: kind.pageFault, value: address)
    let levels = Int(mode) - 5
    let bits = 12 + 9 * levels
    let signed = Int64(bitPattern: address) >> Int64(bits - 1)
    guard signed == 0 || signed == -1 else { throw fault }

    var table = (state.translation & 0xFFF_FFFF_FFFF) << 12
    var level = levels - 1
    var isGlobal = false
    while true {
      let slot = table + ((address >> UInt64(12 + 9 * level)) & 0x1FF) * 8
      guard let host = memory.host(of: slot, count: 8) else {
        throw Trap(cause: kind.accessFault, value: address)
      }
      let cell = host.assumingMemoryBound(to: Atomic<UInt64>.self)
      let entry = cell.pointee.load(ordering: .acquiring)
      isGlobal = isGlobal || entry & Entry.global != 0
      let isLeaf = entry & (Entry.readable | Entry.executable) != 0
      guard entry & Entry.valid != 0, entry & Entry.reserved == 0,
        entry & (Entry.readable | Entry.writable) != Entry.writable
      else { throw fault }
      if !isLeaf {
        guard level > 0, entry & (Entry.user | Entry.accessed | Entry.dirty) == 0, entry >> 61 == 0
        else { throw fault }
        table = ((entry >> 10) & 0xFFF_FFFF_FFFF) << 12
        level -= 1
        continue
      }
      guard permits(entry, kind, state: state, privilege: privilege) else { throw fault }
      guard let frame = frame(of: entry, address: address, level: level) else { throw fault }
      let wanted = entry | Entry.accessed | (kind == .write ? Entry.dirty : 0)
      if wanted != entry {
        memory.own(at: slot, count: 8)
        let (exchanged, _) = cell.pointee.compareExchange(
          expected: entry, desired: wanted, ordering: .acquiringAndReleasing)
        if !exchanged { continue }  // someone changed the entry: look again
        memory.reportWrite(at: slot, count: 8)
      }
      let size: UInt64 = entry >> 63 != 0 ? 1 << 16 : 1 << UInt64(12 + 9 * level)
      return Result(page: frame << 12, size: size, dirty: wanted & Entry.dirty != 0, isGlobal: isGlobal)
    }
  }

  private static func permits(
    _ entry: UInt64, _ kind: AccessKind, state: HartState, privilege: Privilege
  ) -> Bool {
    let isUserPage = entry & Entry.user != 0
    switch privilege {
    case .user: if !isUserPage { return false }
    case .supervisor:
      if isUserPage, kind == .execute || state.status & Status.permitUserMemory == 0 { return false }
    }
    switch kind {
    case .read:
      return entry & Entry.readable != 0
        || (state.status & Status.makeExecutableReadable != 0 && entry & Entry.executable != 0)
    case .write: return entry & Entry.writable != 0
    case .execute: return entry & Entry.executable != 0
    }
  }

  /// The 4 KiB frame number, or nil for a misaligned superpage, a reserved memory type or a
  /// contiguous-page encoding that does not exist.
  static func frame(of entry: UInt64, address: UInt64, level: Int) -> UInt64? {
    guard (entry >> 61) & 3 != 3 else { return nil }
    var frame = (entry >> 10) & 0xFFF_FFFF_FFFF
    var low = UInt64(9 * level)
    if entry >> 63 != 0 {
      guard level == 0, frame & 0xF == 8 else { return nil }
      frame &= ~0xF
      low = 4
    }
    let mask = (UInt64(1) << low) - 1
    guard frame & mask == 0 else { return nil }
    return frame | ((address >> 12) & mask)
  }
}
