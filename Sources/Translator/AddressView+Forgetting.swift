/// What a view forgets when guests change what their addresses mean, or their code.
extension AddressView {
  // MARK: - Notes

  /// Notes that what is entered for `address` next is not in all address spaces: ``clearLocal()`` forgets it.
  @inlinable package func noteLocalPage(_ address: UInt64) {
    locals.note(Self.entryOffset(address) >> 4)
  }

  /// Notes that code entered for some address next is not in all address spaces.
  @inlinable package func noteLocalCode() {
    base.storeBytes(of: 1, toByteOffset: Self.localCodeFlag, as: UInt64.self)
  }

  @inlinable var locals: TouchLog { TouchLog(base: base + Self.localLog) }

  /// Whether it knows of a page, or code, that one address space alone has.
  package var hasLocals: Bool { !locals.isEmpty || hasLocalCode }

  private var hasLocalCode: Bool { base.load(fromByteOffset: Self.localCodeFlag, as: UInt64.self) != 0 }

  /// Whether a page that has been entered may be a part of a large one, of which `address` is another.
  package func mayBeLarge(_ address: UInt64) -> Bool {
    base.load(fromByteOffset: Self.hugePageBits + 8, as: UInt64.self) != 0
      || extent(around: address) > 1 << Self.pageShift
  }

  /// The bytes around `address` that a large page may cover; 4 KiB if there is none.
  private func extent(around address: UInt64) -> UInt64 {
    let huge = (base + Self.hugePageBits).load(as: UInt64.self)
    if huge & (1 << Self.hugeBit(address)) != 0 { return 1 << 30 }
    let bit = Self.largeBit(address)
    let large = (base + Self.largePageBits + Int(bit >> 6) * 8).load(as: UInt64.self)
    return large & (1 << (bit & 63)) != 0 ? 1 << 21 : 1 << Self.pageShift
  }

  // MARK: - A page

  /// Forgets all that is known of one guest page, and of the large page that it may be part of; with `keepsGlobal`
  /// perhaps not what is in all address spaces.
  package func drop(_ address: UInt64, keepsGlobal: Bool = false) {
    if base.load(fromByteOffset: Self.hugePageBits + 8, as: UInt64.self) != 0 { return clear() }
    drop(table: Self.readTable, address)
    drop(table: Self.writeTable, address)
    if !keepsGlobal || hasLocalCode { dropCode(at: address) }
    let extent = extent(around: address)
    if extent > 1 << Self.pageShift { dropAll(around: address, size: extent) }
  }

  /// Forgets what is known of the code on a guest page.
  private func dropCode(at address: UInt64) {
    guard knowsCode(at: address) else { return }
    let offset = Int(Self.pageIdentityOffset(address))
    // Other pages had this place too, and their code is only known by it.
    let isShared =
      base.load(fromByteOffset: offset + Self.identityCount * 4, as: UInt32.self) == Self.sharedTag
    let compared = isShared ? UInt64(Self.identityCount - 1) << Self.pageShift : ~0xFFF
    base.storeBytes(of: 0, toByteOffset: offset, as: UInt32.self)
    func visit(_ place: Int) {
      let entry = base + Self.jumpTable + place * 16
      if (entry.load(as: UInt64.self) ^ address) & compared == 0 { emptyJump(place) }
    }
    if !jumps.forEach(visit) {
      for place in 0..<Self.jumpEntryCount { visit(place) }
    }
  }

  /// Whether the jump cache or the table of identities may know code on a guest page.
  private func knowsCode(at address: UInt64) -> Bool {
    guard pageIdentity(address) != 0 else { return false }
    let tag = base.load(
      fromByteOffset: Int(Self.pageIdentityOffset(address)) + Self.identityCount * 4, as: UInt32.self)
    return tag == Self.identityTag(address) || tag == Self.sharedTag
  }

