import HostSystem
import MachineControl
import Synchronization
import Testing

/// A machine that only notes what it is asked.
private final class NotingHandler: MachineControlHandler, Sendable {
  struct Notes {
    var requests: [String] = []
    var sizes: [Int64] = []
  }
  let notes = Mutex(Notes())

  private func note(_ request: String) { notes.withLock { $0.requests.append(request) } }

  func configure(_ configuration: MachineConfiguration, descriptors: [Descriptor]) throws(ControlFailure) {
    note("configure \(configuration.name)")
    notes.withLock { notes in notes.sizes = descriptors.map { (try? $0.size()) ?? -1 } }
  }
  func start() throws(ControlFailure) { note("start") }
  func stop() throws(ControlFailure) {
    throw ControlFailure(.unsupported, phase: "asking the guest to end", message: "the board has no button")
  }
  func kill() throws(ControlFailure) { note("kill") }
  func pause() throws(ControlFailure) { note("pause") }
  func resume() throws(ControlFailure) { note("resume") }
  func reset() throws(ControlFailure) { note("reset") }
  func resizeConsole(columns: UInt16, rows: UInt16) throws(ControlFailure) { note("\(columns)x\(rows)") }
  func limitDisk(_ serial: String, _ rates: DiskRates) throws(ControlFailure) { note("limit \(serial)") }
  func resizeDisk(_ serial: String, to size: UInt64) throws(ControlFailure) {
    note("resize \(serial) \(size)")
  }
  func setBalloon(target: UInt64) throws(ControlFailure) { note("balloon \(target)") }
  func status() throws(ControlFailure) -> MachineStatus { MachineStatus(state: .paused, exits: 42) }
  func attachConsole(_ stream: UnixSocket, backlog: UInt32) throws(ControlFailure) {
    note("console \(backlog)")
    _ = try? stream.send(Array("attached".utf8))
  }
  func attach(_ stream: UnixSocket, toPort name: String) throws(ControlFailure) { note("port \(name)") }
  func attach(_ connection: UnixSocket, toDisk serial: String) throws(ControlFailure) {
    note("disk \(serial)")
  }
  func attachBroker(_ broker: UnixSocket) throws(ControlFailure) { note("broker") }
  func checkpoint(_ checkpoint: Checkpoint, descriptors: [Descriptor]) throws(ControlFailure) -> [Descriptor]
  {
    note("checkpoint")
    return checkpoint.sharesMemory ? descriptors : []
  }
  func revert(_ reversion: Reversion, descriptors: [Descriptor]) throws(ControlFailure) {
    note("revert \(reversion.restoration.memory.count) \(descriptors.count)")
  }
}

@Suite struct ControlSocketTests {
  private let handler = NotingHandler()

  /// A client whose server runs on a thread of its own until the client is gone.
  private func withClient(_ body: (ControlClient, ControlServer) throws -> Void) throws {
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let server = try ControlServer(theirs)
    let handler = handler
    let thread = try HostSystem.Thread.start(name: "server") { try? server.serve(handler) }
    defer {
      ours.finishSending()
      thread.join()
    }
    try body(ControlClient(ours), server)
  }

