extension NBDLocation {
  /// The same server's export of that name. Throws `server` when none can have it.
  package func export(named name: String) throws(DiskImageError) -> NBDLocation {
    switch server {
    case .host(let host, let port):
      let text = host.contains(":") ? "[\(host)]" : Self.encoded(host)
      let scheme = tls == nil ? "nbd" : "nbds"
      let options = tls?.certificates.map { "?tls-certificates=" + Self.encoded($0) } ?? ""
      let place = port == Self.standardPort ? text : "\(text):\(port)"
      return try NBDLocation("\(scheme)://\(place)/\(Self.encoded(name))\(options)")
    case .socket(let path):
      return try NBDLocation("nbd+unix:///\(Self.encoded(name))?socket=\(Self.encoded(path))")
    }
  }

  /// Text in which all but unreserved characters (RFC 3986, 2.3) and slashes are written by their bytes.
  private static func encoded(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"), UInt8(ascii: "/"):
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        encoded += "%" + (digits.utf8.count < 2 ? "0" : "") + digits
      }
    }
    return encoded
  }
}
