internal import HostSystem

/// What comes from the host: sockets, their greetings, and that they are ready.
extension SocketSession {
  /// Ports of the host's programs, which have none of their own.
  static let hostPorts: ClosedRange<UInt32> = 1 << 30...UInt32.max - 1

  // MARK: - The broker

  /// Asks for the host's side of a connection; false when that cannot be asked now.
  func ask(for port: UInt32, _ request: UInt32) -> Bool {
    (try? broker.send(GuestPortMessage(request: request, port: port).encoded)) != nil
  }

  func takeFromBroker() {
    // What is left then makes the socket ready again at once.
    for _ in 0..<VirtioSocket.mostConnections {
      let packet: (bytes: [UInt8], descriptors: [Descriptor])
      do throws(Errno) { packet = try broker.receive(capacity: 2 * GuestPortMessage.size) } catch {
        if error != .again { loseBroker() }
        return
      }
      if packet.bytes.isEmpty, packet.descriptors.isEmpty { return loseBroker() }
      guard let message = GuestPortMessage(decoding: packet.bytes) else { continue }
      let channel = packet.descriptors.first.flatMap { try? HostChannel($0) }
      if message.request == 0 { greet(channel) } else { complete(message.request, channel) }
    }
  }

  /// Nobody opens sockets any more; those there are stay.
  private func loseBroker() {
    context.watch(broker.descriptor, for: [], token: Self.brokerToken)
    for connection in Array(byRequest.values) { reset(connection) }
  }

  /// Turns to the device's broker, should it be another, after all that the former one handed over.
  func replaceBroker() {
    let next = device.broker
    guard next !== broker else { return }
    takeFromBroker()
    loseBroker()
    broker = next
    context.watch(broker.descriptor, for: .read, token: Self.brokerToken)
  }

  /// A program of the host connected.
  private func greet(_ channel: HostChannel?) {
    let ports = SocketPorts(guest: 0, host: 0)
    guard let channel, let connection = makeConnection(ports, .greeting, channel) else { return }
    ready(connection)
  }

  /// The host's side of a connection that the guest began is there, or there is none.
  private func complete(_ request: UInt32, _ channel: HostChannel?) {
    // The guest may have given up meanwhile, or have been restarted.
    guard let connection = byRequest.removeValue(forKey: request) else { return }
    guard let channel else { return reset(connection) }
    connection.channel = channel
    connection.phase = .open
    connection.notices.insert(.response)
    settle(connection)
  }

  // MARK: - The sockets

  func ready(_ connection: SocketConnection) {
    guard let channel = connection.channel else { return }
    switch connection.phase {
    case .greeting:
      switch connection.greeting.read(from: channel) {
      case .incomplete: break
      case .port(let port): request(connection, port: port)
      case .malformed: return drop(connection)
      }
    case .requested:
      if channel.isHungUp { return reset(connection) }
    case .lingering:
      connection.flush()
      if connection.buffer.isEmpty { return drop(connection) }
    case .open:
      connection.flush()
      if connection.wantsInput { connection.isReadable = true }
      if connection.isInputOver, channel.isHungUp {
        connection.endInput()
        connection.loseOutput()
      }
    case .connecting, .closing: break
    }
    settle(connection)
  }

  /// Asks the guest for a port that a program of the host wants.
  private func request(_ connection: SocketConnection, port: UInt32) {
    connection.ports = SocketPorts(guest: port, host: newHostPort(to: port))
    connection.phase = .requested
    if mayRequest { connection.notices.insert(.request) }
    byPorts[connection.ports] = connection
  }

  /// Asks for what was wanted before the guest had ended its connections of then.
  func sendHeldRequests() {
    for connection in connections.values where connection.phase == .requested {
      connection.notices.insert(.request)
      settle(connection)
    }
  }

  /// A port of the host that has no connection to the guest's; there are far more ports than connections.
  private func newHostPort(to guest: UInt32) -> UInt32 {
    repeat {
      lastHostPort = lastHostPort < Self.hostPorts.upperBound ? lastHostPort + 1 : Self.hostPorts.lowerBound
    } while byPorts[SocketPorts(guest: guest, host: lastHostPort)] != nil
    return lastHostPort
  }
}
