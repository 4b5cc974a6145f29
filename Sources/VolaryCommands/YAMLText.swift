package import Foundation
internal import VolaryAPI

/// JSON documents as YAML: strings and numbers are written alike in both.
package enum YAMLText {
  /// Prints a value of the API's.
  static func show(_ value: some Encodable) throws {
    print(try text(of: try APICoding.encode(value)), terminator: "")
  }

  package static func text(of json: Data) throws -> String {
    let document = try JSONSerialization.jsonObject(with: json, options: .fragmentsAllowed)
    return try lines(document).joined(separator: "\n") + "\n"
  }

  private static func lines(_ value: Any) throws -> [String] {
    switch value {
    case let list as [Any] where !list.isEmpty:
      return try list.flatMap { item -> [String] in
        let lines = try lines(item)
        return ["- " + lines[0]] + lines.dropFirst().map { "  " + $0 }
      }
    case let map as [String: Any] where !map.isEmpty:
      return try map.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
        let lines = try lines(value)
        let isBlock = value is [Any] || value is [String: Any]
        if isBlock, lines != ["[]"], lines != ["{}"] {
          return ["\(try self.key(key)):"] + lines.map { "  " + $0 }
        }
        return ["\(try self.key(key)): \(lines[0])"]
      }
    default: return [try scalar(value)]
    }
  }

  /// A plain word where it cannot be taken for anything else.
  private static func key(_ key: String) throws -> String {
    let words: Set = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
    let isPlain =
      key.first?.isLetter == true && !words.contains(key.lowercased())
      && key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_.-".contains($0)) }
    return isPlain ? key : try scalar(key)
  }

  private static func scalar(_ value: Any) throws -> String {
    if value is [Any] { return "[]" }
    if value is [String: Any] { return "{}" }
    let data = try JSONSerialization.data(
      withJSONObject: value, options: [.fragmentsAllowed, .withoutEscapingSlashes])
    return String(decoding: data, as: UTF8.self)
  }
}