  @Test func carriesRequestsAndReplies() throws {
    try withClient { client, _ in
      for request in [ControlRequest.start, .pause, .resume, .reset, .kill] {
        #expect(try client.call(request) == .done)
      }
      try client.call(.resizeConsole(columns: 80, rows: 24))
      try client.call(.balloon(target: 99))
      #expect(try client.call(.status) == .status(MachineStatus(state: .paused, exits: 42)))
      #expect(
        throws: ControlError.refused(
          ControlFailure(.unsupported, phase: "asking the guest to end", message: "the board has no button"))
      ) { try client.call(.stop) }
    }
    #expect(
      handler.notes.withLock { $0.requests }
        == ["start", "pause", "resume", "reset", "kill", "80x24", "balloon 99"])
  }

  /// More descriptors than one packet takes arrive all, in order.
  @Test func handsOverDescriptors() throws {
    var configuration = Samples.configuration
    configuration.consolePorts = []
    configuration.serial = nil
    let files = try (0..<40).map { number in
      let file = try Descriptor.memory(name: "file")
      try file.truncate(to: Int64(number))
      return file
    }
    try withClient { client, _ in try client.configure(configuration, descriptors: files) }
    #expect(handler.notes.withLock { $0.sizes } == (0..<40).map { Int64($0) })
    #expect(handler.notes.withLock { $0.requests } == ["configure debian-13"])
  }

  /// The machine's end checks for itself.
  @Test func refusesAConfigurationOnBothEnds() throws {
    try withClient { client, _ in
      #expect(throws: ControlError.self) { try client.configure(Samples.configuration, descriptors: []) }
      #expect(throws: ControlError.self) { try client.call(.configure(Samples.configuration)) }
    }
    #expect(handler.notes.withLock { $0.requests.isEmpty })
  }

  @Test func keepsEventsThatComeBeforeAReply() throws {
    try withClient { client, server in
      server.send(.started)
      server.send(.warning(line: "slow disk"))
      try client.call(.start)
      #expect(try client.nextEvent() == .started)
      #expect(try client.nextEvent() == .warning(line: "slow disk"))
      #expect(try client.nextEvent() == nil)
      try client.post(.pause)
      try client.call(.resume)
      #expect(try client.nextEvent() == nil)
    }
  }

  @Test func answersWhatItCannotRead() throws {
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let server = try ControlServer(theirs)
    for bytes in [[1, 2, 3], ControlMessage.reply(id: 1, .done).encoded()] as [[UInt8]] {
      try ours.send(bytes)
    }
    ours.finishSending()
    try server.serve(handler)
    for _ in 0..<2 {
      let reply = try ControlMessage(decoding: ours.receive(capacity: 4096).bytes)
      guard case .reply(0, .refused(let failure)) = reply else { return #expect(Bool(false)) }
      #expect(failure.code == .malformed)
    }
  }

  /// What a controller asked before it went is done, though nobody reads the answers.
  @Test func carriesOutWhatIsLeftBehind() throws {
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let server = try ControlServer(theirs)
    server.send(.started)  // which is never read
    var client: ControlClient? = ControlClient(ours)
    try client?.post(.pause)
    try client?.post(.kill)
    client = nil
    withExtendedLifetime(ours) { ours.finishSending() }
    try server.serve(handler)
    #expect(handler.notes.withLock { $0.requests } == ["pause", "kill"])
  }

  @Test func handsOverSockets() throws {
    try withClient { client, _ in
      let console = try client.attachConsole(backlog: 99)
      #expect(try console.receive(capacity: 64).bytes == Array("attached".utf8))
      let (_, stream) = try UnixSocket.pair(.stream)
      let (_, packets) = try UnixSocket.pair(.sequencedPacket)
      try client.call(.attachPort(name: "agent"), descriptors: [stream.descriptor])
      try client.call(.attachBroker, descriptors: [packets.descriptor])
      try client.call(.attachDisk("data"), descriptors: [stream.descriptor])
      let file = try Descriptor.memory(name: "no socket")
      let wrong: [(ControlRequest, [Descriptor])] = [
        (.attachConsole(backlog: 1), []), (.attachConsole(backlog: 1), [file]),
        (.attachConsole(backlog: 1), [packets.descriptor]),
        (.attachPort(name: "agent"), [packets.descriptor]),
        (.attachDisk("data"), []), (.attachDisk("data"), [packets.descriptor]),
        (.attachBroker, [stream.descriptor]), (.attachBroker, [packets.descriptor, packets.descriptor]),
      ]
      for (request, descriptors) in wrong {
        #expect(throws: ControlError.self) { try client.call(request, descriptors: descriptors) }
      }
    }
    #expect(handler.notes.withLock { $0.requests } == ["console 99", "port agent", "broker", "disk data"])
  }

  @Test func noticesAMachineThatIsGoneOrMad() throws {
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let client = ControlClient(ours)
    #expect(throws: ControlError.timedOut) { try client.call(.status, milliseconds: 1) }
    try theirs.send([1, 2, 3])
    #expect(throws: ControlError.malformed(.truncated)) { try client.nextEvent() }
    try theirs.send(ControlMessage.request(id: 1, .start).encoded())
    #expect(throws: ControlError.misbehaved) { try client.nextEvent() }
    try theirs.send(ControlMessage.reply(id: 77, .done).encoded())
    #expect(throws: ControlError.misbehaved) { try client.call(.status) }
    theirs.finishSending()
    #expect(throws: ControlError.closed) { try client.call(.status) }
  }

  /// A controller that does not read costs warnings, not the machine's time.
  @Test func dropsWarningsRatherThanWait() throws {
    let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
    let server = try ControlServer(theirs)
    for number in 0..<10_000 { server.send(.warning(line: "line \(number)")) }
    #expect(try ControlClient(ours).nextEvent() == .warning(line: "line 0"))
  }
}
