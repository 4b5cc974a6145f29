package import GuestMemory
package import HostSystem
package import Synchronization
package import Translator

/// Physical addresses that are not RAM, as a hart reaches them.
package protocol PhysicalBus: AnyObject, Sendable {
  func claims(_ address: UInt64) -> Bool
  func read(address: UInt64, width: Int) -> UInt64
  func write(address: UInt64, width: Int, value: UInt64)
}

/// One RISC-V hart: registers and control state in a ``Context``, its views of memory, its pending
/// interrupts, and the requests of other harts. Its own thread runs it; other threads only post to it.
package final class Hart: @unchecked Sendable {  // owner's thread only, but for what is atomic or locked
  package let id: Int
  package let context: Context
  package let state: UnsafeMutablePointer<HartState>
  /// The cluster owns its harts, so it is there as long as they are.
  package unowned(unsafe) let cluster: HartCluster
  package let memory: GuestMemory
  package let bus: any PhysicalBus
  let contextMapping: Mapping

  // MARK: State shared with other threads

  /// Bits of ``InterruptBit`` that are pending, whoever raised them.
  private let pending: UnsafeMutablePointer<Atomic<UInt64>>
  /// Nonzero while the hart's thread touches no guest state: it waits, or is not in its run loop.
  let parked = Atomic<UInt32>(1)
  let requests = Mutex<[PostedRequests]>([])
  /// How many requests were posted, and carried out.
  let posted = Atomic<UInt64>(0)
  let served = Atomic<UInt64>(0)
  /// Changes with ``served`` and when the hart parks, if others wait for that.
  let servedChanges: UnsafeMutablePointer<Atomic<UInt32>>
  let servedWaiters = Atomic<UInt32>(0)
  /// The number of the address space that the hart uses. It serves requests before it uses another.
  let currentSpace = Atomic<UInt64>(0)
  /// Where the hart is in its life (SBI HSM states).
  package let lifecycle: Mutex<Lifecycle>
  /// The next timer interrupt, in ticks.
  let deadline = Atomic<UInt64>(.max)

  /// Times that translated code was left. Written by the hart's thread alone.
  private let exitCount = Atomic<UInt64>(0)
  package var exits: UInt64 { exitCount.load(ordering: .relaxed) }
  func countExit() { exitCount.store(exits &+ 1, ordering: .relaxed) }

  /// Instructions retired, where they are counted; else 0.
  package var instructionsRetired: UInt64 { context.word(ContextLayout.instructionsRetired).pointee }

  // MARK: State of the hart's own thread

  var views: ViewPool
  /// Where the views hold the right to write pages.
  let writers: PageWriters
  /// The base of the window that generated code on the hart's thread uses.
  var activeWindow: UInt = 0
  /// Accesses that a window did not know.
  package internal(set) var windowFaults = 0
  /// Decoded code pages by guest page, for the interpreter.
  var decoded: DecodedPages
  let lifter = Lifter()
  /// What generated code names when it calls out.
  let instructions: UnsafePointer<Instruction>?
  /// Where generated code goes on after a call-out that has changed the program counter, by block key.
  let goOnPlaces: (plain: UInt64, float: UInt64)
  let heat: HeatTable
  var heatVisits = 0
  /// How many traps it takes until programs in user mode count as free of floating point, unless they use it
  /// again: ``noteFloatBegins(_:)``.
  var floatCredit = 0
  /// What that number starts from.
  package var floatPatience = 128
  /// What the hart counts, while its machine is profiled.
  package internal(set) var profile: HartProfile?
  /// Whether supervisor mode uses floating point since it was entered.
  var isSupervisorFloat: Bool {
    get { context.word(HartState.supervisorFloatPlace).pointee != 0 }
    set { context.word(HartState.supervisorFloatPlace).pointee = newValue ? 1 : 0 }
  }

  package init(
    id: Int, cluster: HartCluster, memory: GuestMemory, bus: any PhysicalBus, missTarget: UnsafeRawPointer
  ) throws(Errno) {
    self.id = id
    self.cluster = cluster
    self.memory = memory
    self.bus = bus
    heat = cluster.heat
    contextMapping = try Mapping.map(size: ContextLayout.size)
    context = Context(memory: contextMapping.base)
    state = (context.base + Int(ContextLayout.frontEnd)).assumingMemoryBound(to: HartState.self)
    state.initialize(to: HartState())
    pending = UnsafeMutableRawPointer(context.word(HartState.pendingPlace)).assumingMemoryBound(
      to: Atomic<UInt64>.self)
    servedChanges = UnsafeMutableRawPointer(context.word(HartState.servedPlace)).assumingMemoryBound(
      to: Atomic<UInt32>.self)
    instructions = cluster.code?.instructions
    goOnPlaces = (
      plain: cluster.code?.goOn(key: BlockKey.floatOff) ?? 0,
      float: cluster.code?.goOn(key: BlockKey.floatOn) ?? 0
    )
    lifecycle = Mutex(.stopped)
    views = try ViewPool(missTarget: missTarget)
    writers = try PageWriters(pages: memory.size >> GuestMemory.pageShift)
    decoded = DecodedPages()
    installCallOuts()
    reset()
  }

  deinit { decoded.removeAll() }

  /// Power-on state: supervisor mode, no translation, no interrupt enabled.
  package func reset() {
    state.pointee = HartState()
    for number in 0..<64 { context.registers[number] = 0 }
    context.half(ContextLayout.floatFlags).pointee = 0
    context.half(ContextLayout.floatRounding).pointee = 0
    context.half(ContextLayout.floatTouched).pointee = 0
    floatCredit = 0
    isSupervisorFloat = false
    context.word(ContextLayout.instructionsRetired).pointee = 0
    context.word(ContextLayout.reservationAddress).pointee = .max
    context.word(ContextLayout.owner).pointee = UInt64(
      UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    context.programCounter = 0
    pending.pointee.store(0, ordering: .sequentiallyConsistent)
    deadline.store(.max, ordering: .sequentiallyConsistent)
    forgetTranslations()
    decoded.removeAll()
    changeSpace()
  }

  /// Calls `body` with the hart of a context that generated code hands to a call-out, without counting the
  /// reference: the hart outlives its thread, and only that thread runs its code.
  @inline(__always)
  static func call<Result>(_ context: Context, _ body: (Hart) -> Result) -> Result {
    let bits = UInt(context.word(ContextLayout.owner).pointee)
    return Unmanaged<Hart>.fromOpaque(UnsafeRawPointer(bitPattern: bits)!)._withUnsafeGuaranteedRef(body)
  }

  // MARK: - Interrupts

  /// Sets or clears pending interrupts; from any thread.
  package func setPending(_ bits: UInt64, _ level: Bool) {
    if level {
      let old = pending.pointee.bitwiseOr(bits, ordering: .sequentiallyConsistent).oldValue
      if old & bits != bits { kick() }
    } else {
      _ = pending.pointee.bitwiseAnd(~bits, ordering: .sequentiallyConsistent)
    }
  }

  package var pendingInterrupts: UInt64 { pending.pointee.load(ordering: .sequentiallyConsistent) }

  /// Makes the hart look up from what it does: leave generated code, or wake.
  package func kick() {
    exitRequest.set()
    if parked.load(ordering: .sequentiallyConsistent) != 0 {
      futexWake(context.half(ContextLayout.exitRequest))
    }
  }

  /// The context's exit request.
  @inline(__always) var exitRequest: ExitRequest {
    ExitRequest(word: context.half(ContextLayout.exitRequest))
  }

  /// Waits for a kick, at most until the timer's next interrupt.
  func park() {
    leave()
    let limit =
      cluster.clock.isManual ? nil : cluster.clock.nanoseconds(until: deadline.load(ordering: .relaxed))
    if !exitRequest.isSet, limit != 0 {
      futexWait(context.half(ContextLayout.exitRequest), expected: 0, nanoseconds: limit)
    }
    enter()
    checkTimer()
  }

  /// From here on the hart touches guest state, and others wait for it to serve their requests.
  func enter() {
    parked.store(0, ordering: .sequentiallyConsistent)
    serveRequests()
  }

  /// The hart touches no guest state until it enters again.
  func leave() {
    parked.store(1, ordering: .sequentiallyConsistent)
    tellServed()
  }

  /// Raises the timer interrupt if its time has come.
  func checkTimer() {
    if cluster.clock.now >= deadline.load(ordering: .relaxed) {
      _ = pending.pointee.bitwiseOr(InterruptBit.timer, ordering: .sequentiallyConsistent)
    }
  }

  /// Sets the time of the next timer interrupt (stimecmp).
  func setTimer(_ ticks: UInt64) {
    state.pointee.timeCompare = ticks
    deadline.store(ticks, ordering: .sequentiallyConsistent)
    if cluster.clock.now >= ticks {
      setPending(InterruptBit.timer, true)
    } else {
      setPending(InterruptBit.timer, false)
      cluster.timerChanged(to: ticks)
    }
  }

  // MARK: - Views

  /// Points the context at the view for the current privilege and address space.
  @inline(__always) func selectView() {
    let status = state.pointee.status
    let privilege = state.pointee.privilege
    let permits = privilege != 0 && status & Status.permitUserMemory != 0
    let mode = permits ? privilege | ViewPool.Mode.permitsUser : privilege
    let known = context.word(ViewPool.place(ofMode: mode)).pointee
    if known != 0 {
      context.word(ContextLayout.view).pointee = known
    } else {
      findView(mode)
    }
  }

  @inline(never) private func findView(_ mode: UInt64) {
    let readsExecutable = state.pointee.status & Status.makeExecutableReadable != 0
    let (view, isNew) = views.select(
      translation: state.pointee.translation,
      mode: readsExecutable ? mode | ViewPool.Mode.readsExecutable : mode)
    // The interpreter knows pages by the view they were seen in.
    if isNew { decoded.forgetAddresses() }
    let base = UInt64(UInt(bitPattern: view.base))
    context.word(ContextLayout.view).pointee = base
    context.word(ViewPool.place(ofMode: mode)).pointee = base
    if mode == ViewPool.Mode.user { selectWindow() }
  }

  /// Looks the views of all modes up anew, because satp or sstatus.MXR has changed.
  func forgetModeViews() {
    for mode in 0...(ViewPool.Mode.supervisor | ViewPool.Mode.permitsUser) {
      context.word(ViewPool.place(ofMode: mode)).pointee = 0
    }
    selectView()
  }

  /// satp has changed.
  func changeSpace() {
    currentSpace.store(ViewPool.space(of: state.pointee.translation), ordering: .sequentiallyConsistent)
    // Others do not wait for harts that do not use the space that they change.
    serveRequests()
    // Those behind one that cannot be served here.
    if hasRequests { exitRequest.set() }
    if views.changeSpace() { decoded.forgetAddresses() }
    forgetModeViews()
  }

  @inline(__always) var view: AddressView {
    AddressView(
      base: UnsafeMutableRawPointer(bitPattern: UInt(context.word(ContextLayout.view).pointee))!,
      missTarget: views.missTarget)
  }

  /// Forgets translations (SFENCE.VMA): `pages` pages from `address` on, nil for all, of one address
  /// space (but for global pages) or all.
  func fence(address: UInt64, pages: UInt64?, space: UInt64?) {
    context.forgetReturns()
    decoded.forgetAddresses()
    guard let pages, pages <= 64 else {
      views.clear(space: space)
      return
    }
    for page in 0..<pages { views.drop(address &+ page << 12, space: space) }
  }

  package func forgetTranslations() {
    context.forgetReturns()
    views.clear(space: nil)
    decoded.forgetAddresses()
  }

  /// Forgets the right to write a page of the memory file without asking.
  func dropWrites(page: Int) {
    guard let host = memory.host(of: memory.address(ofPage: page), count: 4096) else { return }
    views.dropWrites(toPage: page, host: host, at: writers.take(page: page))
  }

  /// Forgets the rights to write any page without asking.
  func dropAllWrites() {
    writers.forget()
    views.dropAllWrites()
  }

  /// Forgets the code that was derived from a page of the memory file: the blocks that began at some addresses, each
  /// with its key.
  func dropCode(page: Int, starts: [UInt64]) {
    context.forgetReturns()
    decoded.remove(page: page)
    views.forEachCode { $0.dropJumps(to: starts) }
  }

  func forgetCode() {
    context.forgetReturns()
    views.forEachCode { $0.clearCode() }
  }

  func forgetDecoded() { decoded.removeAll() }
}

extension Hart {
  /// Where a hart is in its life (SBI HSM, chapter 9.1 of the SBI specification).
  package enum Lifecycle: Sendable, Equatable {
    case stopped
    /// Asked to start at an address with a value in a1.
    case startPending(address: UInt64, argument: UInt64)
    case started
  }
}
