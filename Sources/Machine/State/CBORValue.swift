/// A data item of the Concise Binary Object Representation (RFC 8949), of the kinds that saved state is made of.
package enum CBORValue: Equatable, Sendable {
  case unsigned(UInt64)
  /// −1 less the number (§3.1, major type 1).
  case negative(UInt64)
  case bytes([UInt8])
  case text(String)
  case array([CBORValue])
  /// In the order in which they were written; no key twice.
  case map([(key: String, value: CBORValue)])
  case bool(Bool)
  case null
  case double(Double)

  package static func == (one: CBORValue, other: CBORValue) -> Bool { one.encoded() == other.encoded() }
}

/// Why bytes are no state of a machine's.
package enum CBORError: Error, Equatable {
  case truncated
  case trailingBytes
  /// Deeper, longer, or of more items than any state is.
  case tooLarge
  /// Well-formed, and of a kind that no state has: tags, indefinite lengths, keys that are no text.
  case unexpected(UInt8)
  case invalidText
  case keyTwice(String)
}

// MARK: - Encoding

extension CBORValue {
  /// The item's bytes, each length in its shortest form (§4.2.1).
  package func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    write(to: &bytes)
    return bytes
  }

  private func write(to bytes: inout [UInt8]) {
    switch self {
    case .unsigned(let number): Self.head(0, number, &bytes)
    case .negative(let number): Self.head(1, number, &bytes)
    case .bytes(let content):
      Self.head(2, UInt64(content.count), &bytes)
      bytes += content
    case .text(let text):
      Self.head(3, UInt64(text.utf8.count), &bytes)
      bytes += text.utf8
    case .array(let items):
      Self.head(4, UInt64(items.count), &bytes)
      for item in items { item.write(to: &bytes) }
    case .map(let pairs):
      Self.head(5, UInt64(pairs.count), &bytes)
      for (key, value) in pairs {
        CBORValue.text(key).write(to: &bytes)
        value.write(to: &bytes)
      }
    case .bool(let value): bytes.append(value ? 0xF5 : 0xF4)
    case .null: bytes.append(0xF6)
    case .double(let value):
      bytes.append(0xFB)
      withUnsafeBytes(of: value.bitPattern.bigEndian) { bytes += $0 }
    }
  }

  private static func head(_ major: UInt8, _ argument: UInt64, _ bytes: inout [UInt8]) {
    switch argument {
    case 0..<24: bytes.append(major << 5 | UInt8(argument))
    case ..<0x100: bytes += [major << 5 | 24, UInt8(argument)]
    case ..<0x1_0000:
      bytes.append(major << 5 | 25)
      withUnsafeBytes(of: UInt16(argument).bigEndian) { bytes += $0 }
    case ..<0x1_0000_0000:
      bytes.append(major << 5 | 26)
      withUnsafeBytes(of: UInt32(argument).bigEndian) { bytes += $0 }
    default:
      bytes.append(major << 5 | 27)
      withUnsafeBytes(of: argument.bigEndian) { bytes += $0 }
    }
  }
}

// MARK: - Decoding

extension CBORValue {
  /// Takes one item apart. Total: any bytes give an item or a ``CBORError``, in time and memory bounded by their number.
  package init(decoding bytes: [UInt8]) throws(CBORError) {
    var reader = CBORReader(bytes)
    self = try reader.item(depth: 0)
    guard reader.isAtEnd else { throw .trailingBytes }
  }
}

private struct CBORReader {
  private static let mostDepth = 16

  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  private mutating func take(_ count: UInt64) throws(CBORError) -> ArraySlice<UInt8> {
    guard count <= UInt64(bytes.count - position) else { throw .truncated }
    defer { position += Int(count) }
    return bytes[position..<position + Int(count)]
  }

  private mutating func head() throws(CBORError) -> (major: UInt8, information: UInt8, argument: UInt64) {
    guard let first = try take(1).first else { throw .truncated }
    let information = first & 0x1F
    switch information {
    case 0..<24: return (first >> 5, information, UInt64(information))
    case 24...27:
      let argument = try take(1 << UInt64(information - 24)).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
      return (first >> 5, information, argument)
    default: throw .unexpected(first)
    }
  }

  mutating func item(depth: Int) throws(CBORError) -> CBORValue {
    guard depth < Self.mostDepth else { throw .tooLarge }
    let (major, information, argument) = try head()
    switch major {
    case 0: return .unsigned(argument)
    case 1: return .negative(argument)
    case 2: return .bytes(Array(try take(argument)))
    case 3: return .text(try text(argument))
    case 4:
      // Each item has a byte at least.
      guard argument <= UInt64(bytes.count - position) else { throw .truncated }
      var items: [CBORValue] = []
      for _ in 0..<argument { items.append(try item(depth: depth + 1)) }
      return .array(items)
    case 5:
      guard argument <= UInt64(bytes.count - position) / 2 else { throw .truncated }
      var pairs: [(key: String, value: CBORValue)] = []
      var keys: Set<String> = []
      for _ in 0..<argument {
        let head = try head()
        guard head.major == 3 else { throw .unexpected(head.major << 5) }
        let key = try text(head.argument)
        guard keys.insert(key).inserted else { throw .keyTwice(key) }
        pairs.append((key, try item(depth: depth + 1)))
      }
      return .map(pairs)
    case 7:
      switch information {
      case 20: return .bool(false)
      case 21: return .bool(true)
      case 22: return .null
      case 27: return .double(Double(bitPattern: argument))
      default: throw .unexpected(7 << 5 | information)
      }
    default: throw .unexpected(major << 5)
    }
  }

  private mutating func text(_ count: UInt64) throws(CBORError) -> String {
    guard let text = String(validating: try take(count), as: UTF8.self) else { throw .invalidText }
    return text
  }
}
