internal import VolaryAPI

/// Finds out what JSON a type is read from, by having it read from a decoder that notes what it is asked for
/// and answers with nothing much. So the document of the API says what the code reads.
///
/// A type can be described that reads its properties one by one, as the compiler's own decoding does; others
/// say their schema themselves (``SchemaProviding``).
package final class SchemaRecorder {
  /// Schemas of structures by the type's name, for `components`.
  package private(set) var components: [String: Schema] = [:]
  private var names: [ObjectIdentifier: String] = [:]

  package init() {}

  /// The schema of a type: a reference into ``components`` where it has properties.
  package func schema(of type: any Decodable.Type) -> Schema {
    if let provider = type as? any SchemaProviding.Type { return provider.schema }
    if let schema = Self.scalar(type) { return schema }
    if let list = type as? any DecodableList.Type { return .list(of: schema(of: list.elementType)) }
    if let map = type as? any DecodableMap.Type { return .dictionary(of: schema(of: map.valueType)) }
    if let optional = type as? any DecodableOptional.Type {
      return .either([schema(of: optional.wrappedType), .null])
    }
    if let words = Self.words(type) { return words }
    if let name = names[ObjectIdentifier(type)] { return .reference(name) }
    let name = Self.name(type)
    names[ObjectIdentifier(type)] = name
    let notes = SchemaNotes()
    _ = try? type.init(from: NotingDecoder(recorder: self, notes: notes))
    components[name] = notes.schema
    return .reference(name)
  }

  private static func scalar(_ type: any Decodable.Type) -> Schema? {
    switch type {
    case is String.Type: .string
    case is Bool.Type: .boolean
    case is Double.Type, is Float.Type: .number
    case is any UnsignedInteger.Type: Schema(["type": "integer", "minimum": 0])
    case is any BinaryInteger.Type: .integer
    default: nil
    }
  }

  /// Enumerations, by their raw values.
  private static func words(_ type: any Decodable.Type) -> Schema? {
    guard let type = type as? any (CaseIterable & RawRepresentable).Type else { return nil }
    return words(of: type)
  }

  private static func words<Enumeration: CaseIterable & RawRepresentable>(
    of type: Enumeration.Type
  ) -> Schema? {
    let values = type.allCases.map(\.rawValue)
    if let words = values as? [String] { return .oneOf(words: words) }
    guard let numbers = values as? [Int] else { return nil }
    return Schema(["type": "integer", "enum": .array(numbers.map { .integer(Int64($0)) })])
  }

  /// `InstanceStateObject.Disk` becomes `InstanceStateObjectDisk`.
  private static func name(_ type: any Decodable.Type) -> String {
    let path = String(reflecting: type).split(separator: ".").dropFirst()
    return path.joined().filter { $0.isLetter || $0.isNumber }
  }

  /// An instance of a type for the noting decoder to answer with.
  fileprivate func placeholder<Value: Decodable>(_ type: Value.Type) throws -> Value {
    if let cases = type as? any CaseIterable.Type, let first = Self.first(cases) as? Value { return first }
    if let moment = Timestamp.never as? Value { return moment }
    if let json = JSONValue.null as? Value { return json }
    if let list = type as? any DecodableList.Type, let empty = list.empty as? Value { return empty }
    return try type.init(from: NotingDecoder(recorder: self, notes: SchemaNotes()))
  }

  private static func first<Cases: CaseIterable>(_ type: Cases.Type) -> Cases? { type.allCases.first }
}

/// The properties that were asked for.
private final class SchemaNotes {
  var properties: [String: JSONValue] = [:]
  var required: [String] = []

  func note(_ key: any CodingKey, _ schema: Schema, isRequired: Bool) {
    properties[key.stringValue] = schema.value
    if isRequired { required.append(key.stringValue) }
  }

  var schema: Schema {
    var json: [String: JSONValue] = ["type": "object", "properties": .object(properties)]
    if !required.isEmpty { json["required"] = .array(required.sorted().map { .string($0) }) }
    return Schema(json)
  }
}

