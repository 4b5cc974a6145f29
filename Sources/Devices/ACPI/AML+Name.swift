extension AML {
  /// The path of an object: up to four characters a segment, from the root with `\`, from a scope further up
  /// with `^` (section 20.2.2).
  package struct Name: ExpressibleByStringLiteral, Equatable, Sendable {
    let bytes: [UInt8]

    /// A path such as `\_SB.PCI0`.
    package init(_ path: String) {
      let prefix = path.utf8.prefix { $0 == UInt8(ascii: "\\") || $0 == UInt8(ascii: "^") }
      let segments = path.utf8.dropFirst(prefix.count).split(separator: UInt8(ascii: "."))
      var bytes = Array(prefix)
      switch segments.count {
      case 0: bytes.append(0x00)
      case 1: break
      case 2: bytes.append(0x2E)
      default: bytes += [0x2F, UInt8(segments.count)]
      }
      for segment in segments { bytes += Self.segment(segment) }
      self.bytes = bytes
    }

    package init(stringLiteral path: String) { self.init(path) }

    /// Four characters, filled up with underscores.
    private static func segment(_ name: Substring.UTF8View) -> [UInt8] {
      let isName = name.enumerated().allSatisfy { place, character in
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): place > 0
        default: false
        }
      }
      precondition(isName && (1...4).contains(name.count), "no name in AML")
      return Array(name) + [UInt8](repeating: UInt8(ascii: "_"), count: 4 - name.count)
    }

    /// The name as a single segment, as declarations of fields have it.
    var singleSegment: [UInt8] {
      precondition(bytes.count == 4, "a path where a name is due")
      return bytes
    }
  }
}
