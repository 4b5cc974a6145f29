internal import HostSystem
internal import Synchronization

/// The thread on which a device does its work, away from the CPUs. It sleeps until the driver
/// notifies a queue, a watched descriptor is ready, or the host wants something.
///
/// Sessions begin and end on that thread, one at a time, so a reset is complete when the thread says
/// so: nothing of the old session can be in flight.
final class VirtioWorker: Sendable {
  typealias SessionMaker = @Sendable (SessionContext) -> any VirtioSession

  private enum Command {
    case begin(VirtioActivation, make: SessionMaker, Completion)
    case end(Completion)
    case drain(Completion)
    case stopQueue(Int, Completion)
    case hostChanged
    /// Says that it rests, and does until the second is complete.
    case hold(Completion, until: Completion)
    case quit
  }

  private struct State {
    var commands: [Command] = []
    var thread: Thread?
    var isStopped = false
    /// By queue; those that were asked for.
    var doorbells: [Int: EventCounter] = [:]
    /// Where a configuration change is told, while a session lives.
    var transport: (any VirtioTransport)?
    /// Completed when the thread may go on that was held.
    var release: Completion?
  }

  private static let wakeToken = UInt64.max
  /// The token of the first queue's doorbell; the others' follow, up to ``wakeToken``.
  private static let doorbellTokens = UInt64.max - 64

  private let name: String
  fileprivate let counter: EventCounter
  let poller: Poller
  private let state = Mutex(State())
  /// A bit for each queue notified since the worker last looked.
  private let notified = Atomic<UInt64>(0)
  private let hasCommands = Atomic(false)

  init(name: String) throws(Errno) {
    self.name = name
    counter = try EventCounter()
    poller = try Poller()
    try poller.add(counter.descriptor.raw, .read, token: Self.wakeToken)
  }

  var isWanted: Bool { hasCommands.load(ordering: .relaxed) }

  // MARK: - From other threads

  func notify(queue: Int) {
    let old = notified.bitwiseOr(1 << UInt64(queue), ordering: .acquiringAndReleasing).oldValue
    if old == 0 { counter.signal() }
  }

  /// What a host signals that sees notifications of a queue in our place.
  func doorbell(queue: Int) throws(Errno) -> EventCounter {
    try state.withLock { state throws(Errno) in
      if let counter = state.doorbells[queue] { return counter }
      let counter = try EventCounter()
      try poller.add(counter.descriptor.raw, .read, token: Self.doorbellTokens + UInt64(queue))
      state.doorbells[queue] = counter
      return counter
    }
  }

  /// The queues whose doorbells have rung, a bit for each.
  private func takeRung(_ events: [Poller.Event]) -> UInt64 {
    events.reduce(0) { queues, event in
      guard (Self.doorbellTokens..<Self.wakeToken).contains(event.token) else { return queues }
      let queue = Int(event.token - Self.doorbellTokens)
      state.withLock { $0.doorbells[queue] }?.drain()
      return queues | 1 << UInt64(queue)
    }
  }

  /// Begins a session, which `make` builds on the worker's thread.
  func begin(_ activation: VirtioActivation, make: @escaping SessionMaker) throws(Errno) {
    try state.withLock { state throws(Errno) in
      guard !state.isStopped else { throw Errno.invalid }
      if state.thread == nil {
        state.thread = try Thread.start(name: name) { self.run() }
      }
      state.transport = activation.transport
    }
    ask { .begin(activation, make: make, $0) }
  }

  /// Ends the session, if there is one, and waits until nothing of it is left.
  func end() {
    state.withLock { $0.transport = nil }
    ask { .end($0) }
  }

  func stop(queue: Int) { ask { .stopQueue(queue, $0) } }

  /// Has the thread rest until ``release()``; returns when it does.
  func hold() {
    let until = Completion()
    state.withLock { $0.release = until }
    ask { .hold($0, until: until) }
  }

  func release() {
    state.withLock { state in
      defer { state.release = nil }
      return state.release
    }?.complete()
  }

  /// Has the session look at what the host changed.
  func hostChanged() { post(.hostChanged) }

  /// Tells the driver of a change to the configuration space, if there is a driver.
  func raiseConfigurationChange() { state.withLock { $0.transport }?.raiseConfigurationChange() }

  /// Ends the session and the thread, when what the guest gave away is where it was to go.
  func stop() {
    ask { .drain($0) }
    end()
    let thread = state.withLock { state in
      state.isStopped = true
      defer { state.thread = nil }
      return state.thread
    }
    guard let thread else { return }
    state.withLock { $0.commands.append(.quit) }
    hasCommands.store(true, ordering: .releasing)
    counter.signal()
    thread.join()
  }

  private func ask(_ command: (Completion) -> Command) {
    let done = Completion()
    if post(command(done)) { done.wait() }
  }

  /// False when there is no thread, and so no session, that could take a command.
  @discardableResult
  private func post(_ command: Command) -> Bool {
    let isPosted = state.withLock { state in
      guard state.thread != nil else { return false }
      state.commands.append(command)
      hasCommands.store(true, ordering: .releasing)
      return true
    }
    if isPosted { counter.signal() }
    return isPosted
  }

  // MARK: - The thread

  private func run() {
    var current: (session: any VirtioSession, context: SessionContext)?

    func finish() {
      current?.session.end()
      current?.context.close()
      current = nil
    }

    /// Lets the session work; what it throws is its end.
    func work(_ body: (any VirtioSession) throws(QueueError) -> Void) {
      guard let (session, context) = current else { return }
      do {
        try body(session)
      } catch {
        context.transport.needsReset("\(error)")
        finish()
      }
    }

    while true {
      let events = (try? poller.wait()) ?? []
      if events.contains(where: { $0.token == Self.wakeToken }) { counter.drain() }
      for command in takeCommands() {
        switch command {
        case .begin(let activation, let make, let done):
          finish()
          let context = SessionContext(activation, worker: self)
          current = (make(context), context)
          done.complete()
          work { session throws(QueueError) in try session.begin() }
          for queue in activation.queues.indices { notify(queue: queue) }
        case .end(let done):
          finish()
          done.complete()
        case .drain(let done):
          current?.session.drain()
          done.complete()
        case .stopQueue(let queue, let done):
          current?.session.rest()
          current?.context.queue(queue)?.stop()
          done.complete()
          work { session throws(QueueError) in try session.wake() }
        case .hostChanged:
          work { session throws(QueueError) in try session.hostChanged() }
        case .hold(let rests, let until):
          current?.session.rest()
          rests.complete()
          until.wait()
          work { session throws(QueueError) in try session.wake() }
        case .quit:
          return finish()
        }
      }
      var queues = notified.exchange(0, ordering: .acquiringAndReleasing) | takeRung(events)
      while queues != 0 {
        let queue = queues.trailingZeroBitCount
        queues &= queues - 1
        work { session throws(QueueError) in try session.process(queue: queue) }
      }
      for event in events where event.token < Self.doorbellTokens {
        work { session throws(QueueError) in try session.ready(token: event.token) }
      }
    }
  }

  private func takeCommands() -> [Command] {
    guard hasCommands.load(ordering: .acquiring) else { return [] }
    return state.withLock { state in
      hasCommands.store(false, ordering: .releasing)
      defer { state.commands = [] }
      return state.commands
    }
  }
}
