internal import Foundation
package import NIOSSL

/// Where a daemon is reached.
package enum APIEndpoint: Sendable {
  /// By its socket on this host.
  case unix(path: String)
  /// Over the network; `base` is `https://host:port`. `token` is sent as a bearer token (RFC 6750).
  case https(base: String, tls: TLSConfiguration, token: String?)

  /// A URL for a path of the API, in the form that AsyncHTTPClient knows.
  func url(_ path: String, query: [(String, String)]) -> String {
    let start: String
    switch self {
    case .unix(let socket): start = "http+unix://" + Self.escaped(socket)
    case .https(let base, _, _): start = base.hasSuffix("/") ? String(base.dropLast()) : base
    }
    return start + Self.target(path, query: query)
  }

  /// A path with its query, as it stands in a request's first line.
  static func target(_ path: String, query: [(String, String)]) -> String {
    if query.isEmpty { return path }
    let pairs = query.map { escaped($0.0) + "=" + escaped($0.1) }
    return path + (path.contains("?") ? "&" : "?") + pairs.joined(separator: "&")
  }

  /// Percent-encodes all but the unreserved characters (RFC 3986, section 2.3): for one segment of a path, one
  /// value of a query.
  package static func escaped(_ text: String) -> String {
    var result = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        result.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += digits.utf8.count == 1 ? "%0" + digits : "%" + digits
      }
    }
    return result
  }
}
