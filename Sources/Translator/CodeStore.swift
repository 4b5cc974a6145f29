internal import Assembler
package import HostSystem
internal import Synchronization

/// What the store needs to know of a guest architecture.
package struct GuestArchitecture: Sendable {
  /// Guest registers that deserve a host register, the most used first.
  package var pins: [UInt8]
  /// The same for floating-point registers. They are in host registers only in blocks that use floating
  /// point: those whose key has ``BlockKeyBit/usesFloat``.
  package var floatPins: [UInt8]
  /// Registers that calls leave the return address in: a jump that links to one is a call, a jump to one that
  /// links to none is a return.
  package var linkRegisters: [UInt8]
  /// Displacements in the context of the control registers that are plain fields, 64 bits each.
  package var controlFields: [Int32]
  /// The status register and what depends on it, when there is such a thing.
  package var status: StatusFields?
  /// Instructions in a block at most.
  package var blockLimit: Int

  package init(
    pins: [UInt8], floatPins: [UInt8] = [], linkRegisters: [UInt8] = [], controlFields: [Int32] = [],
    status: StatusFields? = nil, blockLimit: Int = 96
  ) {
    self.controlFields = controlFields
    self.status = status
    self.linkRegisters = linkRegisters
    self.pins = pins
    self.floatPins = floatPins
    self.blockLimit = blockLimit
  }
}

/// What a block key's bits mean to the translator.
package enum BlockKeyBit {
  /// The block uses floating point: the guest's registers and rounding mode are in the host's while it runs,
  /// and the mode is one that the host has. Without this bit floating-point arithmetic is called out for.
  package static let usesFloat: UInt64 = 1
  /// Not part of the key but of the mode: the block's loads and stores go through the CPU's ``AddressWindow``.
  package static let usesWindow: UInt64 = 8
}

/// Decodes guest code into blocks.
package protocol BlockLifter: AnyObject {
  /// Appends the instructions from a guest address to the end of their block: at most `room`, none
  /// beyond the page. `page` is the host address of the page. Returns how many; 0 if the first
  /// instruction cannot be taken from this page alone and must be interpreted.
  func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64, into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int
}

