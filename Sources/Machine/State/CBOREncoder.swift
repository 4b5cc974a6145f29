/// Makes a ``CBORValue`` of an `Encodable` value: structures become maps by the names of their fields.
package struct CBOREncoder: Encoder {
  /// Where a value that is being encoded grows; containers share it.
  fileprivate final class Place {
    enum Content {
      case nothing
      case value(CBORValue)
      case array([Place])
      case map([(key: String, value: Place)])
    }

    var content = Content.nothing

    var value: CBORValue {
      switch content {
      case .nothing: .map([])
      case .value(let value): value
      case .array(let places): .array(places.map(\.value))
      case .map(let pairs): .map(pairs.map { ($0.key, $0.value.value) })
      }
    }

    func place(for key: String) -> Place {
      let place = Place()
      guard case .map(var pairs) = content else { return place }
      content = .nothing
      pairs.append((key, place))
      content = .map(pairs)
      return place
    }

    func append() -> Place {
      let place = Place()
      guard case .array(var places) = content else { return place }
      content = .nothing
      places.append(place)
      content = .array(places)
      return place
    }
  }

  package static func encode(_ value: some Encodable) throws -> CBORValue {
    let place = Place()
    try write(value, to: place, path: [])
    return place.value
  }

  fileprivate let place: Place
  package let codingPath: [any CodingKey]
  package var userInfo: [CodingUserInfoKey: Any] { [:] }

  fileprivate static func write(_ value: some Encodable, to place: Place, path: [any CodingKey]) throws {
    if let bytes = value as? StateBytes {
      place.content = .value(.bytes(bytes.bytes))
    } else {
      try value.encode(to: CBOREncoder(place: place, codingPath: path))
    }
  }

  package func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    place.content = .map([])
    return KeyedEncodingContainer(Keyed<Key>(place: place, codingPath: codingPath))
  }

  package func unkeyedContainer() -> any UnkeyedEncodingContainer {
    place.content = .array([])
    return Unkeyed(place: place, codingPath: codingPath)
  }

  package func singleValueContainer() -> any SingleValueEncodingContainer {
    Single(place: place, codingPath: codingPath)
  }

  private static func integer(_ value: some FixedWidthInteger) -> CBORValue {
    value >= 0 ? .unsigned(UInt64(value)) : .negative(UInt64(-1 - Int64(value)))
  }

  private struct Single: SingleValueEncodingContainer {
    let place: Place
    let codingPath: [any CodingKey]

    func encodeNil() { place.content = .value(.null) }
    func encode(_ value: Bool) { place.content = .value(.bool(value)) }
    func encode(_ value: String) { place.content = .value(.text(value)) }
    func encode(_ value: Double) { place.content = .value(.double(value)) }
    func encode(_ value: Float) { place.content = .value(.double(Double(value))) }
    func encode(_ value: Int) { place.content = .value(integer(value)) }
    func encode(_ value: Int8) { place.content = .value(integer(value)) }
    func encode(_ value: Int16) { place.content = .value(integer(value)) }
    func encode(_ value: Int32) { place.content = .value(integer(value)) }
    func encode(_ value: Int64) { place.content = .value(integer(value)) }
    func encode(_ value: UInt) { place.content = .value(integer(value)) }
    func encode(_ value: UInt8) { place.content = .value(integer(value)) }
    func encode(_ value: UInt16) { place.content = .value(integer(value)) }
    func encode(_ value: UInt32) { place.content = .value(integer(value)) }
    func encode(_ value: UInt64) { place.content = .value(integer(value)) }
    func encode(_ value: some Encodable) throws { try write(value, to: place, path: codingPath) }
  }

  private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let place: Place
    let codingPath: [any CodingKey]

    func encodeNil(forKey key: Key) { place.place(for: key.stringValue).content = .value(.null) }

    func encode(_ value: some Encodable, forKey key: Key) throws {
      try write(value, to: place.place(for: key.stringValue), path: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
      nested(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
      nested(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder {
      CBOREncoder(place: place.place(for: "super"), codingPath: codingPath)
    }
    func superEncoder(forKey key: Key) -> any Encoder { nested(key) }

    private func nested(_ key: Key) -> CBOREncoder {
      CBOREncoder(place: place.place(for: key.stringValue), codingPath: codingPath + [key])
    }
  }

  private struct Unkeyed: UnkeyedEncodingContainer {
    let place: Place
    let codingPath: [any CodingKey]

    var count: Int { if case .array(let places) = place.content { places.count } else { 0 } }

    func encodeNil() { place.append().content = .value(.null) }
    func encode(_ value: some Encodable) throws { try write(value, to: place.append(), path: codingPath) }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
      CBOREncoder(place: place.append(), codingPath: codingPath).container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
      CBOREncoder(place: place.append(), codingPath: codingPath).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { CBOREncoder(place: place.append(), codingPath: codingPath) }
  }
}

/// Bytes that are kept as such, and not as a list of numbers.
package struct StateBytes: Codable, Equatable, Sendable {
  package var bytes: [UInt8]

  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    bytes = []
    while !container.isAtEnd { bytes.append(try container.decode(UInt8.self)) }
  }

  package func encode(to encoder: any Encoder) throws {
    var container = encoder.unkeyedContainer()
    for byte in bytes { try container.encode(byte) }
  }
}
