internal import Assembler

/// Direct jumps between blocks.
extension CodeStore {
  /// Makes a site jump straight to the block at its target, which lies on the page with `identity`.
  /// Nothing happens if either has gone since, or another CPU changes the store at this moment: the next time that
  /// the site is left will do.
  package func link(_ site: Int, to code: UnsafeRawPointer, identity: UInt32, generation: UInt32) {
    guard options.links else { return }
    lockedIfFree { state in
      guard generation == self.generation else { return }
      let exit = state.sites[site - 1]
      if exit.isLinked { return }
      let value = state.table.reader[CodeIndex.key(identity, CodeIndex.slot(exit.target, exit.key))]
      guard value != 0, arena.executable + Int(value & 0xFFFF_FFFF) == code else { return }
      if exit.guardField == 0 {
        // Same page, so the same mapping: unless it was changed while the block ran.
        guard exit.page == identity else { return }
      } else {
        guard exit.guardIdentity == 0 || exit.guardIdentity == identity else { return }
        if exit.guardIdentity == 0 {
          state.sites[site - 1].guardIdentity = identity
          (arena.writable + firstFree + Int(exit.guardField)).storeBytes(of: identity, as: UInt32.self)
        }
      }
      let block = Int(value >> 32) - 1
      state.sites[site - 1].isLinked = true
      state.sites[site - 1].nextIncoming = state.blocks[block].firstIncoming
      state.blocks[block].firstIncoming = Int32(site)
      patch(exit, to: UInt64(UInt(bitPattern: code)))
      state.patches += 1
      releaseWritten(&state)
    }
  }

  func patch(_ exit: ExitSite, to target: UInt64) {
    _ = X86Assembler.patch(
      field: arena.writable + firstFree + Int(exit.field),
      executableField: UInt64(UInt(bitPattern: arena.executable)) + UInt64(firstFree) + UInt64(exit.field),
      target: target)
  }
}
