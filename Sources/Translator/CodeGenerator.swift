internal import Assembler

/// Turns a block of the intermediate representation into x86-64 code, in one pass.
///
/// Guest registers are in their host registers or in the context at every instruction boundary, so
/// that any instruction can leave with exact state. What is seldom needed (slow paths, exits) is
/// collected while the block is generated and placed behind it.
struct CodeGenerator: ~Copyable {
  /// What a piece of cold code does.
  enum ColdKind {
    case load, store
    /// As ``load`` and ``store``, for an access through the window: its address is put in rcx first.
    case windowLoad, windowStore
    /// Has an instruction interpreted that could not be done in line, then goes back.
    case interpret
    /// As ``interpret``, then leaves to the dispatcher: what follows relies on something that does not hold.
    case interpretAndLeave
    /// Leaves to the dispatcher at a site's target.
    case exit
    /// As ``exit``, because of a request to leave: not linked.
    case poll
    /// Compares page identities, then jumps to a site's target.
    case guardedJump
    /// Changes the status register, then goes back.
    case changeStatus
    /// Forgets all calls that wait for their return, then goes back.
    case forgetCalls
  }

  /// A piece of code to place behind the block.
  struct Cold {
    var kind: ColdKind
    var entry: Label
    var back: Label
    /// The guest register that is loaded or stored.
    var register: UInt8 = 0
    /// For the call-out: width and signedness.
    var access: UInt32 = 0
    var pc: UInt64 = 0
    /// Index among the block's exits.
    var site: Int = 0
    /// What to interpret.
    var instruction = Instruction(.illegal)
    /// Instructions whose results must be made before anything else can see the registers: where they are among
    /// ``CodeGenerator/waitingForFaults``.
    var firstWaiting = 0
    var waitingCount = 0
    /// Guest registers whose upper half must be made of the lower before: a bit each.
    var narrow: UInt32 = 0
    /// What the scratch registers hold where it goes back to.
    var held: InlineArray<3, UInt8> = [0, 0, 0]
    /// Of an access through the window: its address's base, its displacement and where it is.
    var base = Register.rcx
    var displacement: Int32 = 0
    var access32: Int32 = 0
  }

  var assembler: X86Assembler
  let features: HostFeatures
  /// For blocks that do not use floating point, and for those that do.
  let allThunks: (plain: Thunks, float: Thunks)
  /// The host register of each guest register, or nil: it lives in the context.
  let hosts: [Register?]
  /// The same for floating-point registers, in blocks that use them.
  let floatHosts: [XMM?]
  let countsInstructions: Bool
  /// Whether the guest's calls and returns are the host's.
  let pairsCalls: Bool
  /// Whether there is one CPU only.
  let isAlone: Bool
  let architecture: GuestArchitecture

  // The block being generated.
  var thunks: Thunks
  var pc: UInt64 = 0
  var blockPage: UInt64 = 0
  var key: UInt64 = 0
  var pageIdentity: UInt32 = 0
  /// The exits, in the store's own list, and the number of the first.
  var sites: UnsafeMutablePointer<ExitSite>
  var siteCount = 0
  var firstSite = 0
  /// Instructions that the code calls out for, in the store's own list, and the number of the first.
  var calledOut: UnsafeMutablePointer<Instruction>
  var calledOutCount = 0
  var calledOutRoom = 0
  var firstCalledOut = 0
  var colds: [Cold] = []
  var floatNoted = false
  /// Floating-point registers whose upper half is known to be all ones: a bit each.
  var boxed: UInt32 = 0
  /// Whether loads and stores go through the window.
  var usesWindow = false
  /// Accesses that may fault.
  var faults: [FaultTable.Entry] = []
  /// Guest registers that hold an address in the window or near it: a bit each, and how far off it may be.
  var inWindow: UInt32 = 0
  var offWindow: [Int32] = Array(repeating: 0, count: 32)
  /// Guest registers whose value is known: a bit each, and the values.
  var knownMask: UInt32 = 0
  var known: [UInt64] = Array(repeating: 0, count: 32)
  /// What is generated for each instruction, and how many there are.
  var plan: BlockPlan
  var count = 0
  /// Places of instructions whose results have not been made, because only a fault could show them.
  var waiting: [Int] = []
  /// Of pieces of cold code, what waited there.
  var waitingForFaults: [Int] = []
  /// Where the block's accesses call out by, once one does.
  var loadCall: Label?
  var storeCall: Label?
  /// Guest registers whose value is a sign-extended word, of which the upper half is anything: a bit each.
  var narrow: UInt32 = 0
  /// Whether the instruction that is being generated may leave anything in the upper half.
  var makesNarrow = false
  /// What the scratch registers hold.
  var scratch = ScratchRegisters()
  /// What the flags say after the instruction that is being generated, and what they said before it.
  var flags = FlagsMeaning.nothing
  var entryFlags = FlagsMeaning.nothing
  /// The instruction behind the one that is being generated.
  var following = Instruction(.illegal)

