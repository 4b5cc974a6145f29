/// What the guest's packets do (virtio 1.3 §5.10.6).
extension SocketSession {
  /// Takes a packet of which all but the header is still to be read.
  func take(_ header: SocketHeader, _ reader: inout ChainReader) {
    guard header.type == SocketHeader.stream, header.sourceCID == device.guestCID,
      header.destinationCID == VirtioSocket.hostCID
    else { return refuse(header) }
    let ports = SocketPorts(guest: header.sourcePort, host: header.destinationPort)
    guard let connection = byPorts[ports] else {
      return header.operation == SocketHeader.Operation.request ? connect(ports, header) : refuse(header)
    }
    connection.noteCredit(header)
    if take(header, &reader, for: connection) {
      if connections[connection.token] === connection { settle(connection) }
    } else {
      reset(connection)
    }
  }

  /// False when the packet makes no sense for the connection as it is.
  private func take(
    _ header: SocketHeader, _ reader: inout ChainReader, for connection: SocketConnection
  ) -> Bool {
    let phase = connection.phase
    switch header.operation {
    case SocketHeader.Operation.response:
      guard phase == .requested, !connection.notices.contains(.request) else { return false }
      return answer(connection)
    case SocketHeader.Operation.reset:
      finish(connection)
      return true
    case SocketHeader.Operation.readWrite:
      let isLive = phase == .open || phase == .closing
      let count = Int(header.count)
      guard isLive, connection.guestShutdown & SocketHeader.Shutdown.send == 0, count <= reader.remaining,
        count <= connection.room
      else { return false }
      connection.take(&reader, count)
      return true
    case SocketHeader.Operation.shutdown:
      guard phase == .open || phase == .closing else { return false }
      connection.noteShutdown(header.flags)
      if connection.guestShutdown == SocketHeader.Shutdown.both {
        refuse(header)
        finish(connection)
      }
      return true
    case SocketHeader.Operation.creditUpdate: return true
    case SocketHeader.Operation.creditRequest:
      if phase == .open || phase == .closing { connection.notices.insert(.creditUpdate) }
      return true
    default: return false
    }
  }

  /// A program of the guest wants to be connected to a port of the host.
  private func connect(_ ports: SocketPorts, _ header: SocketHeader) {
    guard let connection = makeConnection(ports, .connecting) else { return refuse(header) }
    connection.noteCredit(header)
    connection.request = device.nextRequest()
    byPorts[ports] = connection
    guard ask(for: ports.host, connection.request) else { return reset(connection) }
    byRequest[connection.request] = connection
  }

  /// The guest's side of a connection that the host began is there.
  private func answer(_ connection: SocketConnection) -> Bool {
    let line = Array("OK \(connection.ports.host)\n".utf8)
    // The first bytes of a socket have room, unless its owner left none.
    guard line.withUnsafeBytes({ connection.channel?.write([$0]) }) == .transferred(line.count) else {
      return false
    }
    connection.phase = .open
    return true
  }
}
