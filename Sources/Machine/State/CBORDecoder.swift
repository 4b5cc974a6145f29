/// Makes a `Decodable` value of a ``CBORValue``. What does not fit is a thrown `DecodingError`.
package struct CBORDecoder: Decoder {
  package static func decode<Value: Decodable>(_ type: Value.Type = Value.self, from value: CBORValue) throws
    -> Value
  {
    try read(type, from: value, path: [])
  }

  let value: CBORValue
  package let codingPath: [any CodingKey]
  package var userInfo: [CodingUserInfoKey: Any] { [:] }

  fileprivate static func read<Value: Decodable>(
    _ type: Value.Type, from value: CBORValue, path: [any CodingKey]
  ) throws -> Value {
    if type == StateBytes.self {
      guard case .bytes(let bytes) = value, let result = StateBytes(bytes) as? Value else {
        throw mismatch("bytes", path)
      }
      return result
    }
    return try type.init(from: CBORDecoder(value: value, codingPath: path))
  }

  fileprivate static func mismatch(_ wanted: String, _ path: [any CodingKey]) -> DecodingError {
    .typeMismatch(
      CBORValue.self, DecodingError.Context(codingPath: path, debugDescription: "\(wanted) is wanted there"))
  }

  package func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let pairs) = value else { throw Self.mismatch("a map", codingPath) }
    return KeyedDecodingContainer(Keyed<Key>(pairs, codingPath))
  }

  package func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard case .array(let items) = value else { throw Self.mismatch("a list", codingPath) }
    return Unkeyed(items: items, codingPath: codingPath)
  }

  package func singleValueContainer() -> any SingleValueDecodingContainer {
    Single(value: value, codingPath: codingPath)
  }

  private struct Single: SingleValueDecodingContainer {
    let value: CBORValue
    let codingPath: [any CodingKey]

    private func integer<T: FixedWidthInteger>() throws -> T {
      switch value {
      case .unsigned(let number): if let result = T(exactly: number) { return result }
      case .negative(let number):
        if let below = Int64(exactly: number), let result = T(exactly: -1 - below) { return result }
      default: break
      }
      throw mismatch("a number of \(T.bitWidth) bits", codingPath)
    }

    func decodeNil() -> Bool { if case .null = value { true } else { false } }
    func decode(_ type: Bool.Type) throws -> Bool {
      guard case .bool(let bool) = value else { throw mismatch("true or false", codingPath) }
      return bool
    }
    func decode(_ type: String.Type) throws -> String {
      guard case .text(let text) = value else { throw mismatch("a text", codingPath) }
      return text
    }
    func decode(_ type: Double.Type) throws -> Double {
      guard case .double(let number) = value else { throw mismatch("a fraction", codingPath) }
      return number
    }
    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }
    func decode(_ type: Int.Type) throws -> Int { try integer() }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer() }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer() }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer() }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer() }
    func decode(_ type: UInt.Type) throws -> UInt { try integer() }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer() }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer() }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer() }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer() }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try read(type, from: value, path: codingPath) }
  }

  private struct Keyed<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let values: [String: CBORValue]
    let codingPath: [any CodingKey]

    init(_ pairs: [(key: String, value: CBORValue)], _ codingPath: [any CodingKey]) {
      values = Dictionary(pairs.map { ($0.key, $0.value) }) { first, _ in first }
      self.codingPath = codingPath
    }

    var allKeys: [Key] { values.keys.compactMap { Key(stringValue: $0) } }
    func contains(_ key: Key) -> Bool { values[key.stringValue] != nil }

    private func value(_ key: Key) throws -> CBORValue {
      guard let value = values[key.stringValue] else {
        throw DecodingError.keyNotFound(
          key, .init(codingPath: codingPath, debugDescription: "\(key.stringValue) is missing"))
      }
      return value
    }

    func decodeNil(forKey key: Key) throws -> Bool { if case .null = try value(key) { true } else { false } }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
      try read(type, from: try value(key), path: codingPath + [key])
    }

    private func nested(_ key: Key) throws -> CBORDecoder {
      CBORDecoder(value: try value(key), codingPath: codingPath + [key])
    }

    func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
      try nested(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
      try nested(key).unkeyedContainer()
    }
    func superDecoder() throws -> any Decoder {
      CBORDecoder(value: values["super"] ?? .null, codingPath: codingPath)
    }
    func superDecoder(forKey key: Key) throws -> any Decoder { try nested(key) }
  }

  private struct Unkeyed: UnkeyedDecodingContainer {
    let items: [CBORValue]
    let codingPath: [any CodingKey]
    private(set) var currentIndex = 0

    init(items: [CBORValue], codingPath: [any CodingKey]) {
      self.items = items
      self.codingPath = codingPath
    }

    var count: Int? { items.count }
    var isAtEnd: Bool { currentIndex == items.count }

    private mutating func next() throws -> CBORValue {
      guard !isAtEnd else { throw mismatch("one item more", codingPath) }
      defer { currentIndex += 1 }
      return items[currentIndex]
    }

    mutating func decodeNil() throws -> Bool {
      guard !isAtEnd, case .null = items[currentIndex] else { return false }
      currentIndex += 1
      return true
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
      try read(type, from: try next(), path: codingPath)
    }
    mutating func nestedContainer<Nested: CodingKey>(
      keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
      try CBORDecoder(value: try next(), codingPath: codingPath).container(keyedBy: type)
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
      try CBORDecoder(value: try next(), codingPath: codingPath).unkeyedContainer()
    }
    mutating func superDecoder() throws -> any Decoder {
      CBORDecoder(value: try next(), codingPath: codingPath)
    }
  }
}