  /// Where the block starts in the buffer.
  var entry = 0
  /// Whether the block can be copied for another guest address, and what a copy has otherwise.
  var isMovable = false
  var relocations: [Relocation] = []

  /// While the machine is profiled: what is noted about the block.
  var profile: BlockMarks?

  init(
    arena: CodeArena, offset: Int, size: Int, features: HostFeatures,
    thunks: (plain: Thunks, float: Thunks), architecture: GuestArchitecture, countsInstructions: Bool,
    pairsCalls: Bool, isAlone: Bool
  ) {
    assembler = X86Assembler(
      buffer: UnsafeMutableRawBufferPointer(start: arena.writable + offset, count: size),
      executableBase: UInt64(UInt(bitPattern: arena.executable + offset)), labelCapacity: 1024)
    self.features = features
    allThunks = thunks
    self.thunks = thunks.plain
    self.countsInstructions = countsInstructions
    self.pairsCalls = pairsCalls
    self.isAlone = isAlone
    self.architecture = architecture
    var hosts = [Register?](repeating: nil, count: 64)
    for (guest, host) in zip(architecture.pins, HostRegisters.pins) { hosts[Int(guest)] = host }
    self.hosts = hosts
    var floatHosts = [XMM?](repeating: nil, count: 64)
    for (guest, host) in zip(architecture.floatPins, HostRegisters.floatPins) {
      floatHosts[Int(guest)] = host
    }
    self.floatHosts = floatHosts
    sites = UnsafeMutablePointer(bitPattern: 8).unsafelyUnwrapped
    calledOut = UnsafeMutablePointer(bitPattern: 8).unsafelyUnwrapped
    plan = BlockPlan(capacity: architecture.blockLimit)
    waiting.reserveCapacity(architecture.blockLimit)
    waitingForFaults.reserveCapacity(256)
    colds.reserveCapacity(512)
    relocations.reserveCapacity(1024)
  }

  /// Generates a block and returns where it starts in the buffer. Instructions that are called out for
  /// are put where `pool` says, ``calledOutCount`` of them, and exits where `sites` does, ``siteCount`` of them, with
  /// offsets from the buffer's start; both with the number of the first. The caller looks at ``failed`` afterwards. `next`: the page that the block's one instruction ends on, and what must be mapped there.
  mutating func generate(
    _ block: UnsafeBufferPointer<Instruction>, pc start: UInt64, key: UInt64, usesWindow: Bool = false,
    pageIdentity: UInt32,
    pool: (UnsafeMutablePointer<Instruction>, first: Int, room: Int),
    sites: (UnsafeMutablePointer<ExitSite>, first: Int),
    next: (address: UInt64, identity: UInt32)? = nil
  ) -> Int {
    assembler.resetLabels()
    assembler.align(to: 16)
    entry = assembler.offset
    pc = start
    blockPage = start & ~0xFFF
    self.key = key
    thunks = usesFloat ? allThunks.float : allThunks.plain
    self.pageIdentity = pageIdentity
    (self.sites, firstSite) = sites
    siteCount = 0
    (calledOut, firstCalledOut, calledOutRoom) = pool
    calledOutCount = 0
    colds.removeAll(keepingCapacity: true)
    floatNoted = false
    boxed = 0
    knownMask = 0
    scratch = ScratchRegisters()
    narrow = 0
    flags = .nothing
    self.usesWindow = usesWindow
    inWindow = 0
    faults.removeAll(keepingCapacity: true)
    if profile != nil { countExecution(from: 0) }
    if let next { requireNextPage(next) }

    plan.make(block, pc: start)
    isMovable =
      plan.isMovable && Self.movableAddresses.contains(start) && next == nil && profile == nil
    relocations.removeAll(keepingCapacity: true)
    count = block.count
    waiting.removeAll(keepingCapacity: true)
    waitingForFaults.removeAll(keepingCapacity: true)
    var ended = false
    for index in 0..<count {
      if profile != nil { markInstruction(start: start, entry: entry) }
      if countsInstructions {
        assembler.inc(.w64, field(ContextLayout.instructionsRetired))
        flags = .nothing
      }
      let sitesBefore = siteCount
      ended = generate(at: index)
      pc &+= UInt64(block[index].length)
      if ended { break }
      if profile != nil, siteCount > sitesBefore {
        release()
        countExecution(from: index + 1)
        flags = .nothing
      }
    }
    if !ended {
      makeWaiting()
      release()
      jumpOn(to: pc)
    }
    if profile != nil { markCold(start: start, entry: entry) }
    emitColds()
    return entry
  }

