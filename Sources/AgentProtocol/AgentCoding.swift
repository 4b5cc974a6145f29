/// Writes the fields of a frame's content: integers little-endian, strings and lists behind their length (4 bytes).
package struct AgentWriter: Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value) {
    var rest = value
    for _ in 0..<Value.bitWidth / 8 {
      bytes.append(UInt8(truncatingIfNeeded: rest))
      rest >>= 8
    }
  }

  package mutating func string(_ value: [UInt8]) {
    integer(UInt32(truncatingIfNeeded: value.count))
    bytes.append(contentsOf: value)
  }

  package mutating func strings(_ values: [[UInt8]]) {
    integer(UInt32(truncatingIfNeeded: values.count))
    for value in values { string(value) }
  }
}

/// Reads what an ``AgentWriter`` wrote; any bytes may come.
package struct AgentReader: Sendable {
  private let bytes: [UInt8]
  private var place = 0

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(
    _ type: Value.Type = Value.self
  ) throws(AgentProtocolError) -> Value {
    let count = Value.bitWidth / 8
    guard bytes.count - place >= count else { throw .truncated }
    var value: Value = 0
    for index in 0..<count { value |= Value(truncatingIfNeeded: bytes[place + index]) << (8 * index) }
    place += count
    return value
  }

  package mutating func string() throws(AgentProtocolError) -> [UInt8] {
    let count = Int(try integer(UInt32.self))
    guard bytes.count - place >= count else { throw .truncated }
    defer { place += count }
    return Array(bytes[place..<place + count])
  }

  /// Each string takes four bytes at least, which bounds how many there can be.
  package mutating func strings() throws(AgentProtocolError) -> [[UInt8]] {
    let count = Int(try integer(UInt32.self))
    guard count <= (bytes.count - place) / 4 else { throw .truncated }
    var values: [[UInt8]] = []
    for _ in 0..<count { values.append(try string()) }
    return values
  }

  /// Nothing may be left.
  package func finish() throws(AgentProtocolError) {
    if place != bytes.count { throw .trailing }
  }
}
