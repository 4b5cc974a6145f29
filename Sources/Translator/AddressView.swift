/// One way of seeing guest memory: an address space at one privilege, as tables that generated code
/// looks into.
///
/// A CPU keeps several views and switches by changing a pointer, so that changing privilege or
/// address space flushes nothing. Each table is direct-mapped by the page number's low bits:
/// - reads and writes: sixteen bytes an entry, the guest page's address and what to add to a guest
///   address to get the host's. An access hits if `(entry ^ address) <= 4096 - size`, which also
///   sends an access that crosses the page's end to the slow path.
/// - a jump cache from guest address (and block key) to translated code;
/// - the identity of the code page mapped at a guest page, which guards direct jumps across pages.
///
/// Tables hold pages of 4 KiB. Of larger ones only the parts that were used are in them; two sets of bits
/// note where there are some, because whatever forgets one address of a large page forgets all of it.
/// What was entered and where is noted, as far as it has to be forgotten often: forgetting costs by what there
/// is, not by the size of the tables.
///
/// A write entry exists only while the page is marked dirty in the guest's page table and holds no
/// translated code, so that neither needs a check on the way.
@usableFromInline
package struct AddressView: @unchecked Sendable {  // memory of one CPU, touched by its thread alone
  @inlinable package static var entryCount: Int { 2048 }
  @inlinable package static var pageShift: UInt64 { 12 }

  // A view is two parts of whole host pages. What is known of data comes first; then what is known of code, which
  // views that fetch alike may share (they map the same memory there).

  /// Byte offsets of the tables.
  @inlinable package static var readTable: Int { 0 }
  @inlinable package static var writeTable: Int { entryCount * 16 }
  /// A bit for every 2 MiB, by address modulo 2 GiB and its uppermost bit, that may hold parts of pages of up
  /// to 2 MiB; then a word with a bit for every GiB, modulo 32 GiB and its uppermost bit, that may hold parts
  /// of larger ones; then a word that is not zero when there were pages larger still.
  @inlinable package static var largePageBits: Int { entryCount * 32 }
  @inlinable package static var hugePageBits: Int { largePageBits + 256 }
  /// A word that is not zero when some of those are in all address spaces.
  @inlinable package static var hasGlobalLargePages: Int { hugePageBits + 16 }
  /// The places of pages that one address space alone has (``TouchLog``).
  @inlinable package static var localLog: Int { hugePageBits + 64 }
  /// Bytes of the part about data.
  @inlinable package static var dataSize: Int { largePageBits + 4096 }

  @inlinable package static var jumpTable: Int { dataSize }
  @inlinable package static var jumpEntryCount: Int { 4096 }
  @inlinable package static var pageIdentityTable: Int { jumpTable + jumpEntryCount * 16 }
  /// More than of the others: a direct jump to a page whose place another has must ask the dispatcher each time, and
  /// a kernel's code has 16 MiB.
  @inlinable package static var identityCount: Int { 8192 }
  /// The upper bits of the page that an identity is known for, 32 bits each.
  @inlinable package static var identityTagTable: Int { pageIdentityTable + identityCount * 4 }
  /// A word that is not zero when there is code of pages that one address space alone has.
  @inlinable static var localCodeFlag: Int { identityTagTable + identityCount * 4 }
  /// The entries of the jump cache in use (``TouchLog``).
  @inlinable package static var jumpLog: Int { localCodeFlag + 64 }
  /// The places of identities that are known (``TouchLog``).
  @inlinable package static var identityLog: Int { localCodeFlag + 4096 }
  /// Bytes of the part about code.
  @inlinable package static var codeSize: Int { localCodeFlag + 8192 - dataSize }
  /// Bytes of a view.
  @inlinable package static var size: Int { dataSize + codeSize }

  @usableFromInline package let base: UnsafeMutableRawPointer
  /// Where an unknown jump leads: the code that asks the dispatcher. Empty entries of the jump cache
  /// hold it.
  @usableFromInline package let missTarget: UnsafeRawPointer

  /// `base`: ``size`` bytes, zero at first, eight-byte aligned. ``clear()`` makes them a view.
  @inlinable package init(base: UnsafeMutableRawPointer, missTarget: UnsafeRawPointer) {
    self.base = base
    self.missTarget = missTarget
  }

  @inlinable package static func entryOffset(_ address: UInt64) -> Int {
    Int(truncatingIfNeeded: (address &>> (pageShift - 4)) & UInt64((entryCount - 1) << 4))
  }

  /// The host address for an access of `size` bytes, or nil when the table does not know.
  @inlinable @inline(__always)
  package func hit(table: Int, _ address: UInt64, size: UInt64) -> UnsafeMutableRawPointer? {
    let entry = base + table + Self.entryOffset(address)
    let page = entry.load(as: UInt64.self)
    guard page ^ address <= 4096 &- size else { return nil }
    let addend = entry.load(fromByteOffset: 8, as: UInt64.self)
    return UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: address &+ addend))
  }

  /// Enters the guest page of `address`, found at host address `host` (of the page's first byte).
  @inlinable package func fill(table: Int, _ address: UInt64, host: UnsafeMutableRawPointer) {
    let entry = base + table + Self.entryOffset(address)
    let page = address & ~0xFFF
    entry.storeBytes(of: page, as: UInt64.self)
    entry.storeBytes(of: UInt64(UInt(bitPattern: host)) &- page, toByteOffset: 8, as: UInt64.self)
  }

  /// Forgets one page's entry in a table.
  @inlinable package func drop(table: Int, _ address: UInt64) {
    let offset = Self.entryOffset(address)
    let entry = base + table + offset
    if (entry.load(as: UInt64.self) ^ address) >> Self.pageShift == 0 {
      entry.storeBytes(of: Self.emptyTag(offset), as: UInt64.self)
    }
  }

  /// Forgets every write entry that leads to the host page at `host`.
  package func dropWrites(toHostPage host: UnsafeMutableRawPointer) {
    for index in 0..<Self.entryCount { dropWrite(at: index * 16, toHostPage: host) }
  }

  /// Forgets the write entry at an offset in its table, if it leads to the host page at `host`.
  @inlinable package func dropWrite(at offset: Int, toHostPage host: UnsafeMutableRawPointer) {
    let entry = base + Self.writeTable + offset
    let page = entry.load(as: UInt64.self)
    if page &+ entry.load(fromByteOffset: 8, as: UInt64.self) == UInt64(UInt(bitPattern: host)) {
      entry.storeBytes(of: Self.emptyTag(offset), as: UInt64.self)
    }
  }

  /// A page address that no address looked up at this entry can match.
  @inlinable package static func emptyTag(_ offset: Int) -> UInt64 { offset == 0 ? 0x1000 : 0 }

  // MARK: - Code

  /// An address's place in the jump cache: its low bits, with those of its page mixed in, so that the functions
  /// of a large program do not meet at the same places.
  @inlinable package static func jumpOffset(_ pc: UInt64) -> Int {
    let low = UInt32(truncatingIfNeeded: pc)
    return Int((low &<< 3 ^ low &>> 9) & UInt32((jumpEntryCount - 1) << 4))
  }

  /// The code for a guest address under a block key (0 or 1), if the jump cache has it.
  @inlinable package func code(at pc: UInt64, key: UInt64) -> UnsafeRawPointer? {
    let entry = base + Self.jumpTable + Self.jumpOffset(pc)
    guard entry.load(as: UInt64.self) == pc | key else { return nil }
    return entry.load(fromByteOffset: 8, as: UnsafeRawPointer?.self)
  }

  @inlinable package func setCode(_ code: UnsafeRawPointer, at pc: UInt64, key: UInt64) {
    let offset = Self.jumpOffset(pc)
    let entry = base + Self.jumpTable + offset
    entry.storeBytes(of: pc | key, as: UInt64.self)
    entry.storeBytes(of: code, toByteOffset: 8, as: UnsafeRawPointer.self)
    jumps.note(offset >> 4)
  }

  @inlinable var jumps: TouchLog { TouchLog(base: base + Self.jumpLog) }
  @inlinable var identities: TouchLog { TouchLog(base: base + Self.identityLog) }

  /// The displacement from the view's base of a guest page's identity.
  @inlinable package static func pageIdentityOffset(_ address: UInt64) -> Int32 {
    Int32(truncatingIfNeeded: pageIdentityTable)
      + Int32(truncatingIfNeeded: (address &>> pageShift) & UInt64(identityCount - 1)) * 4
  }

  /// The identity of the code page that a guest page was last found to map; 0 for none.
  @inlinable package func pageIdentity(_ address: UInt64) -> UInt32 {
    base.load(fromByteOffset: Int(Self.pageIdentityOffset(address)), as: UInt32.self)
  }

  @inlinable package func setPageIdentity(_ identity: UInt32, _ address: UInt64) {
    let offset = Int(Self.pageIdentityOffset(address))
    let old = base.load(fromByteOffset: offset + Self.identityCount * 4, as: UInt32.self)
    let tag = Self.identityTag(address)
    let isNew = pageIdentity(address) == 0
    let isShared = !isNew && old != tag
    if isNew { identities.note((offset - Self.pageIdentityTable) >> 2) }
    base.storeBytes(of: identity, toByteOffset: offset, as: UInt32.self)
    base.storeBytes(
      of: isShared ? Self.sharedTag : tag, toByteOffset: offset + Self.identityCount * 4, as: UInt32.self)
  }

  /// The tag of a place that several pages had, so that the jump cache may know code of any.
  @inlinable static var sharedTag: UInt32 { .max }

  @inlinable static func identityTag(_ address: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: address &>> (pageShift + 13))
  }

  // MARK: - Large pages

  /// Notes that what is entered for `address` is part of a page of `size` bytes, more than 4 KiB.
  @inlinable package func noteLargePage(_ address: UInt64, size: UInt64, isGlobal: Bool) {
    if isGlobal { base.storeBytes(of: 1, toByteOffset: Self.hasGlobalLargePages, as: UInt64.self) }
    if size > 1 << 30 { base.storeBytes(of: 1, toByteOffset: Self.hugePageBits + 8, as: UInt64.self) }
    let isHuge = size > 1 << 21
    let bit = isHuge ? Self.hugeBit(address) : Self.largeBit(address)
    let word = base + (isHuge ? Self.hugePageBits : Self.largePageBits) + Int(bit >> 6) * 8
    word.storeBytes(of: word.load(as: UInt64.self) | 1 << (bit & 63), as: UInt64.self)
  }

  @inlinable static func largeBit(_ address: UInt64) -> UInt64 {
    (address >> 21) & 1023 | (address >> 63) << 10
  }
  @inlinable static func hugeBit(_ address: UInt64) -> UInt64 { (address >> 30) & 31 | (address >> 63) << 5 }
}
