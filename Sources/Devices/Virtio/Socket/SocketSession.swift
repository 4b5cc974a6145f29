internal import HostSystem

/// A socket device at work: its connections, and the turns in which they have something for the guest.
final class SocketSession: VirtioSession {
  enum QueueIndex {
    static let receive = 0
    static let transmit = 1
    static let event = 2
  }

  /// The token of the broker's socket; connections have the numbers above.
  static let brokerToken: UInt64 = 0
  /// Packets that a queue may move before others have their turn.
  private static let turn = 256
  /// Resets that may wait for the driver's buffers before no more is taken of what could call for another.
  private static let mostResets = 256
  /// Bytes of data in a packet.
  private static let mostData = 64 << 10
  /// The event that tells of connections that are gone (`VIRTIO_VSOCK_EVENT_TRANSPORT_RESET`, §5.10.6.7).
  private static let transportReset: UInt32 = 0

  /// What is still to be done about the connections of a driver that goes on from a snapshot.
  private enum Farewell: Equatable {
    /// It is to be told that they are gone.
    case owed
    /// It was told in one of so many buffers, and has ended them when it gives that one back.
    case told(buffers: Int)
    case done
  }

  let device: VirtioSocket
  let context: SessionContext
  /// The device's, until the host changes it.
  var broker: UnixSocket
  /// All connections, by token.
  var connections: [UInt64: SocketConnection] = [:]
  /// Those that the guest knows or is about to know.
  var byPorts: [SocketPorts: SocketConnection] = [:]
  /// Those that wait for the broker.
  var byRequest: [UInt32: SocketConnection] = [:]
  private var lastToken = brokerToken
  /// From anywhere: a guest that goes on from a snapshot ignores who calls from the port of a connection of then.
  var lastHostPort = UInt32.random(in: hostPorts)
  /// Connections with something for the guest, each once.
  private var turns: [SocketConnection] = []
  /// Answers to what made no sense, and ends of connections.
  private var resets: [SocketHeader] = []
  /// The driver has buffers for packets, as far as is known.
  private var hasRoom = false
  /// Packets of the driver wait until resets are sent.
  private var isHeldBack = false
  private var farewell: Farewell
  /// Whether the driver may be asked for connections: it would end them with those of before.
  var mayRequest: Bool { farewell == .done }

  init(device: VirtioSocket, context: SessionContext) {
    self.device = device
    self.context = context
    broker = device.broker
    farewell = context.isResumed ? .owed : .done
  }

  // MARK: - Events

  func begin() throws(QueueError) {
    context.watch(broker.descriptor, for: .read, token: Self.brokerToken)
  }

  func hostChanged() throws(QueueError) {
    replaceBroker()
    try deliver()
  }

  func process(queue index: Int) throws(QueueError) {
    switch index {
    case QueueIndex.receive: hasRoom = true
    case QueueIndex.transmit: try takePackets()
    default: try sendEvents()
    }
    try deliver()
  }

  func ready(token: UInt64) throws(QueueError) {
    if token == Self.brokerToken {
      takeFromBroker()
    } else if let connection = connections[token] {
      ready(connection)
    }
    try deliver()
  }

  func end() {
    for connection in Array(connections.values) { drop(connection) }
  }

  // MARK: - Connections

  /// Makes a connection, unless there are too many. One that the guest has not said goodbye to makes room.
  func makeConnection(
    _ ports: SocketPorts, _ phase: SocketConnection.Phase, _ channel: HostChannel? = nil
  ) -> SocketConnection? {
    if connections.count >= VirtioSocket.mostConnections {
      guard let other = connections.values.first(where: { $0.phase == .closing }) else { return nil }
      reset(other)
    }
    lastToken += 1
    let connection = SocketConnection(token: lastToken, ports: ports, phase: phase, channel: channel)
    connections[lastToken] = connection
    return connection
  }

  /// Forgets a connection, and closes the host's socket.
  func drop(_ connection: SocketConnection) {
    forget(connection)
    letGo(connection)
    connections[connection.token] = nil
  }

  /// As ``drop(_:)``, and the guest is told.
  func reset(_ connection: SocketConnection) {
    let isKnown = connection.phase != .greeting && !connection.notices.contains(.request)
    if isKnown { resets.append(header(SocketHeader.Operation.reset, connection.ports)) }
    drop(connection)
  }

  /// Ends a connection for the guest, which may use its port again. What it sent before still goes to the host.
  func finish(_ connection: SocketConnection) {
    forget(connection)
    guard !connection.buffer.isEmpty, connection.channel != nil else { return drop(connection) }
    connection.phase = .lingering
    watch(connection)
  }

  private func forget(_ connection: SocketConnection) {
    if byPorts[connection.ports] === connection { byPorts[connection.ports] = nil }
    byRequest[connection.request] = nil
    connection.notices = []
    connection.isReadable = false
  }

  private func letGo(_ connection: SocketConnection) {
    guard let channel = connection.channel else { return }
    context.watch(channel.descriptor, for: [], token: connection.token)
    connection.channel = nil
  }

  /// Answers a packet that makes no sense.
  func refuse(_ header: SocketHeader) {
    if header.operation != SocketHeader.Operation.reset { resets.append(SocketHeader(resetting: header)) }
  }

