internal import Crypto
package import Foundation

/// The name of one state of a resource (RFC 9110, section 8.8.3): a hash of its representation.
package struct ETag: Equatable, Sendable {
  /// With its quotes.
  package let text: String

  package init(of representation: Data) {
    text = "\"" + SHA256.hash(data: representation).prefix(16).hexadecimal + "\""
  }

  /// Whether a list of tags, as If-Match and If-None-Match hold it, names this one.
  package func matches(_ list: String) -> Bool {
    list.split(separator: ",").contains { entry in
      var tag = entry.trimmingPrefix { $0 == " " }
      while tag.last == " " { tag.removeLast() }
      if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
      // Incus's clients leave the quotes out.
      return tag == "*" || tag == text[...] || "\"\(tag)\"" == text
    }
  }
}

extension Sequence<UInt8> {
  /// As addresses of network cards are written: `52:54:00:12:34:56`.
  var hexadecimalWithColons: String { map { [$0].hexadecimal }.joined(separator: ":") }

  /// Two digits a byte.
  var hexadecimal: String {
    var text = ""
    for byte in self {
      text += byte < 16 ? "0" + String(byte, radix: 16) : String(byte, radix: 16)
    }
    return text
  }
}
