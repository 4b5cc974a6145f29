package import GuestMemory
package import HostSystem
internal import Synchronization
package import Translator

/// What a machine's harts ask of the world around them.
package protocol HartClusterDelegate: AnyObject, Sendable {
  /// The guest asked to be powered off or reset, through SBI.
  func guestRequested(_ request: SystemResetRequest)
  /// The guest wrote to SBI's debug console.
  func debugConsoleWrite(_ bytes: UnsafeRawBufferPointer)
  /// Something about the guest worth a line in the log.
  func report(_ line: String)
}

/// What SBI's SRST extension can ask.
package enum SystemResetRequest: Sendable, Equatable {
  case powerOff(failed: Bool)
  case reset
}

/// All harts of a machine and what they share: the clock, the translated code, and the ways to make
/// each other look up.
package final class HartCluster: @unchecked Sendable {  // `harts` is set once, before threads start
  package let memory: GuestMemory
  package let bus: any PhysicalBus
  package let clock: MachineClock
  /// Translated code; nil when the interpreter runs the machine.
  package let code: CodeStore?
  /// Bytes of translated code; 0 without it.
  package var codeBytes: UInt64 { UInt64(code?.statistics.codeBytes ?? 0) }
  package private(set) var harts: [Hart] = []
  /// What is run often, on whichever hart.
  let heat = HeatTable()
  package var delegate: (any HartClusterDelegate)?
  /// The largest satp mode that guests may choose.
  package let widestPaging: UInt64
  /// Whether harts count the instructions that they carry out (``ContextLayout/instructionsRetired``).
  package let countsInstructions: Bool

  /// Set while the harts must hold still or end.
  private let halted = Atomic<UInt32>(0)
  private let timerWord = Atomic<UInt32>(0)
  private let timerTarget = Atomic<UInt64>(.max)
  private let emptied = Atomic<UInt32>(0)
  private let emptying = Atomic<Bool>(false)
  private let claiming = Atomic<Bool>(false)
  private let ended = Atomic<Bool>(false)

  package init(
    harts count: Int, memory: GuestMemory, bus: any PhysicalBus, clock: MachineClock, code: CodeStore?,
    widestPaging: UInt64 = PageWalk.Mode.sv39, countsInstructions: Bool = false
  ) throws(Errno) {
    self.memory = memory
    self.bus = bus
    self.clock = clock
    self.code = code
    self.widestPaging = widestPaging
    self.countsInstructions = code?.countsInstructions ?? countsInstructions
    let miss = code?.missTarget ?? Self.noCode
    for id in 0..<count {
      harts.append(try Hart(id: id, cluster: self, memory: memory, bus: bus, missTarget: miss))
    }
    // Not weak: a weak reference would make every retain of the cluster a slow one.
    memory.observeCodeWrites { [unowned(unsafe) self] pages in
      for page in pages where memory.flags(ofPage: page) & GuestMemory.PageFlag.code != 0 {
        codeWritten(page: page)
      }
    }
  }

  deinit { memory.observeCodeWrites { _ in } }

  /// A jump target for machines without translated code; never jumped to.
  private nonisolated(unsafe) static let noCode = UnsafeRawPointer(bitPattern: 8)!

  // MARK: - Code

  /// Drops what was derived from a page that is about to be, or has been, written. Harts other than
  /// the writer may run the old code until their next FENCE.I, as the architecture allows.
  package func codeWritten(page: Int) {
    let marks = GuestMemory.PageFlag.code | GuestMemory.PageFlag.codeReady
    var starts: [UInt64] = []
    if let code {
      starts = code.invalidate(page: page) { memory.clearFlags(marks, ofPage: page) }
    } else {
      memory.clearFlags(marks, ofPage: page)
    }
    for hart in harts {
      _ = hart.post(.dropCode(page: page, starts: starts))
      hart.kick()
    }
  }

  /// Drops all that was derived from memory. No hart may run.
  package func forgetCode() {
    code?.removeAll()
    for hart in harts {
      hart.forgetCode()
      hart.forgetTranslations()
      hart.forgetDecoded()
    }
  }

  /// Whether code may be derived from a page: whoever writes it from now on drops that code.
  func isClaimed(page: Int) -> Bool { memory.flags(ofPage: page) & GuestMemory.PageFlag.codeReady != 0 }

  /// Marks a page as holding code and takes away every hart's cached right to write it. Other harts'
  /// requests are served meanwhile, so that what the caller knew of translations may be out of date.
  func claimCode(page: Int, for hart: Hart) {
    // One hart at a time: a second one that finds the mark must not take the page for ready while writers
    // still hold on to it.
    while !claiming.compareExchange(expected: false, desired: true, ordering: .sequentiallyConsistent)
      .exchanged
    {
      hart.serveRequests()
      hostYield()
    }
    let old = memory.setFlags(GuestMemory.PageFlag.code, ofPage: page)
    if old & GuestMemory.PageFlag.writeCached != 0 {
      memory.clearFlags(GuestMemory.PageFlag.writeCached, ofPage: page)
      hart.dropWrites(page: page)
      if harts.count > 1 {
        broadcast(.dropWrites(page: page), to: { $0 != hart.id }, from: hart)
      }
    }
    // Unless it was written, and lost its mark, in between.
    memory.setFlags(GuestMemory.PageFlag.codeReady, ofPage: page, if: GuestMemory.PageFlag.code)
    claiming.store(false, ordering: .sequentiallyConsistent)
  }

  /// Carries out a request on every hart and waits until all have done it, or will before it matters to them.
  func broadcast(_ request: HartRequest, to chosen: (Int) -> Bool = { _ in true }, from hart: Hart) {
    var waiting: [(hart: Hart, ticket: UInt64)] = []
    for other in harts where chosen(other.id) {
      let ticket = other.post(request)
      guard other !== hart, other.mustServeNow(request) else { continue }
      other.kick()
      waiting.append((other, ticket))
    }
    hart.serveRequests()
    for (other, ticket) in waiting { hart.wait(for: other, ticket) }
  }

  /// Empties the full code cache while no hart is in it.
  func emptyCache(by hart: Hart) {
    guard let code else { return }
    let (first, _) = emptying.compareExchange(
      expected: false, desired: true, ordering: .sequentiallyConsistent)
    guard first else {
      hart.serveRequests()
      return
    }
    let generation = emptied.load(ordering: .sequentiallyConsistent)
    let others = harts.filter { $0 !== hart }.map { ($0, $0.post(.quiesce(generation: generation))) }
    for (other, _) in others { other.kick() }
    for (other, ticket) in others {
      while !other.hasServed(ticket) {
        hart.serveRequests()
        hostYield()
      }
    }
    code.removeAll()
    hart.forgetCode()
    emptying.store(false, ordering: .sequentiallyConsistent)
    emptied.add(1, ordering: .sequentiallyConsistent)
  }

  /// Whether the cache that was full in `generation` has been emptied.
  func isCacheEmptied(since generation: UInt32) -> Bool {
    emptied.load(ordering: .sequentiallyConsistent) != generation
  }

  // MARK: - Time

  /// Runs the timer until ``end()``: raises each hart's timer interrupt when it is due. The body of
  /// a host thread.
  package func runTimer() {
    while !ended.load(ordering: .acquiring) {
      let word = timerWord.load(ordering: .sequentiallyConsistent)
      var next = UInt64.max
      let now = clock.now
      for hart in harts {
        let deadline = hart.deadline.load(ordering: .sequentiallyConsistent)
        if deadline <= now {
          hart.setPending(InterruptBit.timer, true)
        } else {
          next = min(next, deadline)
        }
      }
      timerTarget.store(next, ordering: .sequentiallyConsistent)
      if timerWord.load(ordering: .sequentiallyConsistent) != word { continue }
      let limit = clock.nanoseconds(until: next)
      if limit == 0 { continue }
      withUnsafePointer(to: timerWord) {
        futexWait(UnsafeRawPointer($0), expected: word, nanoseconds: limit)
      }
    }
  }

  /// A hart has set its timer; the timer thread is woken if that comes before what it waits for.
  func timerChanged(to ticks: UInt64) {
    guard ticks < timerTarget.load(ordering: .sequentiallyConsistent) else { return }
    timerWord.add(1, ordering: .sequentiallyConsistent)
    withUnsafePointer(to: timerWord) { futexWake(UnsafeRawPointer($0)) }
  }

  // MARK: - Lifecycle

  /// Whether harts must leave their run loops.
  package var isHalted: Bool { halted.load(ordering: .sequentiallyConsistent) != 0 }

  /// Makes every hart leave its run loop, or lets them run again.
  package func setHalted(_ on: Bool) {
    halted.store(on ? 1 : 0, ordering: .sequentiallyConsistent)
    if on { for hart in harts { hart.kick() } }
  }

  /// Ends the timer.
  package func end() {
    setHalted(true)
    ended.store(true, ordering: .releasing)
    timerWord.add(1, ordering: .sequentiallyConsistent)
    withUnsafePointer(to: timerWord) { futexWake(UnsafeRawPointer($0)) }
  }

  /// Puts all harts in their power-on state: the first about to start at `entry`, the others stopped.
  package func reset(entry: UInt64, argument: UInt64) {
    for hart in harts {
      hart.reset()
      hart.lifecycle.withLock {
        $0 = hart.id == 0 ? .startPending(address: entry, argument: argument) : .stopped
      }
    }
  }
}
