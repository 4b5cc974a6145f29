internal import Assembler

/// Code of a page that is seen at several guest addresses: translated once, then copied.
extension CodeStore {
  /// What the table of originals calls the block that begins at a place of a page.
  private static func originalKey(_ number: Int, _ slot: UInt16, _ mode: UInt64) -> UInt64 {
    (UInt64(truncatingIfNeeded: number) &+ 1) &<< 24 | mode &<< 12 | UInt64(slot)
  }

  /// Whether the code at a guest address on page `number` of the memory file was translated for some address. Takes
  /// no lock.
  @inline(__always)
  package func hasOriginal(_ pc: UInt64, number: Int, key: UInt64, mode: UInt64) -> Bool {
    CodeGenerator.movableAddresses.contains(pc)
      && originals[Self.originalKey(number, CodeIndex.slot(pc, key), mode)] != 0
  }

  /// Notes the block that was just translated, of the page at `page` among the pages, if it can be copied. `faultCount`
  /// of the accesses that may fault are its own.
  func addOriginal(
    _ pc: UInt64, key: UInt64, mode: UInt64, page: Int, sites: Range<Int>, faultCount: Int,
    _ state: inout State
  ) {
    let count = state.generator.relocations.count
    guard state.generator.isMovable, options.copies, state.originalBlocks.hasRoom(for: 1),
      state.relocations.hasRoom(for: count)
    else { return }
    let start = state.generator.entry
    let place = state.originalBlocks.append(
      BlockOriginal(
        pc: pc, start: Int32(start), size: Int32(state.generator.assembler.offset - start),
        firstSite: Int32(sites.lowerBound), siteCount: Int32(sites.count),
        firstRelocation: Int32(state.relocations.count), relocationCount: Int32(count),
        firstFault: Int32(faults.count - faultCount), faultCount: Int32(faultCount)))
    for relocation in state.generator.relocations { _ = state.relocations.append(relocation) }
    let name = Self.originalKey(state.pages[page].number, CodeIndex.slot(pc, key), mode)
    _ = state.originals.set(name, to: UInt64(place + 1))
  }

  /// Copies the block at a guest address from where it was translated for another address; nil if it was not.
  func copy(_ pc: UInt64, key: UInt64, mode: UInt64, page: Int, _ state: inout State) -> Found? {
    guard CodeGenerator.movableAddresses.contains(pc) else { return nil }
    let name = Self.originalKey(state.pages[page].number, CodeIndex.slot(pc, key), mode)
    let place = originals[name]
    guard place != 0 else { return nil }
    let original = state.originalBlocks[Int(place) - 1]
    guard state.blocks.hasRoom(for: 1), state.sites.hasRoom(for: Int(original.siteCount)) else {
      return .full
    }
    let identity = index.pointee.firstIdentity &+ UInt32(page)
    let before = state.generator.assembler.offset
    let entry = state.generator.copy(
      original, code: arena.executable + firstFree + Int(original.start), distance: pc &- original.pc,
      pageIdentity: identity, relocations: state.relocations.elements + Int(original.firstRelocation),
      exits: sites + Int(original.firstSite - 1), sites: (state.sites.end, state.sites.count + 1))
    guard !state.generator.failed,
      faults.repeat(
        Int(original.firstFault), count: Int(original.faultCount), distance: entry - Int(original.start))
    else {
      state.generator.assembler.rewind(to: before)
      return .full
    }
    state.statistics.copies += 1
    return enter(
      pc, key: key, page: page, entry: entry, siteCount: Int(original.siteCount), before: before, &state)
  }

  /// Forgets the original of a block that is dropped.
  func dropOriginal(_ block: TranslatedBlock, _ state: inout State) {
    let page = state.pages[Int(block.page)]
    let name = Self.originalKey(page.number, block.slot, page.address & 0xFFF)
    if originals[name] != 0 { _ = state.originals.set(name, to: 0) }
  }
}
