/// How values lie in a packet: integers little-endian, strings and lists behind a 32-bit count,
/// optional values behind a byte that is 0 or 1.
package enum WireFormat {
  /// First bytes of every packet: "VOL" and the version of all that follows.
  package static let magic: UInt32 = UInt32(version) << 24 | 0x4c4f56
  package static let version: UInt8 = 2
  /// Bytes of a packet at most.
  package static let maximumPacket = 64 << 10
  /// Bytes of a string at most; longer ones are cut when they are sent.
  package static let maximumString = 4 << 10
  /// Elements of a list at most.
  package static let maximumCount = 64
}

/// What is wrong with a packet.
package enum WireError: Error, Equatable, Sendable {
  case truncated
  case trailingBytes(Int)
  case notOurs
  case version(UInt8)
  case unknownKind(UInt8)
  case badValue(String)
  case tooLong(String)
}

/// Builds a packet.
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  mutating func integer<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  mutating func index(_ value: Int) { integer(UInt32(clamping: value)) }

  mutating func flag(_ value: Bool) { integer(UInt8(value ? 1 : 0)) }

  mutating func string(_ value: String) {
    var utf8 = Array(value.utf8.prefix(WireFormat.maximumString))
    // A cut must not leave half a character.
    while utf8.count < value.utf8.count, let last = utf8.last, last & 0x80 != 0 {
      utf8.removeLast()
      if last & 0x40 != 0 { break }
    }
    data(utf8)
  }

  mutating func data(_ value: [UInt8]) {
    integer(UInt32(value.count))
    bytes += value
  }

  mutating func list<Element>(_ values: [Element], _ each: (inout WireWriter, Element) -> Void) {
    integer(UInt32(values.count))
    for value in values { each(&self, value) }
  }

  mutating func optional<Value>(_ value: Value?, _ body: (inout WireWriter, Value) -> Void) {
    flag(value != nil)
    if let value { body(&self, value) }
  }
}

/// Takes a packet apart. Total: any bytes give a value or a ``WireError``, in bounded time and memory.
struct WireReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(WireError) -> T {
    let size = MemoryLayout<T>.size
    guard bytes.count - position >= size else { throw .truncated }
    var value: T = 0
    for offset in (0..<size).reversed() {
      value = value << 8 | T(truncatingIfNeeded: bytes[position + offset])
    }
    position += size
    return value
  }

  mutating func index() throws(WireError) -> Int { Int(try integer(UInt32.self)) }

  mutating func flag(_ field: String) throws(WireError) -> Bool {
    switch try integer(UInt8.self) {
    case 0: return false
    case 1: return true
    default: throw .badValue(field)
    }
  }

  mutating func choice<T: RawRepresentable<UInt8>>(_ field: String, _ type: T.Type = T.self) throws(WireError)
    -> T
  {
    guard let value = T(rawValue: try integer()) else { throw .badValue(field) }
    return value
  }

  mutating func data(_ field: String) throws(WireError) -> [UInt8] {
    let count = try index()
    if count > WireFormat.maximumString { throw .tooLong(field) }
    guard count <= bytes.count - position else { throw .truncated }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  mutating func string(_ field: String) throws(WireError) -> String {
    guard let string = String(validating: try data(field), as: UTF8.self) else { throw .badValue(field) }
    return string
  }

  mutating func list<Element>(
    _ field: String, _ each: (inout WireReader) throws(WireError) -> Element
  ) throws(WireError) -> [Element] {
    let count = try index()
    if count > WireFormat.maximumCount { throw .tooLong(field) }
    var values: [Element] = []
    for _ in 0..<count { values.append(try each(&self)) }
    return values
  }

  mutating func optional<Value>(
    _ field: String, _ body: (inout WireReader) throws(WireError) -> Value
  ) throws(WireError) -> Value? {
    try flag(field) ? try body(&self) : nil
  }

  var isAtEnd: Bool { position == bytes.count }

  func finish() throws(WireError) {
    if position < bytes.count { throw .trailingBytes(bytes.count - position) }
  }
}
