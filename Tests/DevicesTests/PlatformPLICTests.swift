internal import Devices
internal import HostSystem
internal import Synchronization
internal import Testing

/// The controller against the RISC-V PLIC Specification 1.0, chapter by chapter.
@Suite("PLIC") struct PlatformPLICTests {
  /// A controller with three contexts, accessed as a guest does.
  struct Board {
    let pins = [PlatformPin(), PlatformPin(), PlatformPin()]
    let plic: PLIC

    init(sources: Int = 95) {
      plic = PLIC(
        sources: sources, contexts: pins.enumerated().map { PLIC.Context(hart: $0.offset, pin: $0.element) })
    }

    func read(_ offset: UInt64) throws -> UInt32 { UInt32(try plic.read(offset: offset, width: 4)) }
    func write(_ offset: UInt64, _ value: UInt32) throws {
      try plic.write(offset: offset, width: 4, value: UInt64(value))
    }

    func setPriority(_ source: Int, _ priority: UInt32) throws { try write(UInt64(4 * source), priority) }
    func setEnable(_ context: Int, _ sources: [Int]) throws {
      for word in 0..<3 {
        var bits: UInt32 = 0
        for source in sources where source / 32 == word { bits |= 1 << UInt32(source % 32) }
        try write(UInt64(0x2000 + 0x80 * context + 4 * word), bits)
      }
    }
    func setThreshold(_ context: Int, _ value: UInt32) throws {
      try write(UInt64(0x20_0000 + 0x1000 * context), value)
    }
    func claim(_ context: Int) throws -> UInt32 { try read(UInt64(0x20_0004 + 0x1000 * context)) }
    func complete(_ context: Int, _ source: UInt32) throws {
      try write(UInt64(0x20_0004 + 0x1000 * context), source)
    }
    func isPending(_ source: Int) throws -> Bool {
      try read(UInt64(0x1000 + source / 32 * 4)) >> UInt32(source % 32) & 1 == 1
    }
  }

  @Test func claimsByPriorityThenLowestNumber() throws {
    let board = Board()
    let priorities: [(Int, UInt32)] = [(1, 1), (5, 3), (31, 7), (32, 7), (33, 3), (64, 2), (95, 7)]
    for (source, priority) in priorities { try board.setPriority(source, priority) }
    try board.setEnable(0, priorities.map(\.0))
    for (source, _) in priorities.reversed() { board.plic.setInput(source, level: true) }
    var order: [UInt32] = []
    while board.pins[0].level { order.append(try board.claim(0)) }
    #expect(order == [31, 32, 95, 5, 33, 64, 1])
    #expect(try board.claim(0) == 0)
  }

  @Test func priorityZeroNeverInterrupts() throws {
    let board = Board()
    try board.setEnable(0, [4])
    board.plic.setInput(4, level: true)
    #expect(try board.isPending(4))
    #expect(!board.pins[0].level)
    #expect(try board.claim(0) == 0)
    try board.setPriority(4, 1)
    #expect(board.pins[0].level)
  }

  @Test(arguments: 0...7 as ClosedRange<UInt32>) func thresholdMasksUpToItself(threshold: UInt32) throws {
    let board = Board()
    try board.setEnable(1, [9])
    try board.setThreshold(1, threshold)
    board.plic.setInput(9, level: true)
    for priority in 0...7 as ClosedRange<UInt32> {
      try board.setPriority(9, priority)
      #expect(board.pins[1].level == (priority > threshold))
    }
    // "The claim operation is not affected by the setting of the priority threshold register."
    #expect(try board.claim(1) == 9)
  }

  @Test func enablesAreEachContextsOwn() throws {
    let board = Board()
    for source in [10, 40] { try board.setPriority(source, 1) }
    try board.setEnable(0, [10])
    try board.setEnable(2, [10, 40])
    board.plic.setInput(40, level: true)
    #expect(board.pins.map(\.level) == [false, false, true])
    board.plic.setInput(10, level: true)
    #expect(board.pins.map(\.level) == [true, false, true])
    // One of those notified gets it; to the others it is gone.
    #expect(try board.claim(2) == 10)
    #expect(board.pins.map(\.level) == [false, false, true])
    #expect(try board.claim(0) == 0)
    #expect(try board.claim(1) == 0)
    #expect(try board.claim(2) == 40)
    #expect(board.pins.map(\.level) == [false, false, false])
  }

