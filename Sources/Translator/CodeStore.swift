internal import Assembler
package import HostSystem
internal import Synchronization

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
    /// Code that is seen at another address than where it was translated is copied.
    package var copies = true
    package var features = HostFeatures.host
    /// What keeps a profile of this store, if one is wanted.
    package var profile: TranslationProfile?
    package init() {}
  }

  /// Counters for people.
  package struct Statistics: Sendable {
    /// Copies included.
    package var blocks = 0
    package var copies = 0
    package var instructions = 0
    package var codeBytes = 0
    package var emptied = 0
    package var invalidatedPages = 0
  }

  /// What is under the lock.
  struct State: ~Copyable {
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
    /// What can be copied, by ``originalKey(_:_:_:)`` and place plus 1.
    var originals: FlatTable
    var originalBlocks: PlainList<BlockOriginal>
    var relocations: PlainList<Relocation>
    /// Bytes of code there were when the writable view was last let go, and links that were made since.
    var released = 0
    var patches = 0
    var statistics = Statistics()
    var lifted: UnsafeMutablePointer<Instruction>
  }

  let arena: CodeArena
  let faults: FaultTable
  let architecture: GuestArchitecture
  let thunks: (plain: Thunks, float: Thunks)
  /// Bytes at the arena's start that the thunks have room in.
  let firstFree = 8192
  let options: Options
  private let lock = FutexLock()
  /// Under the lock.
  let state: UnsafeMutablePointer<State>
  /// What every CPU reads without the lock.
  let index: UnsafeMutablePointer<CodeIndex>
  let sites: UnsafeMutablePointer<ExitSite>
  let originals: FlatTable.Reader
  let emptied = Atomic<UInt32>(0)

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
    let originals = try FlatTable()
    self.originals = originals.reader
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
        originals: originals, originalBlocks: try PlainList(capacity: max(4096, options.arenaSize >> 6)),
        relocations: try PlainList(capacity: max(4096, options.arenaSize >> 4)),
        lifted: .allocate(capacity: architecture.blockLimit)))
    nameFixedCode(size: firstFree)
  }

  deinit {
    state.pointee.lifted.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
    index.deallocate()
  }

  func locked<Result>(_ body: (inout State) -> Result) -> Result {
    lock.withLock { body(&state.pointee) }
  }

  /// As ``locked(_:)``, if nobody else has the lock; otherwise nil.
  func lockedIfFree<Result>(_ body: (inout State) -> Result) -> Result? {
    lock.withLockIfFree { body(&state.pointee) }
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
    /// Another CPU is making code: interpret, rather than wait.
    case busy
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
    let found: Found? = lockedIfFree { state in
      guard isClaimed() else { return .unclaimed }
      guard let page = page(at: pc & ~0xFFF | mode, number: number, &state) else { return .full }
      let identity = index.pointee.firstIdentity &+ UInt32(page)
      let value = state.table.reader[CodeIndex.key(identity, CodeIndex.slot(pc, key))]
      if value == 0 { return copy(pc, key: key, mode: mode, page: page, &state) ?? make(page, &state) }
      return .code(arena.executable + Int(value & 0xFFFF_FFFF), identity: identity)
    }
    return found ?? .busy
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
    let before = state.generator.assembler.offset
    let entry = state.generator.generate(
      UnsafeBufferPointer(start: state.lifted, count: count), pc: pc, key: key,
      usesWindow: mode & BlockKeyBit.usesWindow != 0, pageIdentity: identity,
      pool: (state.pool.end, state.pool.count, state.pool.capacity - state.pool.count),
      sites: (state.sites.end, state.sites.count + 1), next: next)
    guard !state.generator.failed, faults.append(state.generator.faults, start: firstFree) else {
      state.generator.assembler.rewind(to: before)
      return .full
    }
    let (firstSite, siteCount) = (state.sites.count + 1, state.generator.siteCount)
    let found = enter(pc, key: key, page: page, entry: entry, siteCount: siteCount, before: before, &state)
    if case .full = found { return .full }
    addOriginal(
      pc, key: key, mode: mode, page: page, sites: firstSite..<firstSite + siteCount,
      faultCount: state.generator.faults.count, &state)
    state.pool.grow(by: state.generator.calledOutCount)
    state.statistics.instructions += count
    return found
  }

  /// Makes code known that was just generated at `entry`; the generator was at `before`. Its accesses that may fault
  /// are known already: those of code that nobody runs are never asked for.
  func enter(
    _ pc: UInt64, key: UInt64, page: Int, entry: Int, siteCount: Int, before: Int, _ state: inout State
  ) -> Found {
    let identity = index.pointee.firstIdentity &+ UInt32(page)
    let slot = CodeIndex.slot(pc, key)
    let place = UInt64(firstFree + entry)
    guard state.table.set(CodeIndex.key(identity, slot), to: place | UInt64(state.blocks.count + 1) << 32)
    else {
      state.generator.assembler.rewind(to: before)
      return .full
    }
    let block = TranslatedBlock(page: Int32(page), slot: slot, next: state.pages[page].firstBlock)
    state.pages[page].firstBlock = Int32(state.blocks.append(block) + 1)
    state.pages[page].starts.insert(pc)
    state.sites.grow(by: siteCount)
    state.statistics.blocks += 1
    state.statistics.codeBytes = state.generator.assembler.offset
    releaseWritten(&state)
    return .code(arena.executable + Int(place), identity: identity)
  }

  /// Lets go of the writable view of the arena now and then, of which each page that was ever written, be it
  /// for a link, counts twice in what the process uses.
  func releaseWritten(_ state: inout State) {
    let end = state.generator.assembler.offset
    guard end - state.released >= 2 << 20 || state.patches >= 8192 else { return }
    arena.release(0..<((firstFree + end) & ~4095))
    state.released = end
    state.patches = 0
  }

  /// The place of a page, which is made if it is new; nil when there is no room.
  func page(at address: UInt64, number: Int, _ state: inout State) -> Int? {
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

  package var statistics: Statistics { locked { $0.statistics } }
}
