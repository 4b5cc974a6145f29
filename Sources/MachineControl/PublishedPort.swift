package import HostSystem

/// A port of the guest that the host offers as its own.
package struct PublishedPort: Equatable, Hashable, Sendable, CustomStringConvertible {
  package enum Transport: String, CaseIterable, Sendable {
    case tcp, udp
  }

  package var transport: Transport
  /// Where the host listens; 0.0.0.0 for every address it has.
  package var hostAddress: IPv4Address
  package var hostPort: UInt16
  package var guestPort: UInt16

  package init(
    transport: Transport = .tcp, hostAddress: IPv4Address = .loopback, hostPort: UInt16, guestPort: UInt16
  ) {
    self.transport = transport
    self.hostAddress = hostAddress
    self.hostPort = hostPort
    self.guestPort = guestPort
  }

  /// Why a text is no published port.
  package struct ParseError: Error, Equatable, Sendable, CustomStringConvertible {
    package let text: String
    package let reason: String

    package var description: String {
      "cannot publish \(text): \(reason); write [HOSTADDR:]HOSTPORT:GUESTPORT[/udp], such as 8080:80"
    }
  }

  /// Reads `[HOSTADDR:]HOSTPORT:GUESTPORT[/tcp|/udp]`. The host listens on 127.0.0.1 unless told
  /// otherwise. The transport may stand in front too, as in `udp:127.0.0.1:5353:53`.
  package init(parsing text: String) throws(ParseError) {
    func fail(_ reason: String) -> ParseError { ParseError(text: text, reason: reason) }
    var rest = Substring(text)
    transport = .tcp
    if let slash = rest.lastIndex(of: "/") {
      let name = rest[rest.index(after: slash)...]
      guard let named = Transport(rawValue: String(name)) else {
        throw fail("\(name) is neither tcp nor udp")
      }
      transport = named
      rest = rest[..<slash]
    } else if let named = Transport.allCases.first(where: { rest.hasPrefix($0.rawValue + ":") }) {
      transport = named
      rest = rest.dropFirst(named.rawValue.count + 1)
    }
    guard !rest.contains("[") else { throw fail("the host's address must be of IPv4") }
    let parts = rest.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 3 else {
      throw fail(parts.count < 2 ? "the guest's port is missing" : "there are too many colons")
    }
    hostAddress = .loopback
    if parts.count == 3 {
      guard let address = IPv4Address(parts[0]) else { throw fail("\(parts[0]) is not an IPv4 address") }
      hostAddress = address
    }
    func port(_ text: Substring) throws(ParseError) -> UInt16 {
      guard text.allSatisfy({ $0.isASCII && $0.isNumber }), let port = UInt16(text), port > 0 else {
        throw fail("\(text.isEmpty ? "nothing" : text) is not a port from 1 to 65535")
      }
      return port
    }
    hostPort = try port(parts[parts.count - 2])
    guestPort = try port(parts[parts.count - 1])
  }

  /// The form that ``init(parsing:)`` reads, with nothing left out: `127.0.0.1:8080:80/tcp`.
  package var description: String { "\(hostAddress):\(hostPort):\(guestPort)/\(transport.rawValue)" }

  /// Where the host listens, for messages: `127.0.0.1:8080/tcp`.
  package var hostEndpoint: String { "\(hostAddress):\(hostPort)/\(transport.rawValue)" }
}