  @Test func aLevelPendsAgainOnCompletion() throws {
    let board = Board()
    try board.setPriority(3, 1)
    try board.setEnable(0, [3])
    board.plic.setInput(3, level: true)
    #expect(try board.claim(0) == 3)
    // In service: neither the level nor new edges get through the gateway.
    board.plic.setInput(3, level: false)
    board.plic.setInput(3, level: true)
    #expect(!board.pins[0].level)
    #expect(try !board.isPending(3))
    try board.complete(0, 3)
    #expect(board.pins[0].level)
    #expect(try board.claim(0) == 3)
    board.plic.setInput(3, level: false)
    try board.complete(0, 3)
    #expect(!board.pins[0].level)
    #expect(try board.claim(0) == 0)
  }

  @Test func aRequestIsNotRetracted() throws {
    let board = Board()
    try board.setPriority(3, 1)
    try board.setEnable(0, [3])
    board.plic.setInput(3, level: true)
    board.plic.setInput(3, level: false)
    #expect(board.pins[0].level)
    #expect(try board.claim(0) == 3)
    try board.complete(0, 3)
    #expect(!board.pins[0].level)
  }

  @Test func completionByOthersIsIgnored() throws {
    let board = Board()
    try board.setPriority(7, 1)
    try board.setEnable(0, [7])
    board.plic.setInput(7, level: true)
    #expect(try board.claim(0) == 7)
    try board.complete(1, 7)  // not enabled for this context
    #expect(try board.claim(0) == 0)
    try board.complete(0, 8)  // another source
    try board.complete(0, 0)
    try board.complete(0, 96)
    try board.complete(0, .max)
    #expect(try board.claim(0) == 0)
    try board.setEnable(0, [])
    try board.complete(0, 7)  // no longer enabled
    try board.setEnable(0, [7])
    #expect(try board.claim(0) == 0)
    // Any context that has it enabled may complete it.
    try board.setEnable(2, [7])
    try board.complete(2, 7)
    #expect(try board.claim(0) == 7)
  }

  @Test func completionWithoutClaimChangesNothing() throws {
    let board = Board()
    try board.setPriority(7, 1)
    try board.setEnable(0, [7])
    board.plic.setInput(7, level: true)
    try board.complete(0, 7)
    #expect(try board.claim(0) == 7)
    #expect(try board.claim(0) == 0)
  }

  @Test func registersKeepWhatExists() throws {
    let board = Board(sources: 95)
    for offset in stride(from: 0, to: 0x1000, by: 4) as StrideTo<UInt64> {
      try board.write(offset, .max)
      #expect(try board.read(offset) == (offset > 0 && offset <= 95 * 4 ? 7 : 0))
    }
    for word in 0..<32 as Range<UInt64> {
      try board.write(0x2080 + 4 * word, .max)
      #expect(try board.read(0x2080 + 4 * word) == (word == 0 ? ~1 : word < 3 ? .max : 0))
      #expect(try board.read(0x2000 + 4 * word) == 0)
    }
    try board.write(0x20_1000, .max)
    #expect(try board.read(0x20_1000) == 7)
    #expect(throws: BusFault.forbidden) { try board.write(0x1000, 2) }
    #expect(throws: BusFault.noRegister) { try board.read(0x20_0008) }
    #expect(throws: BusFault.noRegister) { try board.read(0x20_3000) }  // a fourth context
    #expect(throws: BusFault.noRegister) { try board.read(0x2180) }
    #expect(throws: BusFault.noRegister) { try board.read(0x1080) }
    #expect(throws: BusFault.badWidth) { try board.plic.read(offset: 0, width: 8) }
    #expect(throws: BusFault.badWidth) { try board.plic.read(offset: 2, width: 4) }
  }

  @Test(arguments: [1, 31, 32, 63, 96, 1023]) func theLastSourceWorks(sources: Int) throws {
    let pin = PlatformPin()
    let plic = PLIC(sources: sources, contexts: [PLIC.Context(hart: 0, pin: pin)])
    try plic.write(offset: UInt64(4 * sources), width: 4, value: 1)
    try plic.write(offset: UInt64(0x2000 + sources / 32 * 4), width: 4, value: 0xFFFF_FFFF)
    plic.setInput(sources, level: true)
    #expect(pin.level)
    #expect(try plic.read(offset: 0x20_0004, width: 4) == UInt64(sources))
  }