private struct NotingDecoder: Decoder {
  let recorder: SchemaRecorder
  let notes: SchemaNotes
  let codingPath: [any CodingKey] = []
  let userInfo: [CodingUserInfoKey: Any] = [:]

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
    KeyedDecodingContainer(NotingContainer(recorder: recorder, notes: notes))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw undescribed }

  func singleValueContainer() throws -> any SingleValueDecodingContainer { NotingValue(recorder: recorder) }

  private var undescribed: DecodingError {
    .dataCorrupted(.init(codingPath: [], debugDescription: "says its schema by SchemaProviding"))
  }
}

private struct NotingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let recorder: SchemaRecorder
  let notes: SchemaNotes
  let codingPath: [any CodingKey] = []
  let allKeys: [Key] = []

  func contains(_ key: Key) -> Bool { false }

  func decodeNil(forKey key: Key) throws -> Bool { true }

  func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
    notes.note(key, recorder.schema(of: type), isRequired: true)
    return try recorder.placeholder(type)
  }

  func decodeIfPresent<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value? {
    notes.note(key, .either([recorder.schema(of: type), .null]), isRequired: false)
    return nil
  }

  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { note(type, key, false) }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { note(type, key, "") }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { note(type, key, 0) }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { note(type, key, 0) }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { note(type, key, 0) }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { note(type, key, 0) }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { note(type, key, 0) }

  func decodeIfPresent(_ type: Bool.Type, forKey key: Key) throws -> Bool? { note(type, key) }
  func decodeIfPresent(_ type: String.Type, forKey key: Key) throws -> String? { note(type, key) }
  func decodeIfPresent(_ type: Double.Type, forKey key: Key) throws -> Double? { note(type, key) }
  func decodeIfPresent(_ type: Int.Type, forKey key: Key) throws -> Int? { note(type, key) }
  func decodeIfPresent(_ type: Int32.Type, forKey key: Key) throws -> Int32? { note(type, key) }
  func decodeIfPresent(_ type: Int64.Type, forKey key: Key) throws -> Int64? { note(type, key) }
  func decodeIfPresent(_ type: UInt64.Type, forKey key: Key) throws -> UInt64? { note(type, key) }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<NestedKey> {
    KeyedDecodingContainer(NotingContainer<NestedKey>(recorder: recorder, notes: SchemaNotes()))
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try superDecoder().unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { NotingDecoder(recorder: recorder, notes: notes) }
  func superDecoder(forKey key: Key) throws -> any Decoder { try superDecoder() }

  private func note<Value: Decodable>(_ type: Value.Type, _ key: Key, _ placeholder: Value) -> Value {
    notes.note(key, recorder.schema(of: type), isRequired: true)
    return placeholder
  }

  private func note<Value: Decodable>(_ type: Value.Type, _ key: Key) -> Value? {
    notes.note(key, .either([recorder.schema(of: type), .null]), isRequired: false)
    return nil
  }
}

private struct NotingValue: SingleValueDecodingContainer {
  let recorder: SchemaRecorder
  let codingPath: [any CodingKey] = []

  func decodeNil() -> Bool { true }
  func decode(_ type: Bool.Type) -> Bool { false }
  func decode(_ type: String.Type) -> String { "" }
  func decode(_ type: Double.Type) -> Double { 0 }
  func decode(_ type: Int.Type) -> Int { 0 }
  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value { try recorder.placeholder(type) }
}

// MARK: - Collections

private protocol DecodableList {
  static var elementType: any Decodable.Type { get }
  static var empty: any Decodable { get }
}
private protocol DecodableMap { static var valueType: any Decodable.Type { get } }
private protocol DecodableOptional { static var wrappedType: any Decodable.Type { get } }

extension Array: DecodableList where Element: Decodable {
  fileprivate static var elementType: any Decodable.Type { Element.self }
  fileprivate static var empty: any Decodable { [Element]() }
}

extension Dictionary: DecodableMap where Key == String, Value: Decodable {
  fileprivate static var valueType: any Decodable.Type { Value.self }
}

extension Optional: DecodableOptional where Wrapped: Decodable {
  fileprivate static var wrappedType: any Decodable.Type { Wrapped.self }
}
