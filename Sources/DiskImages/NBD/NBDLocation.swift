internal import HostSystem

/// Where a disk is served by the Network Block Device protocol, as the project's own URI specification writes it
/// (doc/uri.md): `nbd://host[:port]/export`, `nbds://…` for TLS, `nbd+unix:///export?socket=PATH`.
package struct NBDLocation: Equatable, Sendable, CustomStringConvertible {
  package enum Server: Equatable, Sendable {
    /// A name or an address, without the brackets of one of IPv6.
    case host(String, port: UInt16)
    /// A Unix socket's path.
    case socket(String)
  }

  /// The peer shows a certificate for the name by which it is called.
  package struct TLS: Equatable, Sendable {
    /// A folder with `ca-cert.pem`, and `client-cert.pem` with `client-key.pem` for a server that asks who comes; nil
    /// has the host's own authorities trusted.
    package var certificates: String?
  }

  package var server: Server
  /// The export's name; the empty one is the server's default.
  package var export: String
  package var tls: TLS?
  /// As it was written.
  package let description: String

  /// What IANA gave the protocol.
  package static let standardPort: UInt16 = 10809
  /// The longest name that the protocol admits, in bytes (NBD_MAX_STRING).
  static let mostNameBytes = 4096
  private static let schemes = ["nbd", "nbds", "nbd+unix"]

  /// Whether a text that names a disk names one of these, rather than a file.
  package static func isMeant(by text: String) -> Bool {
    guard let end = text.firstRange(of: "://") else { return false }
    let scheme = text[..<end.lowerBound].lowercased()
    return scheme.hasPrefix("nbd")
  }

  /// Throws `server` with what is wrong with the text.
  package init(_ text: String) throws(DiskImageError) {
    func wrong(_ reason: String) -> DiskImageError { .server(name: text, reason: reason) }
    guard let end = text.firstRange(of: "://") else {
      throw wrong("this names no server: write it as nbd://host/export")
    }
    let scheme = text[..<end.lowerBound].lowercased()
    guard Self.schemes.contains(scheme) else {
      throw wrong("'\(scheme)' is not known here: write nbd://, nbds:// or nbd+unix://")
    }
    // No text of an export has a '#' that is not written %23, so what is behind one would be lost.
    guard !text.contains("#") else { throw wrong("a '#' of an export's name is written %23") }
    let parts = text[end.upperBound...].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let options = try Self.options(parts.count > 1 ? parts[1] : "", wrong)
    let place = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let authority = place[0]
    guard let export = PercentEncoding.decode(place.count > 1 ? place[1] : "") else {
      throw wrong("the export's name has a '%' without two hexadecimal digits, or is not UTF-8")
    }
    guard export.utf8.count <= Self.mostNameBytes, !export.utf8.contains(0) else {
      throw wrong("an export's name has at most \(Self.mostNameBytes) bytes, and no zero among them")
    }
    if scheme == "nbd+unix" {
      guard authority.isEmpty else {
        throw wrong("a Unix socket has no host: write nbd+unix:///export?socket=PATH")
      }
      guard let path = options["socket"], !path.isEmpty else {
        throw wrong("the socket's path is missing: add ?socket=PATH")
      }
      guard options["tls-certificates"] == nil else {
        throw wrong("TLS is for hosts: leave out tls-certificates, or write nbds://host")
      }
      server = .socket(path)
    } else {
      guard options["socket"] == nil else { throw wrong("socket= is for nbd+unix:// alone") }
      let (host, port) = try Self.hostAndPort(authority, wrong)
      server = .host(host, port: port)
    }
    if scheme == "nbds" {
      tls = TLS(certificates: options["tls-certificates"])
    } else if options["tls-certificates"] != nil {
      throw wrong("certificates are for TLS: write nbds://")
    }
    self.export = export
    description = text
  }

  private static func hostAndPort(
    _ authority: Substring, _ wrong: (String) -> DiskImageError
  ) throws(DiskImageError) -> (String, UInt16) {
    guard !authority.contains("@") else {
      throw wrong("users are not known to this program: leave out what is before the '@'")
    }
    var host = authority
    var port: Substring?
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw wrong("the address lacks its ']'") }
      host = authority[authority.index(after: authority.startIndex)..<end]
      let rest = authority[authority.index(after: end)...]
      guard rest.isEmpty || rest.first == ":" else {
        throw wrong("behind ']' there may be a port, as :10809")
      }
      port = rest.isEmpty ? nil : rest.dropFirst()
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      port = authority[authority.index(after: colon)...]
      guard port?.contains(":") != true else {
        throw wrong("an address of IPv6 is written in brackets, as [::1]")
      }
    }
    guard let host = PercentEncoding.decode(host), !host.isEmpty, !host.utf8.contains(0) else {
      throw wrong("the server's name is missing: write nbd://host/export")
    }
    // An empty port is the standard one (RFC 3986, 3.2.3).
    guard let port, !port.isEmpty else { return (host, standardPort) }
    guard let number = UInt16(port), number > 0, port.utf8.first != UInt8(ascii: "+") else {
      throw wrong("'\(port)' is no port: it is a number from 1 to 65535")
    }
    return (host, number)
  }

  private static func options(
    _ query: Substring, _ wrong: (String) -> DiskImageError
  ) throws(DiskImageError) -> [String: String] {
    var options: [String: String] = [:]
    for part in query.split(whereSeparator: { $0 == "&" || $0 == ";" }) {
      let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentEncoding.decode(sides[0]),
        let value = PercentEncoding.decode(sides.count > 1 ? sides[1] : "")
      else {
        throw wrong("'\(part)' has a '%' without two hexadecimal digits, or is not UTF-8")
      }
      guard ["socket", "tls-certificates"].contains(name) else {
        throw wrong("'\(name)' is not known here: known are socket and tls-certificates")
      }
      guard !value.utf8.contains(0), options.updateValue(value, forKey: name) == nil else {
        throw wrong("'\(name)' is there twice, or has a zero in it")
      }
    }
    return options
  }
}
