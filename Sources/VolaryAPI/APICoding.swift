package import Foundation

/// How the API's values are written and read: keys in order, so that equal values are equal bytes.
package enum APICoding {
  /// For people to read.
  package static var prettyEncoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  package static func encode(_ value: some Encodable) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(value)
  }

  /// Lists and objects within each other that are read. Foundation 6.3 reads beyond the end of data with more than 512.
  private static let deepest = 128

  package static func decode<Value: Decodable>(_ type: Value.Type, from data: Data) throws -> Value {
    guard isShallow(data) else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: [], debugDescription: "lists and objects are too deep within each other"))
    }
    return try JSONDecoder().decode(type, from: data)
  }

  private static func isShallow(_ data: Data) -> Bool {
    var (depth, isText, isEscaped) = (0, false, false)
    return data.withUnsafeBytes { bytes in
      for byte in bytes {
        // Foundation reads UTF-16 and UTF-32 too, in which a character may hold the byte of a quote. Nothing else has
        // zeros.
        if byte == 0 { return false }
        if isText {
          if isEscaped {
            isEscaped = false
          } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
          } else if byte == UInt8(ascii: "\"") {
            isText = false
          }
          continue
        }
        switch byte {
        case UInt8(ascii: "\""): isText = true
        case UInt8(ascii: "["), UInt8(ascii: "{"):
          depth += 1
          if depth > deepest { return false }
        case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
        default: break
        }
      }
      return true
    }
  }

  /// Where and how JSON does not fit, in one sentence for the person who wrote it.
  package static func sentence(about error: any Error) -> String {
    guard let error = error as? DecodingError else { return "the document cannot be read: \(error)" }
    switch error {
    case .dataCorrupted(let context):
      return context.codingPath.isEmpty
        ? "the body is not JSON" : "\(place(context.codingPath)) is not valid: \(context.debugDescription)"
    case .keyNotFound(let key, let context):
      return "\(place(context.codingPath + [key])) is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
      return "\(place(context.codingPath)) has to be \(words(for: type))"
    @unknown default: return "the document cannot be read"
    }
  }

  private static func place(_ path: [any CodingKey]) -> String {
    if path.isEmpty { return "the body" }
    let words = path.map { key in key.intValue.map { "[\($0)]" } ?? "." + key.stringValue }
    return "`" + String(words.joined().trimmingPrefix(".")) + "`"
  }

  private static func words(for type: Any.Type) -> String {
    switch type {
    case is String.Type: "a string"
    case is Bool.Type: "true or false"
    case is any BinaryInteger.Type: "a whole number"
    case is any BinaryFloatingPoint.Type: "a number"
    case is [String: Any].Type: "an object"
    case is [Any].Type: "a list"
    default: "\(type)".hasPrefix("Dictionary") ? "an object" : "of another form"
    }
  }
}
