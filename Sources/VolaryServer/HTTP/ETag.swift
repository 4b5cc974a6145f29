internal import Crypto
package import Foundation

/// The name of one state of a resource (RFC 9110, section 8.8.3): a hash of its representation, and before that and a
/// full stop one of the part that a PUT replaces, where there is such.
package struct ETag: Equatable, Sendable {
  private let whole: String
  private let part: String?

  package init(of representation: Data, replacing part: Data? = nil) {
    whole = Self.hash(representation)
    self.part = part.map(Self.hash)
  }

  /// With its quotes.
  package var text: String { "\"" + (part.map { $0 + "." } ?? "") + whole + "\"" }

  /// Whether a list of tags, as If-None-Match holds it, names this one.
  package func matches(_ list: String) -> Bool {
    Self.tags(list).contains { $0 == "*" || "\"\($0)\"" == text }
  }

  /// Whether a list of tags, as If-Match holds it, names a state with this part.
  package static func names(part: Data, in list: String) -> Bool {
    let part = hash(part)
    return tags(list).contains { $0 == "*" || $0.prefix { $0 != "." } == part }
  }

  /// Without quotes, which Incus's clients leave out.
  private static func tags(_ list: String) -> [Substring] {
    list.split(separator: ",").map { entry in
      var tag = entry.trimmingPrefix { $0 == " " }
      while tag.last == " " { tag.removeLast() }
      if tag.hasPrefix("W/") { tag = tag.dropFirst(2) }
      return tag.count > 1 && tag.hasPrefix("\"") && tag.hasSuffix("\"") ? tag.dropFirst().dropLast() : tag
    }
  }

  private static func hash(_ data: Data) -> String { SHA256.hash(data: data).prefix(16).hexadecimal }
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