  private func header(_ operation: UInt16, _ ports: SocketPorts) -> SocketHeader {
    SocketHeader(from: VirtioSocket.hostCID, to: device.guestCID, ports, operation)
  }

  /// Brings everything up to date after a connection changed.
  func settle(_ connection: SocketConnection) {
    if connection.phase == .open, connection.hasInputEnded, connection.isOutputGone {
      connection.phase = .closing
      letGo(connection)
    }
    connection.askForCredit()
    takeTurn(connection)
    watch(connection)
  }

  private func takeTurn(_ connection: SocketConnection) {
    let hasSomething = !connection.notices.isEmpty || connection.isReadable && connection.wantsInput
    guard hasSomething, !connection.isInTurn, connection.phase != .lingering else { return }
    connection.isInTurn = true
    turns.append(connection)
  }

  /// Watches the host's socket for what could go on, and for nothing else.
  private func watch(_ connection: SocketConnection) {
    guard let channel = connection.channel else { return }
    var interest: Poller.Interest = []
    switch connection.phase {
    case .greeting: interest = .read
    case .requested: interest = .hangUp
    case .lingering: interest = .write
    case .open:
      if connection.wantsInput, !connection.isReadable { interest.insert(.read) }
      if !connection.buffer.isEmpty { interest.insert(.write) }
      if connection.isInputOver { interest.insert(.hangUp) }
    case .connecting, .closing: break
    }
    context.watch(channel.descriptor, for: interest, token: connection.token)
  }

  // MARK: - From the driver

  private func takePackets() throws(QueueError) {
    guard let queue = context.queue(QueueIndex.transmit) else { return }
    defer { context.signal(queue) }
    var count = 0
    repeat {
      queue.suppressNotifications()
      while true {
        // Each packet may call for a reset.
        guard resets.count < Self.mostResets else { return isHeldBack = true }
        guard var chain = try queue.next() else { break }
        if let header = SocketHeader(&chain.reader) { take(header, &chain.reader) }
        queue.complete(chain, written: 0)
        count += 1
        if count == Self.turn || context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }

  // MARK: - To the driver

  /// Sends the guest what is due, as far as it has room.
  private func deliver() throws(QueueError) {
    guard hasRoom, let queue = context.queue(QueueIndex.receive) else { return }
    defer { context.signal(queue) }
    queue.suppressNotifications()
    for _ in 0..<Self.turn {
      guard !resets.isEmpty || !turns.isEmpty else { return }
      if context.isWanted { break }
      let mark = queue.mark
      guard var chain = try queue.next() else {
        if queue.allowNotifications() { continue }
        hasRoom = false
        return
      }
      guard chain.writer.remaining > SocketHeader.size else { throw .bufferTooSmall }
      var start = chain.writer
      chain.writer.skip(SocketHeader.size)
      guard let header = nextPacket(&chain.writer) else {
        queue.rewind(to: mark)
        continue
      }
      header.write(to: &start)
      let written = chain.writer.written
      queue.complete(chain, written: written)
    }
    context.reschedule(queue)
  }

  /// The header of the next packet, whose data are written behind it; nil when there was nothing to send after all.
  private func nextPacket(_ writer: inout ChainWriter) -> SocketHeader? {
    if !resets.isEmpty {
      let reset = resets.removeFirst()
      if isHeldBack, let queue = context.queue(QueueIndex.transmit) {
        isHeldBack = false
        context.reschedule(queue)
      }
      return reset
    }
    while !turns.isEmpty {
      let connection = turns.removeFirst()
      connection.isInTurn = false
      guard connections[connection.token] === connection, connection.phase != .lingering else { continue }
      defer { settle(connection) }
      if let notice = connection.takeNotice(from: VirtioSocket.hostCID, to: device.guestCID) { return notice }
      guard connection.isReadable, connection.wantsInput else { continue }
      let count = read(connection, &writer)
      if count > 0 { return connection.data(count, from: VirtioSocket.hostCID, to: device.guestCID) }
    }
    return nil
  }

  /// Reads what the host sent into the driver's buffer; 0 when there is nothing now, or nothing more.
  private func read(_ connection: SocketConnection, _ writer: inout ChainWriter) -> Int {
    guard let channel = connection.channel else { return 0 }
    var outcome = HostChannel.Outcome.wouldBlock
    let count = writer.withBuffers(min(connection.credit, Self.mostData)) { buffers in
      outcome = channel.read(into: buffers)
      if case .transferred(let count) = outcome { return count }
      return 0
    }
    if count == 0 {
      connection.isReadable = false
      if outcome != .wouldBlock { connection.endInput() }
    }
    return count
  }

  /// Tells the driver that its connections are gone, and goes on when it has seen to that (§5.10.6.7).
  private func sendEvents() throws(QueueError) {
    guard let queue = context.queue(QueueIndex.event) else { return }
    repeat {
      switch farewell {
      case .owed:
        let buffers = queue.waitingCount
        guard var chain = try queue.next() else { continue }
        guard chain.writer.store(Self.transportReset) else { throw .bufferTooSmall }
        let written = chain.writer.written
        queue.complete(chain, written: written)
        context.signal(queue)
        farewell = .told(buffers: buffers)
      case .told(let buffers):
        guard queue.waitingCount >= buffers else { continue }
        farewell = .done
        sendHeldRequests()
      case .done: return
      }
    } while queue.allowNotifications()
  }
}
