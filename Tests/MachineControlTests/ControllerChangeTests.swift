import Glibc
import HostSystem
import MachineControl
import Synchronization
import Testing

/// A machine that counts what it is asked.
private final class CountingHandler: MachineControlHandler, Sendable {
  let calls = Atomic(0)

  private func count() { calls.wrappingAdd(1, ordering: .relaxed) }
  func configure(_ configuration: MachineConfiguration, descriptors: [Descriptor]) { count() }
  func start() { count() }
  func stop() { count() }
  func kill() { count() }
  func pause() { count() }
  func resume() { count() }
  func reset() { count() }
  func resizeConsole(columns: UInt16, rows: UInt16) { count() }
  func limitDisk(_ serial: String, _ rates: DiskRates) { count() }
  func resizeDisk(_ serial: String, to size: UInt64) { count() }
  func setBalloon(target: UInt64) { count() }
  func status() -> MachineStatus {
    MachineStatus(state: .running, exits: UInt64(calls.load(ordering: .relaxed)))
  }
  func attachConsole(_ stream: UnixSocket, backlog: UInt32) { count() }
  func attach(_ stream: UnixSocket, toPort name: String) { count() }
  func attach(_ connection: UnixSocket, toDisk serial: String) { count() }
  func attachBroker(_ broker: UnixSocket) { count() }
  func checkpoint(_ checkpoint: Checkpoint, descriptors: [Descriptor]) -> [Descriptor] {
    count()
    return []
  }
  func revert(_ reversion: Reversion, descriptors: [Descriptor]) { count() }
}

/// A server with a listener, on a thread of its own, and the path of that.
private final class ListeningServer {
  let path: String
  let server: ControlServer
  let handler = CountingHandler()
  let first: UnixSocket
  private let listener: UnixListener
  private let end = End()

  /// Whether the server has ended. Its thread keeps nothing else of this, so that the path goes with the object.
  private final class End: Sendable {
    let isReached = Atomic(false)
  }

  init() throws {
    path = "/tmp/volary-test-control-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    listener = try UnixListener(path: path, .sequencedPacket)
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    first = ours
    server = try ControlServer(theirs, listener: listener.descriptor)
    _ = try HostSystem.Thread.start(name: "server") { [server, handler, end] in
      try? server.serve(handler)
      end.isReached.store(true, ordering: .releasing)
    }
  }

  func configure(_ client: ControlClient) throws {
    let files = try (0..<Samples.descriptorCount).map { _ in try Descriptor.memory(name: "file") }
    try client.configure(Samples.configuration, descriptors: files)
  }

  func hasEnded(within milliseconds: Int) -> Bool {
    for _ in 0..<milliseconds {
      if end.isReached.load(ordering: .acquiring) { return true }
      usleep(1000)
    }
    return false
  }
}

@Suite struct ControllerChangeTests {
  /// Waits for an event, or the end, which is nil.
  private func next(_ client: ControlClient) throws -> ControlEvent? {
    do { return try client.nextEvent(milliseconds: 10_000) } catch ControlError.closed { return nil }
  }

  @Test func endsWithAControllerThatConfiguredNothing() throws {
    let machine = try ListeningServer()
    _ = try ControlClient(machine.first).call(.status)
    #expect(!machine.hasEnded(within: 20))
    machine.first.finishSending()
    #expect(machine.hasEnded(within: 10_000))
  }

  @Test func servesTheNextController() throws {
    let machine = try ListeningServer()
    let first = ControlClient(machine.first)
    try machine.configure(first)
    machine.first.finishSending()
    for round in 0..<50 {
      let client = try ControlClient(connectingTo: machine.path)
      #expect(try client.call(.pause) == .done)
      #expect(try client.call(.status) == .status(MachineStatus(state: .running, exits: UInt64(2 + round))))
    }
    #expect(!machine.hasEnded(within: 20))
  }

  @Test func aNewControllerTakesOver() throws {
    let machine = try ListeningServer()
    let first = ControlClient(machine.first)
    try machine.configure(first)
    let second = try ControlClient(connectingTo: machine.path)
    #expect(try second.call(.pause) == .done)
    #expect(throws: ControlError.closed) { try first.call(.status) }
    let third = try ControlClient(connectingTo: machine.path)
    #expect(try third.call(.pause) == .done)
    #expect(try next(second) == nil)
    #expect(try third.call(.status) == .status(MachineStatus(state: .running, exits: 3)))
  }