  /// Generates what is planned for an instruction. True if the block ends with it.
  private mutating func generate(at index: Int) -> Bool {
    let i = plan.instructions[index]
    switch plan.treatments[index] {
    case .omit:
      if usesWindow { followAddress(i) }
      return false
    case .makeOnFault:
      if usesWindow { followAddress(i) }
      overwrite(i.destination)
      narrow &= ~BlockPlan.bit(i.destination)
      dropHeld(i.destination)
      forget(i.destination)
      waiting.append(index)
      return false
    case .generate: break
    }
    following = index + 1 < count ? plan.instructions[index + 1] : Instruction(.illegal)
    let firstCold = colds.count
    let isAccess = Self.isAccess(i.operation)
    if BlockPlan.isPure(i.operation) || isAccess {
      makeWaiting(on: i.destination)
    } else {
      // A link register is overwritten before the block is left.
      if i.operation == .jump || i.operation == .jumpIndirect { dropWaiting(i.destination) }
      makeWaiting()
    }
    entryFlags = flags
    flags = .nothing
    makesNarrow = plan.isNarrow[index]
    let ended = emit(i, isLast: index == count - 1)
    makesNarrow = false
    if i.destination >= 32 {
      rememberBoxing(i)
    } else if usesWindow {
      followAddress(i)
    }
    if isAccess {
      for cold in firstCold..<colds.count {
        colds[cold].held = scratch.held
        colds[cold].narrow = narrow
        colds[cold].firstWaiting = waitingForFaults.count
        colds[cold].waitingCount = waiting.count
      }
      waitingForFaults += waiting
    }
    dropWaiting(i.destination)
    if plan.isNarrow[index], leavesNarrow(i) {
      narrow |= BlockPlan.bit(i.destination)
    } else {
      narrow &= ~BlockPlan.bit(i.destination)
    }
    return ended
  }

  /// Whether what is generated for a narrow result leaves the upper half to chance.
  private func leavesNarrow(_ i: Instruction) -> Bool {
    switch i.operation {
    case .and: i.b != 0 || i.imm < 0
    case .or, .xor, .andNot: true
    case .shiftRight32: i.b != 0
    case .add: i.b == 0 && i.imm == 0 && narrow & BlockPlan.bit(i.a) != 0
    default: Self.is32(i.operation)
    }
  }

  // MARK: - Results that wait

  /// Makes what waits for a register that is about to be overwritten, and forgets what waits to be put there.
  private mutating func overwrite(_ register: UInt8) {
    makeWaiting(on: register)
    dropWaiting(register)
  }

  /// Makes the results that have waited and are read from a register, or all.
  private mutating func makeWaiting(on register: UInt8? = nil) {
    if waiting.isEmpty || register == 0 { return }
    var kept = 0
    for place in 0..<waiting.count {
      let index = waiting[place]
      let i = plan.instructions[index]
      if let register, i.a != register {
        waiting[kept] = index
        kept += 1
        continue
      }
      entryFlags = .nothing
      _ = emit(i, isLast: false)
      flags = .nothing
    }
    waiting.removeLast(waiting.count - kept)
  }

  private mutating func dropWaiting(_ register: UInt8) {
    if waiting.isEmpty || register == 0 { return }
    waiting.removeAll { plan.instructions[$0].destination == register }
  }

