internal import Assembler

/// What is told to who profiles the machine.
extension CodeStore {
  /// What keeps a profile of this store, if one is wanted.
  package var profile: TranslationProfile? { options.profile }

  /// Bytes of generated code at most.
  package var arenaSize: Int { options.arenaSize }

  /// Which host registers hold guest registers, integers first, by name.
  package var pinnedRegisters: [(guest: UInt8, host: String)] {
    zip(architecture.pins, HostRegisters.pins).map { ($0, "\($1)") }
      + zip(architecture.floatPins, HostRegisters.floatPins).map { ($0, "\($1)") }
  }

  /// All blocks that were ever translated, the hottest first; `listings` of them with their code.
  package func profiledBlocks(listings: Int) -> [ProfiledBlock] {
    locked { _ in
      options.profile?.blocks(arena: arena.executable + firstFree, listings: listings, describe: describe)
        ?? []
    }
  }

  /// Tells the profile of a block that was just made, on the page at `page`, or on two.
  func noteTranslation(
    _ found: Found, _ pc: UInt64, _ key: UInt64, page: UnsafeRawPointer?, _ state: borrowing State
  ) {
    guard let profile = options.profile, case .code(let code, _) = found, let made = state.generator.profile
    else { return }
    let entry = code - (arena.executable + firstFree)
    profile.add(
      address: pc, key: key, code: entry..<state.generator.assembler.offset, marks: made, page: page,
      arena: arena.executable + firstFree)
  }

  /// Names the fixed pieces of generated code.
  func nameFixedCode(size: Int) {
    options.profile?.addFixed("volary:between-blocks", address: arena.executable, size: size)
  }

  /// What is at a distance from where blocks begin in the arena: a fixed piece of code.
  func describe(_ offset: Int) -> String? {
    let address = UInt64(UInt(bitPattern: arena.executable + firstFree)) &+ UInt64(bitPattern: Int64(offset))
    return thunks.plain.name(of: address) ?? thunks.float.name(of: address)
  }
}