/// All translated code of a machine, shared by its CPUs: blocks by guest page, the links between
/// them, and the arena they live in.
///
/// Blocks are never moved and their memory is not reused until everything is dropped at once, so a CPU
/// that still runs a block whose guest code has changed does no harm: the change becomes visible when
/// it next looks a block up, which a guest that follows its architecture's rules waits for.
package final class CodeStore: @unchecked Sendable {  // everything mutable is under the lock
  package struct Options: Sendable {
    /// Bytes of generated code at most.
    package var arenaSize = 32 << 20
    /// Join blocks by direct jumps. Off, every block comes back to the dispatcher.
    package var links = true
    /// Count retired instructions, one by one.
    package var countsInstructions = false
    /// How often code is interpreted before it is translated. Most code of a booting system runs a few
    /// times only, and would fill the arena for nothing.
    package var coldRuns: UInt8 = 0
    /// The store is one CPU's alone: its atomic accesses need not lock anything.
    package var hasOneCPU = false
    package var features = HostFeatures.host
    /// What keeps a profile of this store, if one is wanted.
    package var profile: TranslationProfile?
    package init() {}
  }

  /// Counters for people.
  package struct Statistics: Sendable {
    package var blocks = 0
    package var instructions = 0
    package var codeBytes = 0
    package var emptied = 0
    package var invalidatedPages = 0
  }

  private struct State: ~Copyable {
    var generator: CodeGenerator
    /// What ``CodeIndex/blocks`` reads.
    var table: FlatTable
    /// The places of pages, plus 1, by their numbers in the memory file, plus 1; and by a hash of number and address
    /// (``pageHash(_:_:)``), of the pages that it is the same for the one that was made last.
    var numbers: FlatTable
    var places: FlatTable
    var pages: PlainList<CodePage>
    var blocks: PlainList<TranslatedBlock>
    var sites: PlainList<ExitSite>
    /// Decoded instructions that generated code names by index when it calls out.
    var pool: PlainList<Instruction>
    /// Bytes of code there were when the writable view was last let go, and links that were made since.
    var released = 0
    var patches = 0
    var statistics = Statistics()
    var lifted: UnsafeMutablePointer<Instruction>
  }

  private let arena: CodeArena
  private let faults: FaultTable
  private let architecture: GuestArchitecture
  private let thunks: (plain: Thunks, float: Thunks)
  /// Bytes at the arena's start that the thunks have room in.
  private let firstFree = 8192
  private let options: Options
  private let lock = Mutex(())
  /// Under the lock.
  private let state: UnsafeMutablePointer<State>
  /// What every CPU reads without the lock.
  private let index: UnsafeMutablePointer<CodeIndex>
  private let sites: UnsafeMutablePointer<ExitSite>
  private let emptied = Atomic<UInt32>(0)

  /// Whether generated code can use windows (``AddressWindow``) on this host.
  package var canUseWindows: Bool { AddressWindow.isSupported && faults.isCatching }

  /// How often code is interpreted before it is translated.
  package var coldRuns: UInt8 { options.coldRuns }

  /// Whether generated code counts retired instructions.
  package var countsInstructions: Bool { options.countsInstructions }

  /// Where a jump of unknown target leads.
  package var missTarget: UnsafeRawPointer { UnsafeRawPointer(bitPattern: UInt(thunks.plain.leaveIndirect))! }

  package init(architecture: GuestArchitecture, options: Options = Options()) throws(Errno) {
    self.architecture = architecture
    self.options = options
    arena = try CodeArena(size: options.arenaSize)
    faults = try FaultTable(arena: arena)
    let table = try FlatTable()
    // Lists with room for more than code of that size can need, but for guests that do strange things.
    let pages = try PlainList<CodePage>(capacity: max(4096, options.arenaSize >> 8))
    let sites = try PlainList<ExitSite>(capacity: max(4096, options.arenaSize >> 5))
    let pool = try PlainList<Instruction>(capacity: max(4096, options.arenaSize >> 6))
    index = .allocate(capacity: 1)
    index.initialize(
      to: CodeIndex(blocks: table.reader, pages: pages.elements, firstIdentity: 1, code: arena.executable))
    self.sites = sites.elements
    instructions = UnsafePointer(pool.elements)
    var assembler = X86Assembler(
      buffer: UnsafeMutableRawBufferPointer(start: arena.writable, count: firstFree),
      executableBase: UInt64(UInt(bitPattern: arena.executable)))
    thunks = (
      plain: Thunks(
        assembler: &assembler, pins: architecture.pins, key: 0, float: nil, index: index,
        status: architecture.status, counts: options.profile != nil),
      float: Thunks(
        assembler: &assembler, pins: architecture.pins, key: BlockKeyBit.usesFloat,
        float: FloatState(pins: architecture.floatPins), index: index, counts: options.profile != nil)
    )
    precondition(!assembler.failed)
    state = .allocate(capacity: 1)
    state.initialize(
      to: State(
        generator: CodeGenerator(
          arena: arena, offset: firstFree, size: options.arenaSize - firstFree, features: options.features,
          thunks: thunks, architecture: architecture, countsInstructions: options.countsInstructions,
          pairsCalls: options.links, isAlone: options.hasOneCPU),
        table: table, numbers: try FlatTable(), places: try FlatTable(), pages: pages,
        blocks: try PlainList(capacity: max(4096, options.arenaSize >> 6)), sites: sites, pool: pool,
        lifted: .allocate(capacity: architecture.blockLimit)))
    nameFixedCode(size: firstFree)
  }

  deinit {
    state.pointee.lifted.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
    index.deallocate()
  }

  private func locked<Result>(_ body: (inout State) -> Result) -> Result {
    nonisolated(unsafe) let body = body  // called here, before this function returns
    nonisolated(unsafe) let state = state
    nonisolated(unsafe) var result: Result?
    lock.withLock { _ in result = body(&state.pointee) }
    guard let result else { preconditionFailure("the lock did not call its body") }
    return result
  }

  // MARK: - Running

  /// How generated code was left.
  package enum Exit: Sendable, Equatable {
    /// The context's program counter says where to go on.
    case dispatch
    /// At the end of a block towards a known address: the site can be linked.
    case site(Int)
    /// As ``site(_:)``, because leaving was asked for.
    case interrupted(Int)
  }

  /// Runs translated code, found by its key, on a context until it is left.
  @inline(__always)
  package func run(_ code: UnsafeRawPointer, key: UInt64, context: Context) -> Exit {
    typealias Enter = @convention(c) (UnsafeMutableRawPointer, UnsafeRawPointer) -> UInt64
    let usesFloat = key & BlockKeyBit.usesFloat != 0
    let enter = unsafeBitCast(UInt(usesFloat ? thunks.float.enter : thunks.plain.enter), to: Enter.self)
    let result = enter(context.base, code)
    if result == 0 { return .dispatch }
    return result & 1 == 0 ? .site(Int(result >> 1)) : .interrupted(Int(result >> 1))
  }

  /// Where generated code goes on at the context's program counter, under a key (``ContextLayout/goOn``).
  package func goOn(key: UInt64) -> UInt64 {
    key & BlockKeyBit.usesFloat != 0 ? thunks.float.goOn : thunks.plain.goOn
  }

  /// The instructions that call-outs name by index; as long as the store.
  package let instructions: UnsafePointer<Instruction>

  /// Where a site leads.
  package func target(of site: Int) -> UInt64 { sites[site - 1].target }

  /// Grows when everything has been dropped; sites of an earlier generation mean nothing.
  package var generation: UInt32 { emptied.load(ordering: .acquiring) }

  // MARK: - Finding

  /// The code at a guest address under a key, if there is such code and the view knows which page is mapped there.
  /// Takes no lock: for the way of every jump whose target the view's jump cache does not know.
  @inline(__always)
  package func known(
    _ pc: UInt64, key: UInt64, view: AddressView
  ) -> (code: UnsafeRawPointer, identity: UInt32)? {
    index.pointee.find(pc, key: key, view: view)
  }

  /// What looking for a block gives.
  package enum Found {
    case code(UnsafeRawPointer, identity: UInt32)
    /// The instruction must be interpreted.
    case interpret
    /// The arena is full: drop everything, then ask again.
    case full
    /// The page lost its mark since it was claimed: claim it again.
    case unclaimed
  }

  /// Finds or makes the block at a guest address, which page `number` of the memory file holds at host
  /// address `page`. `mode`, even and below 4096, sets code apart that another privilege runs; the lifter gets it
  /// with the key. `isClaimed` is asked under the lock whether the page still counts as code: from
  /// then on a writer drops the block.
  package func find(
    pc: UInt64, number: Int, page: UnsafeRawPointer, key: UInt64, mode: UInt64 = 0, lifter: any BlockLifter,
    isClaimed: () -> Bool
  ) -> Found {
    find(pc: pc, number: number, key: key, mode: mode, isClaimed: isClaimed) { codePage, state in
      let found = translate(pc: pc, key: key, mode: mode, page: codePage, next: nil, &state) { room, buffer in
        lifter.lift(pc: pc, page: page, key: key | mode, into: buffer, room: room)
      }
      noteTranslation(found, pc, key | mode, page: page, state)
      return found
    }
  }

  /// As ``find(pc:number:page:key:mode:lifter:isClaimed:)``, for an instruction that ends on another page, which
  /// page `nextNumber` of the memory file holds. It is a block by itself, of both pages.
  package func findCrossing(
    pc: UInt64, instruction: Instruction, number: Int, nextNumber: Int, key: UInt64, mode: UInt64,
    isClaimed: () -> Bool
  ) -> Found {
    find(pc: pc, number: number, key: key, mode: mode, isClaimed: isClaimed) { codePage, state in
      let address = (pc & ~0xFFF) &+ 0x1000
      guard let nextPage = page(at: address | mode, number: nextNumber, &state) else { return .full }
      let found = translate(
        pc: pc, key: key, mode: mode, page: codePage,
        next: (address, index.pointee.firstIdentity &+ UInt32(nextPage)),
        &state
      ) { _, buffer in
        buffer[0] = instruction
        return 1
      }
      noteTranslation(found, pc, key | mode, page: nil, state)
      if case .code = found {
        let block = state.blocks.count - 1
        state.blocks[block].nextCrossing = state.pages[nextPage].firstCrossing
        state.pages[nextPage].firstCrossing = Int32(block + 1)
      }
      return found
    }
  }

  /// The block at a guest address, or what `make` makes of the page it is to be on; under the lock.
  private func find(
    pc: UInt64, number: Int, key: UInt64, mode: UInt64, isClaimed: () -> Bool,
    make: (_ page: Int, inout State) -> Found
  ) -> Found {
    locked { state in
      guard isClaimed() else { return .unclaimed }
      guard let page = page(at: pc & ~0xFFF | mode, number: number, &state) else { return .full }
      let identity = index.pointee.firstIdentity &+ UInt32(page)
      let value = state.table.reader[CodeIndex.key(identity, CodeIndex.slot(pc, key))]
      if value == 0 { return make(page, &state) }
      return .code(arena.executable + Int(value & 0xFFFF_FFFF), identity: identity)
    }
  }

  /// Makes the block at `pc`, of the instructions that `lift` puts in a buffer with room for some.
  private func translate(
    pc: UInt64, key: UInt64, mode: UInt64, page: Int, next: (address: UInt64, identity: UInt32)?,
    _ state: inout State, lift: (_ room: Int, UnsafeMutablePointer<Instruction>) -> Int
  ) -> Found {
    let limit = architecture.blockLimit
    // An instruction leaves in two ways at most.
    guard state.blocks.hasRoom(for: 1), state.sites.hasRoom(for: 2 * limit + 2) else { return .full }
    state.generator.profile = options.profile?.nextBlock
    let count = lift(limit, state.lifted)
    guard count > 0 else { return .interpret }
    let identity = index.pointee.firstIdentity &+ UInt32(page)
    let slot = CodeIndex.slot(pc, key)
    let start = state.generator.assembler.offset
    let entry = state.generator.generate(
      UnsafeBufferPointer(start: state.lifted, count: count), pc: pc, key: key,
      usesWindow: mode & BlockKeyBit.usesWindow != 0, pageIdentity: identity,
      pool: (state.pool.end, state.pool.count, state.pool.capacity - state.pool.count),
      sites: (state.sites.end, state.sites.count + 1), next: next)
    let block = TranslatedBlock(page: Int32(page), slot: slot, next: state.pages[page].firstBlock)
    let place = UInt64(firstFree + entry)
    guard !state.generator.failed,
      state.table.set(CodeIndex.key(identity, slot), to: place | UInt64(state.blocks.count + 1) << 32)
    else {
      state.generator.assembler.rewind(to: start)
      return .full
    }
    guard faults.append(state.generator.faults, start: firstFree) else {
      _ = state.table.set(CodeIndex.key(identity, slot), to: 0)
      state.generator.assembler.rewind(to: start)
      return .full
    }
    state.pages[page].firstBlock = Int32(state.blocks.append(block) + 1)
    state.pages[page].starts.insert(pc)
    state.pool.grow(by: state.generator.calledOutCount)
    state.sites.grow(by: state.generator.siteCount)
    state.statistics.blocks += 1
    state.statistics.instructions += count
    state.statistics.codeBytes = state.generator.assembler.offset
    releaseWritten(&state)
    return .code(arena.executable + Int(place), identity: identity)
  }

  /// Lets go of the writable view of the arena now and then, of which each page that was ever written, be it
  /// for a link, counts twice in what the process uses.
  private func releaseWritten(_ state: inout State) {
    let end = state.generator.assembler.offset
    guard end - state.released >= 512 << 10 || state.patches >= 1024 else { return }
    arena.release(0..<((firstFree + end) & ~4095))
    state.released = end
    state.patches = 0
  }

  /// The place of a page, which is made if it is new; nil when there is no room.
  private func page(at address: UInt64, number: Int, _ state: inout State) -> Int? {
    let key = UInt64(number) &+ 1
    let hash = Self.pageHash(address, number)
    let first = Int32(truncatingIfNeeded: state.numbers.reader[key])
    var page = Int32(truncatingIfNeeded: state.places.reader[hash])
    if page != 0 {
      let known = state.pages[Int(page) - 1]
      if known.address == address, known.number == number { return Int(page) - 1 }
      // Another page with the same hash.
      page = first
      while page != 0 {
        if state.pages[Int(page) - 1].address == address { return Int(page) - 1 }
        page = state.pages[Int(page) - 1].next
      }
    }
    let place = UInt64(state.pages.count + 1)
    guard state.pages.hasRoom(for: 1), state.places.set(hash, to: place), state.numbers.set(key, to: place)
    else { return nil }
    return state.pages.append(CodePage(address: address, number: number, next: first))
  }

  private static func pageHash(_ address: UInt64, _ number: Int) -> UInt64 {
    (address ^ UInt64(truncatingIfNeeded: number) &* 0xD6E8_FEB8_6659_FD93) | 1 << 63
  }

  // MARK: - Linking

  /// Makes a site jump straight to the block at its target, which lies on the page with `identity`.
  /// Nothing happens if either has gone since.
  package func link(_ site: Int, to code: UnsafeRawPointer, identity: UInt32, generation: UInt32) {
    guard options.links else { return }
    locked { state in
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

  private func patch(_ exit: ExitSite, to target: UInt64) {
    _ = X86Assembler.patch(
      field: arena.writable + firstFree + Int(exit.field),
      executableField: UInt64(UInt(bitPattern: arena.executable)) + UInt64(firstFree) + UInt64(exit.field),
      target: target)
  }

  // MARK: - Dropping

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
      state.released = 0
      state.statistics.emptied += 1
      emptied.add(1, ordering: .acquiringAndReleasing)
    }
  }

  package var statistics: Statistics { locked { $0.statistics } }
}

// MARK: - Profiling

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
  private func noteTranslation(
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
  private func nameFixedCode(size: Int) {
    options.profile?.addFixed("volary:between-blocks", address: arena.executable, size: size)
  }

  /// What is at a distance from where blocks begin in the arena: a fixed piece of code.
  private func describe(_ offset: Int) -> String? {
    let address = UInt64(UInt(bitPattern: arena.executable + firstFree)) &+ UInt64(bitPattern: Int64(offset))
    return thunks.plain.name(of: address) ?? thunks.float.name(of: address)
  }
}
