internal import Assembler
internal import Synchronization

/// Taking translated code away.
extension CodeStore {
  /// Drops the blocks of a page of the memory file, because its bytes change. Other CPUs may still run
  /// them to their next exit; their jump caches are the caller's to clear: of the addresses that are
  /// returned, each with the block key, where there were blocks.
  @discardableResult
  package func invalidate(page number: Int, unmark: () -> Void) -> [UInt64] {
    locked { state in
      unmark()
      var starts: [UInt64] = []
      var page = Int(state.numbers.reader[UInt64(number) &+ 1])
      if page != 0 { state.statistics.invalidatedPages += 1 }
      while page != 0 {
        let there = state.pages[page - 1]
        var block = Int(there.firstBlock)
        while block != 0 {
          drop(block - 1, &state, &starts)
          block = Int(state.blocks[block - 1].next)
        }
        block = Int(there.firstCrossing)
        while block != 0 {
          drop(block - 1, &state, &starts)
          block = Int(state.blocks[block - 1].nextCrossing)
        }
        state.pages[page - 1].firstBlock = 0
        state.pages[page - 1].firstCrossing = 0
        page = Int(there.next)
      }
      return starts
    }
  }

  /// Makes a block one that is not found, and leads what jumps straight to it to the dispatcher. Notes its address,
  /// with the block key.
  private func drop(_ block: Int, _ state: inout State, _ starts: inout [UInt64]) {
    let dropped = state.blocks[block]
    // It crosses into another page, which went before.
    guard dropped.isLive else { return }
    state.blocks[block].isLive = false
    dropOriginal(dropped, &state)
    let page = Int(dropped.page)
    // It has the key, so that nothing grows.
    _ = state.table.set(CodeIndex.key(index.pointee.firstIdentity &+ UInt32(page), dropped.slot), to: 0)
    starts.append(state.pages[page].address & ~0xFFF | UInt64(dropped.slot))
    var site = Int(dropped.firstIncoming)
    while site != 0 {
      let exit = state.sites[site - 1]
      patch(
        exit,
        to: UInt64(UInt(bitPattern: arena.executable)) + UInt64(firstFree) + UInt64(exit.stub & .max))
      state.sites[site - 1].isLinked = false
      site = Int(exit.nextIncoming)
    }
  }

  /// Drops everything. No CPU may be in translated code or hold an address in it.
  package func removeAll() {
    locked { state in
      options.profile?.emptied(arena: arena.executable + firstFree, describe: describe)
      let used = state.generator.assembler.offset
      state.generator.assembler.rewind(to: 0)
      arena.discard(firstFree..<min(arena.size, firstFree + ((used + 4095) & ~4095)))
      index.pointee.firstIdentity &+= UInt32(state.pages.count)
      state.table.removeAll()
      state.numbers.removeAll()
      state.places.removeAll()
      faults.removeAll()
      state.pages.removeAll()
      state.blocks.removeAll()
      state.sites.removeAll()
      state.pool.removeAll()
      state.originals.removeAll()
      state.originalBlocks.removeAll()
      state.relocations.removeAll()
      state.released = 0
      state.statistics.emptied += 1
      emptied.add(1, ordering: .acquiringAndReleasing)
    }
  }
}
