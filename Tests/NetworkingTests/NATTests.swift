import Glibc
import HostSystem
import MachineControl
import Networking
import Testing

/// The NAT as a guest sees it, with frames made by hand and real sockets of the host.
@Suite struct NATTests {
  static let host = IPv4Address(10, 0, 2, 2)

  @Test func `ARP and ICMP echo`() throws {
    let guest = try Guest(NATConfiguration())
    #expect(try guest.resolve(Self.host) == [0x52, 0x55, 10, 0, 2, 2])
    var echo: [UInt8] = [8, 0, 0, 0, 0x12, 0x34, 0, 1] + (0..<32)
    echo.replaceSubrange(2..<4, with: Frames.bytes(Frames.checksum(echo)))
    try guest.send(protocol: 1, to: Self.host, echo)
    let reply: Frames.IPv4Packet = try guest.expect { frame in
      guard let packet = Frames.IPv4Packet(frame), packet.number == 1 else { return nil }
      return packet
    }
    #expect(reply.source == Self.host && reply.payload[0] == 0)
    #expect(reply.payload[4...] == echo[4...])
    #expect(Frames.checksum(reply.payload) == 0)
  }

  /// A DHCP message (RFC 2131) with a type and more options.
  static func dhcp(type: UInt8, options: [UInt8] = []) -> [UInt8] {
    var message: [UInt8] = [1, 1, 6, 0, 0xCA, 0xFE, 0xBA, 0xBE] + [UInt8](repeating: 0, count: 20)
    message += Frames.guestMAC + [UInt8](repeating: 0, count: 10 + 192)
    message += [99, 130, 83, 99, 53, 1, type] + options + [255]
    let datagram = Frames.sealed(
      Frames.udp(from: 68, to: 67, message), protocol: 17, at: 6, from: .any,
      to: IPv4Address(255, 255, 255, 255))
    return Frames.ipv4(
      protocol: 17, from: .any, to: IPv4Address(255, 255, 255, 255), mac: Frames.broadcast, datagram)
  }

  static func dhcpOptions(_ message: ArraySlice<UInt8>) -> [UInt8: [UInt8]] {
    var options: [UInt8: [UInt8]] = [:]
    var rest = message.dropFirst(240)
    while let code = rest.popFirst(), code != 255 {
      guard code != 0, let count = rest.popFirst() else { continue }
      options[code] = Array(rest.prefix(Int(count)))
      rest = rest.dropFirst(Int(count))
    }
    return options
  }

  @Test(arguments: [IPv4Address(10, 0, 2, 0), IPv4Address(192, 168, 77, 0)])
  func `DHCP gives address, router, names and the host's name`(network: IPv4Address) throws {
    var configuration = NATConfiguration()
    configuration.network = network
    configuration.hostname = "bird"
    let guest = try Guest(configuration)
    func answer() throws -> ArraySlice<UInt8> {
      try guest.expect { frame in
        guard let packet = Frames.IPv4Packet(frame), packet.number == 17, packet.word(2) == 68 else {
          return nil
        }
        return packet.payload.dropFirst(8)
      }
    }
    try guest.send(Self.dhcp(type: 1))
    let offer = try answer()
    let address = Frames.bytes(configuration.guest)
    #expect(Array(offer.dropFirst(16).prefix(4)) == address)
    #expect(offer.dropFirst(4).prefix(4) == [0xCA, 0xFE, 0xBA, 0xBE])
    let options = Self.dhcpOptions(offer)
    #expect(options[53] == [2])
    #expect(options[1] == [255, 255, 255, 0])
    #expect(options[3] == Frames.bytes(configuration.host))
    #expect(options[6] == Frames.bytes(configuration.nameServer))
    #expect(options[12] == Array("bird".utf8))
    try guest.send(
      Self.dhcp(type: 3, options: [50, 4] + address + [54, 4] + Frames.bytes(configuration.host)))
    #expect(try Self.dhcpOptions(answer())[53] == [5])
  }