  /// Makes what waits at a piece of cold code, with rax alone; afterwards again if there is another fault.
  mutating func makeWaiting(at cold: Cold) {
    var narrow = cold.narrow
    while narrow != 0 {
      let register = UInt8(narrow.trailingZeroBitCount)
      narrow &= narrow - 1
      if let host = host(register) {
        assembler.movsx(.w64, host, host, from: .w32)
      } else {
        assembler.movsx(.w64, .rax, home(register), from: .w32)
        assembler.mov(.w64, home(register), .rax)
      }
    }
    for place in cold.firstWaiting..<cold.firstWaiting + cold.waitingCount {
      knownMask = 0
      _ = emit(plan.instructions[waitingForFaults[place]], isLast: false)
      release()
    }
  }

  /// Has the instruction looked at again unless the page it ends on is the one that it was decoded from.
  private mutating func requireNextPage(_ next: (address: UInt64, identity: UInt32)) {
    let other = assembler.newLabel()
    assembler.cmp(
      .w32,
      Address(base: HostRegisters.view, displacement: AddressView.pageIdentityOffset(next.address)),
      Int32(bitPattern: next.identity))
    assembler.jump(.ne, to: other)
    colds.append(
      Cold(kind: .interpret, entry: other, back: other, pc: pc, instruction: Instruction(.refetch)))
  }

  /// Whether what was generated cannot be used.
  var failed: Bool { assembler.failed || calledOutCount > calledOutRoom }

  // MARK: - Operands

  /// A context field's address.
  @inline(__always) func field(_ displacement: Int32) -> Address {
    Address(base: HostRegisters.context, displacement: displacement)
  }

  /// A guest register's place in the context.
  @inline(__always) func home(_ register: UInt8) -> Address { field(ContextLayout.register(register)) }

  @inline(__always) func host(_ register: UInt8) -> Register? { hosts[Int(register)] }

  /// A host register with the guest register's value: its own, or `scratch` after loading.
  @inline(__always) mutating func value(_ register: UInt8, _ scratch: Register) -> Register {
    if let host = host(register) { return host }
    load(register, into: scratch)
    return scratch
  }

  /// Copies the guest register's value into a host register.
  @inline(__always) mutating func load(_ register: UInt8, into target: Register) {
    if register == 0 {
      assembler.mov(.w32, target, 0)
    } else if let host = host(register) {
      if host != target { assembler.mov(.w64, target, host) }
    } else if let xmm = xmm(register) {
      assembler.movq(target, xmm)
    } else {
      assembler.mov(.w64, target, home(register))
    }
  }

  /// Gives the guest register the value of a host register.
  @inline(__always) mutating func store(_ source: Register, to register: UInt8) {
    if register == 0 { return }
    if let host = host(register) {
      if host != source { assembler.mov(.w64, host, source) }
    } else if let xmm = xmm(register) {
      assembler.movq(xmm, source)
    } else {
      assembler.mov(.w64, home(register), source)
    }
  }

  /// Where a result is made: the destination's host register, or rax.
  @inline(__always) func target(_ register: UInt8) -> Register { host(register) ?? .rax }

  /// Gives a guest register a guest address that depends on the block's own.
  mutating func setPlace(_ register: UInt8, _ address: UInt64) {
    guard register != 0 else { return }
    if let host = host(register) {
      movePlace(host, address)
    } else if let short = Int32(exactly: Int64(bitPattern: address)) {
      assembler.mov(.w64, home(register), short)
    } else {
      movePlace(.rax, address)
      assembler.mov(.w64, home(register), .rax)
    }
  }

  /// Puts the current guest address in the context.
  mutating func storePC(scratch: Register) {
    if let short = Int32(exactly: Int64(bitPattern: pc)) {
      assembler.mov(.w64, field(ContextLayout.programCounter), short)
    } else {
      movePlace(scratch, pc)
      assembler.mov(.w64, field(ContextLayout.programCounter), scratch)
    }
  }

  /// Whether the next instruction has a use for the register's value in a host register.
  func isReadNext(_ register: UInt8) -> Bool { following.a == register || following.b == register }

  // MARK: - Known values

  func knownValue(_ register: UInt8) -> UInt64? {
    if register == 0 { return 0 }
    return register < 32 && knownMask & (1 << UInt32(register)) != 0 ? known[Int(register)] : nil
  }

  mutating func forget(_ register: UInt8) {
    if register < 32 { knownMask &= ~(1 << UInt32(register)) }
  }

  mutating func know(_ register: UInt8, _ value: UInt64) {
    guard register != 0, register < 32 else { return }
    knownMask |= 1 << UInt32(register)
    known[Int(register)] = value
  }
}