  /// Forgets all that is known of the guest pages in `size` bytes around `address`.
  private func dropAll(around address: UInt64, size: UInt64) {
    for table in [Self.readTable, Self.writeTable] {
      for offset in stride(from: 0, to: Self.entryCount * 16, by: 16) {
        let entry = base + table + offset
        if (entry.load(as: UInt64.self) ^ address) & ~(size - 1) == 0 {
          entry.storeBytes(of: Self.emptyTag(offset), as: UInt64.self)
        }
      }
    }
    let start = address & ~(size - 1)
    for page in 0..<Int(size >> Self.pageShift) where knowsCode(at: start &+ UInt64(page) << Self.pageShift) {
      return clearCode()
    }
  }

  // MARK: - Code

  /// Forgets where jumps to some addresses, each with its block key, lead.
  package func dropJumps(to starts: [UInt64]) {
    guard !jumps.isEmpty else { return }
    for start in starts {
      let offset = Self.jumpOffset(start & ~1)
      let entry = base + Self.jumpTable + offset
      if entry.load(as: UInt64.self) == start { emptyJump(offset >> 4) }
    }
  }

  /// Empties a place of the jump cache.
  private func emptyJump(_ place: Int) {
    let entry = base + Self.jumpTable + place * 16
    // No address that is looked up at an entry has this tag.
    entry.storeBytes(of: place == 0 ? 3 : 0, as: UInt64.self)
    entry.storeBytes(of: missTarget, toByteOffset: 8, as: UnsafeRawPointer.self)
  }

  /// Forgets where every jump leads.
  package func clearJumps() {
    if !jumps.forEach({ emptyJump($0) }) {
      for place in 0..<Self.jumpEntryCount { emptyJump(place) }
    }
    jumps.forget()
  }

  /// Forgets all that is derived from translated code.
  package func clearCode() {
    let table = base + Self.pageIdentityTable
    if !identities.forEach({ table.storeBytes(of: 0, toByteOffset: $0 * 4, as: UInt32.self) }) {
      table.initializeMemory(as: UInt8.self, repeating: 0, count: Self.identityCount * 4)
    }
    identities.forget()
    clearJumps()
    base.storeBytes(of: 0, toByteOffset: Self.localCodeFlag, as: UInt64.self)
  }

  // MARK: - Everything

  /// Forgets all of data that is not in every address space.
  package func clearLocalData() {
    guard !locals.isEmpty else { return }
    let isKnown = locals.forEach { place in
      let offset = place << 4
      let tag = Self.emptyTag(offset)
      (base + Self.readTable + offset).storeBytes(of: tag, as: UInt64.self)
      (base + Self.writeTable + offset).storeBytes(of: tag, as: UInt64.self)
    }
    guard isKnown else { return clearData() }
    locals.forget()
    if base.load(fromByteOffset: Self.hasGlobalLargePages, as: UInt64.self) == 0 { clearLargePageBits() }
  }

  /// Forgets all that is not in every address space.
  package func clearLocal() {
    clearLocalData()
    if hasLocalCode { clearCode() }
  }

  /// Forgets all of data.
  package func clearData() {
    (base + Self.readTable).initializeMemory(as: UInt8.self, repeating: 0, count: Self.largePageBits)
    clearLargePageBits()
    base.storeBytes(of: 0x1000, toByteOffset: Self.readTable, as: UInt64.self)
    base.storeBytes(of: 0x1000, toByteOffset: Self.writeTable, as: UInt64.self)
    locals.forget()
  }

  /// Forgets what may be written.
  package func clearWrites() {
    (base + Self.writeTable).initializeMemory(as: UInt8.self, repeating: 0, count: Self.entryCount * 16)
    base.storeBytes(of: Self.emptyTag(0), toByteOffset: Self.writeTable, as: UInt64.self)
  }

  private func clearLargePageBits() {
    (base + Self.largePageBits).initializeMemory(
      as: UInt8.self, repeating: 0, count: Self.localLog - Self.largePageBits)
  }

  /// Forgets everything.
  package func clear() {
    clearData()
    clearCode()
  }
}