  @Test func `TCP to a server on the host's loopback`() throws {
    var generator = SystemRandomNumberGenerator()
    let body = (0..<300_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let (listener, port) = try HostSockets.bound(SOCK_STREAM)
    let server = try HostSockets.serveOnce(body, on: listener)
    do {
      let guest = try Guest(NATConfiguration())
      try guest.resolve(Self.host)
      var connection = try Connection(guest, to: Self.host, port: port, from: 40000)
      #expect(!connection.wasReset)
      try connection.write(Array("GET / HTTP/1.0\r\n\r\n".utf8))
      try connection.read()
      try connection.close()
      #expect(connection.received.starts(with: Array("HTTP/1.1 200 OK\r\n".utf8)))
      #expect(Array(connection.received.suffix(body.count)) == body)
    }
    server.join()
  }

  @Test func `what the guest may not reach`() throws {
    let (listener, port) = try HostSockets.bound(SOCK_STREAM)
    var configuration = NATConfiguration()
    configuration.reachesHostLoopback = false
    var guest = try Guest(configuration)
    try guest.resolve(Self.host)
    #expect(
      (try? Connection(guest, to: Self.host, port: port, from: 40000, milliseconds: 1000))?.wasReset != false)
    configuration = NATConfiguration()
    configuration.isRestricted = true
    guest = try Guest(configuration)
    try guest.resolve(Self.host)
    #expect(
      (try? Connection(guest, to: Self.host, port: port, from: 40001, milliseconds: 1000))?.wasReset != false)
    // Nobody came to the server's door.
    var wait = pollfd(fd: listener.raw, events: Int16(POLLIN), revents: 0)
    #expect(poll(&wait, 1, 0) == 0)
  }

  @Test(arguments: [false, true])
  func `a published TCP port`(isRestricted: Bool) throws {
    let port = try HostSockets.freePort()
    var configuration = NATConfiguration()
    configuration.isRestricted = isRestricted
    configuration.publishedPorts = [PublishedPort(hostPort: port, guestPort: 80)]
    let guest = try Guest(configuration)
    try guest.resolve(Self.host)
    let client = try HostSockets.connected(SOCK_STREAM, to: port)
    try HostSockets.write(Array("ping".utf8), to: client)
    var connection = try Connection(guest, listeningOn: 80)
    try connection.read { $0.count >= 4 }
    #expect(connection.received == Array("ping".utf8))
    try connection.write(Array("pong".utf8))
    try connection.close()
    #expect(try HostSockets.readAll(client) == Array("pong".utf8))
  }

  @Test func `a published UDP port`() throws {
    let port = try HostSockets.freePort(SOCK_DGRAM)
    var configuration = NATConfiguration()
    configuration.publishedPorts = [PublishedPort(transport: .udp, hostPort: port, guestPort: 53)]
    let guest = try Guest(configuration)
    try guest.resolve(Self.host)
    let client = try HostSockets.connected(SOCK_DGRAM, to: port)
    try HostSockets.write([1, 2, 3], to: client)
    let packet: Frames.IPv4Packet = try guest.expect { frame in
      guard let packet = Frames.IPv4Packet(frame), packet.number == 17, packet.word(2) == 53 else {
        return nil
      }
      return packet
    }
    #expect(packet.payload.dropFirst(8) == [1, 2, 3])
    try guest.sendUDP(to: packet.source, port: packet.word(0), from: 53, [4, 5])
    #expect(try HostSockets.read(client) == [4, 5])
  }

  @Test(arguments: PublishedPort.Transport.allCases)
  func `a port in use`(transport: PublishedPort.Transport) throws {
    let (holder, number) = try HostSockets.bound(transport == .tcp ? SOCK_STREAM : SOCK_DGRAM)
    let port = PublishedPort(transport: transport, hostPort: number, guestPort: 80)
    var configuration = NATConfiguration()
    configuration.publishedPorts = [port]
    let error = #expect(throws: NATError.self) { try Guest(configuration) }
    #expect(error == .portInUse(port))
    #expect(error?.exitCode == 5)
    let text = error?.description ?? ""
    #expect(text.contains("\(number)") && text.contains("127.0.0.1") && !text.contains("\n"))
    #expect(holder.raw >= 0)
  }

  @Test func `an address that the host does not have`() throws {
    var configuration = NATConfiguration()
    let port = PublishedPort(hostAddress: IPv4Address(192, 0, 2, 1), hostPort: 4711, guestPort: 80)
    configuration.publishedPorts = [port]
    #expect(throws: NATError.cannotPublish(port, Errno(EADDRNOTAVAIL))) { try Guest(configuration) }
  }

  @Test func `IPv6 by router advertisement`() throws {
    let guest = try Guest(NATConfiguration())
    // A router solicitation to ff02::2 (RFC 4861) from the guest's link-local address.
    let source: [UInt8] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xFF, 0xFE, 0x12, 0x34, 0x56]
    let routers: [UInt8] = [0xFF, 2] + [UInt8](repeating: 0, count: 13) + [2]
    var message: [UInt8] = [133, 0, 0, 0, 0, 0, 0, 0, 1, 1] + Frames.guestMAC
    let pseudo = source + routers + Frames.bytes(UInt32(message.count)) + [0, 0, 0, 58]
    message.replaceSubrange(2..<4, with: Frames.bytes(Frames.checksum(pseudo + message)))
    let header: [UInt8] = [0x60, 0, 0, 0, 0, UInt8(message.count), 58, 255]
    try guest.send(
      Frames.ethernet(to: [0x33, 0x33, 0, 0, 0, 2], type: 0x86DD, header + source + routers + message))
    let advertisement: [UInt8] = try guest.expect { frame in
      frame.count > 70 && frame[12...13] == [0x86, 0xDD] && frame[20] == 58 && frame[54] == 134
        ? Array(frame[54...]) : nil
    }
    var options = advertisement.dropFirst(16)
    var prefix: [UInt8]?
    while let kind = options.first, options.count >= 8 {
      let length = Int(options[options.startIndex + 1]) * 8
      if kind == 3 { prefix = [options[options.startIndex + 2]] + options.dropFirst(16).prefix(16) }
      guard length > 0 else { break }
      options = options.dropFirst(length)
    }
    #expect(prefix == [64, 0xFE, 0xC0] + [UInt8](repeating: 0, count: 14))
  }

  @Test func `a guest that does not read loses frames and stops nobody`() throws {
    let port = try HostSockets.freePort(SOCK_DGRAM)
    var configuration = NATConfiguration()
    configuration.publishedPorts = [PublishedPort(transport: .udp, hostPort: port, guestPort: 53)]
    let guest = try Guest(configuration)
    try guest.resolve(Self.host)
    let client = try HostSockets.connected(SOCK_DGRAM, to: port)
    // More than the socket and the queue hold; the guest answers the one question for its address.
    let datagram = [UInt8](repeating: 9, count: 1400)
    try HostSockets.write(datagram, to: client)
    _ = try guest.expect { Frames.IPv4Packet($0)?.number == 17 ? true : nil }
    for index in 0..<10_000 {
      try HostSockets.write(datagram, to: client)
      if index % 50 == 0 { usleep(500) }
    }
    usleep(20_000)
    var read = 0
    while (try? guest.receive(milliseconds: 100)) != nil { read += 1 }
    #expect(read > 100)
    #expect(read < 10_000, "nothing was dropped, so the bound was not reached")
    #expect(try guest.resolve(Self.host) == [0x52, 0x55, 10, 0, 2, 2])
  }

  @Test func `configurations that are refused`() {
    func refuses(_ change: (inout NATConfiguration) -> Void) -> Bool {
      var configuration = NATConfiguration()
      change(&configuration)
      do throws(NATError) {
        try configuration.validate()
        return false
      } catch {
        return error.exitCode == 2
      }
    }
    #expect(!refuses { _ in })
    #expect(refuses { $0.mtu = 100 })
    #expect(refuses { $0.prefixLength = 33 })
    #expect(refuses { $0.prefixLength = -1 })
    #expect(refuses { $0.network = IPv4Address(10, 0, 2, 1) })
    #expect(refuses { $0.hostname = "" })
    #expect(refuses { $0.hostname = "two words" })
    #expect(refuses { $0.hostname = String(repeating: "a", count: 33) })
  }
}