  /// Also while nothing is configured: then it is the new one that is waited with.
  @Test func takesOverBeforeTheConfiguration() throws {
    let machine = try ListeningServer()
    let second = try ControlClient(connectingTo: machine.path)
    _ = try second.call(.status)
    #expect(throws: ControlError.closed) { try ControlClient(machine.first).call(.status) }
    try machine.configure(second)
    #expect(!machine.hasEnded(within: 20))
  }

  @Test func eventsWaitForTheNextController() throws {
    let machine = try ListeningServer()
    try machine.configure(ControlClient(machine.first))
    machine.first.finishSending()
    #expect(try machine.first.receive(capacity: 100).bytes.isEmpty, "its end was seen")
    machine.server.send(.started)
    machine.server.send(.warning(line: "slow"))
    machine.server.send(.guestReset)
    let client = try ControlClient(connectingTo: machine.path)
    #expect(try next(client) == .started)
    #expect(try next(client) == .warning(line: "slow"))
    #expect(try next(client) == .guestReset)
    #expect(try client.nextEvent() == nil)
  }

  /// The oldest go, of what is for a person sooner than of the rest.
  @Test func whatWaitsIsBounded() throws {
    let machine = try ListeningServer()
    try machine.configure(ControlClient(machine.first))
    machine.first.finishSending()
    #expect(try machine.first.receive(capacity: 100).bytes.isEmpty)
    for number in 0..<1000 {
      machine.server.send(.warning(line: "\(number)"))
      machine.server.send(.guestPanicked(message: "\(number)"))
    }
    let client = try ControlClient(connectingTo: machine.path)
    _ = try client.call(.status)
    var events: [ControlEvent] = []
    while let event = try client.nextEvent() { events.append(event) }
    #expect(events.count == 64)
    let notes = events.filter { if case .warning = $0 { true } else { false } }
    #expect(notes == (984..<1000).map { .warning(line: "\($0)") })
    #expect(events.filter { !notes.contains($0) } == (952..<1000).map { .guestPanicked(message: "\($0)") })
  }

  /// Nobody waits for a controller that does not read: neither who tells it something, nor the next controller.
  @Test(.timeLimit(.minutes(10)))
  func aControllerThatDoesNotReadHoldsUpNobody() throws {
    let machine = try ListeningServer()
    try machine.configure(ControlClient(machine.first))
    let stuck = try UnixSocket.connect(toPath: machine.path, .sequencedPacket)
    let status = ControlMessage.request(id: 1, .status).encoded()
    // Until the machine, whose answers have no room any more, takes no requests either.
    var sent = 0
    while try stuck.waitUntilWritable(milliseconds: 200) {
      do { try stuck.send(status) } catch { break }
      sent += 1
    }
    #expect(sent > 100)
    let start = monotonicNanoseconds()
    for number in 0..<10_000 { machine.server.send(.guestPanicked(message: "\(number)")) }
    machine.server.drain(milliseconds: 50)
    #expect(monotonicNanoseconds() - start < 20_000_000_000)
    let client = try ControlClient(connectingTo: machine.path)
    #expect(try client.call(.pause) == .done)
    var last: ControlEvent?
    while let event = try client.nextEvent() { last = event }
    #expect(last == .guestPanicked(message: "9999"))
  }

  /// A controller that reads again gets everything in order.
  @Test func aSlowControllerGetsWhatItWasSent() throws {
    let machine = try ListeningServer()
    let client = ControlClient(machine.first)
    let long = String(repeating: "x", count: 4000)
    for number in 0..<60 { machine.server.send(.guestPanicked(message: "\(number) \(long)")) }
    for number in 0..<60 { #expect(try next(client) == .guestPanicked(message: "\(number) \(long)")) }
  }

  /// Controllers that come and go at any moment, with anything left unread or half said.
  @Test(arguments: 0..<4)
  func survivesControllersOfAnyKind(_ seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    let machine = try ListeningServer()
    try machine.configure(ControlClient(machine.first))
    var clients: [ControlClient] = []
    for _ in 0..<500 {
      switch Int.random(in: 0..<8, using: &generator) {
      case 0, 1: clients.append(try ControlClient(connectingTo: machine.path))
      case 2: if !clients.isEmpty { clients.remove(at: Int.random(in: 0..<clients.count, using: &generator)) }
      case 3: try? clients.last?.post(.status)
      case 4: _ = try? clients.last?.call(.status, milliseconds: 100)
      case 5: machine.server.send(.guestReset)
      case 6: _ = try? clients.randomElement(using: &generator)?.socket.send([1, 2, 3])
      default: clients.randomElement(using: &generator)?.socket.finishSending()
      }
    }
    clients = []
    let last = try ControlClient(connectingTo: machine.path)
    #expect(try last.call(.status) == .status(MachineStatus(state: .running, exits: 1)))
  }
}