  @Test func resetKeepsTheWires() throws {
    let board = Board()
    try board.setPriority(3, 1)
    try board.setEnable(0, [3])
    board.plic.setInput(3, level: true)
    _ = try board.claim(0)
    board.plic.reset()
    #expect(!board.pins[0].level)
    #expect(try board.read(12) == 0)
    #expect(try board.read(0x2000) == 0)
    #expect(try board.isPending(3))
  }

  @Test func stateMovesToAnotherController() throws {
    let board = Board()
    for source in [3, 50, 80] { try board.setPriority(source, UInt32(source / 20) + 1) }
    try board.setEnable(0, [3, 50])
    try board.setEnable(1, [80])
    try board.setThreshold(1, 6)
    for source in [3, 50, 80] { board.plic.setInput(source, level: true) }
    #expect(try board.claim(0) == 50)

    let other = Board()
    other.plic.state = board.plic.state
    #expect(other.plic.state == board.plic.state)
    #expect(other.pins.map(\.level) == [true, false, false])
    try other.complete(0, 50)
    #expect(try other.claim(0) == 50)
    #expect(try other.claim(0) == 3)
    #expect(try other.claim(1) == 80)
  }

  @Test func aStrangeStateIsBroughtIntoRange() throws {
    let board = Board()
    var state = board.plic.state
    state.priorities = [UInt32](repeating: .max, count: 3)
    state.pending = [UInt32](repeating: .max, count: 100)
    state.inService = []
    state.enables = [UInt32](repeating: .max, count: 4)
    state.thresholds = [.max]
    board.plic.state = state
    let fitted = board.plic.state
    #expect(fitted.priorities.count == 96 && fitted.priorities.prefix(4) == [0, 7, 7, 0])
    #expect(fitted.pending == [~1, .max, .max])
    #expect(fitted.enables == [~1, .max, .max, ~1, 0, 0, 0, 0, 0])
    #expect(fitted.thresholds == [7, 0, 0])
    #expect(try board.claim(0) == 1)
  }

  // MARK: - Threads

  /// A device whose line is high while it has work, as a driver sees it.
  private final class Device: Sendable {
    let line: InterruptLine
    private let work = Mutex(0)
    init(_ line: InterruptLine) { self.line = line }

    func add() {
      work.withLock {
        $0 += 1
        line.setLevel(true)
      }
    }

    func takeAll() -> Int {
      work.withLock { work in
        defer { work = 0 }
        line.setLevel(false)
        return work
      }
    }
  }

  /// Devices raise from their threads; handlers that look at nothing but their pin claim, serve and
  /// complete. Were one interrupt lost, work would be left and the handlers would wait until they give up.
  @Test(arguments: [1, 2]) func noInterruptIsLost(handlers: Int) throws {
    let board = Board()
    let items = 20_000
    let sources = [1, 33, 34, 95]
    let devices = sources.map { Device(InterruptLine(sink: board.plic, input: $0)) }
    for source in sources { try board.setPriority(source, UInt32(source % 7 + 1)) }
    for context in 0..<handlers { try board.setEnable(context, sources) }

    let served = Atomic<Int>(0)
    let total = items * sources.count
    let giveUp = monotonicNanoseconds() + 30_000_000_000
    try withThreads(sources.count + handlers) { index in
      if index < sources.count {
        for _ in 0..<items { devices[index].add() }
        return
      }
      let context = index - sources.count
      while served.load(ordering: .relaxed) < total {
        guard board.pins[context].level else {
          if monotonicNanoseconds() > giveUp { return }
          continue
        }
        let source = (try? board.claim(context)) ?? 0
        guard let place = sources.firstIndex(of: Int(source)) else { continue }
        served.add(devices[place].takeAll(), ordering: .relaxed)
        try? board.complete(context, source)
      }
    }
    #expect(served.load(ordering: .relaxed) == total)
    // What was raised while it was served may have pended once more; then all is quiet.
    while board.pins[0].level { try board.complete(0, try board.claim(0)) }
    #expect(board.plic.state.pending == [0, 0, 0])
    #expect(board.plic.state.inputs == [0, 0, 0])
  }

  private func withThreads(_ count: Int, _ body: (Int) -> Void) throws {
    // The threads have ended before this returns.
    try withoutActuallyEscaping(body) { body in
      nonisolated(unsafe) let body = body
      let threads = try (0..<count).map { index in
        try HostSystem.Thread.start(name: "plic-\(index)") { body(index) }
      }
      for thread in threads { thread.join() }
    }
  }
}
