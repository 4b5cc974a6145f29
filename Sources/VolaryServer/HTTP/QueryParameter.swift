internal import HostSystem
internal import VolaryAPI

/// One parameter that a route takes after the question mark.
package struct QueryParameter: Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    case text
    case integer(ClosedRange<Int64>)
    case number(ClosedRange<Double>)
    case flag
    case words([String])
    /// Several of these, with commas between.
    case wordList([String])
  }

  package let name: String
  package let kind: Kind
  package let summary: String
  package let isRequired: Bool

  package init(_ name: String, _ kind: Kind, _ summary: String, isRequired: Bool = false) {
    self.name = name
    self.kind = kind
    self.summary = summary
    self.isRequired = isRequired
  }

  package static let project = QueryParameter("project", .text, "The project; `default` when none is named")
  package static let recursion = QueryParameter(
    "recursion", .integer(0...2), "0 for paths, 1 for objects, 2 for objects with their state")
  package static let filter = QueryParameter(
    "filter", .text, "Only what fits, such as `status eq Running and name ne web`")

  /// Throws unless `value` is of the kind.
  func check(_ value: String) throws(APIError) {
    switch kind {
    case .text:
      return
    case .integer(let range):
      guard let number = Int64(value), range.contains(number) else {
        throw .invalid("`\(name)` has to be a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .number(let range):
      guard let number = Double(value), range.contains(number) else {
        throw .invalid("`\(name)` has to be a number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .flag:
      if QueryValues.flag(value) == nil { throw .invalid("`\(name)` has to be true or false") }
    case .words(let words):
      if !words.contains(value) { throw .invalid("`\(name)` has to be \(words.joined(separator: " or "))") }
    case .wordList(let words):
      for word in value.split(separator: ",") where !words.contains(String(word)) {
        throw .invalid("`\(name)` knows \(words.joined(separator: ", ")), not `\(word)`")
      }
    }
  }

  var schema: Schema {
    switch kind {
    case .text: return .string
    case .integer(let range):
      return Schema([
        "type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound),
      ])
    case .number(let range):
      return Schema([
        "type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound),
      ])
    case .flag: return .boolean
    case .words(let words): return .oneOf(words: words)
    case .wordList: return .string
    }
  }
}

/// What came after the question mark, of a request.
package struct QueryValues: Equatable, Sendable {
  private let values: [String: String]

  package init(_ values: [String: String]) { self.values = values }

  /// Reads `a=1&b=2` with its percent signs; the last of equal names counts.
  init(parsing text: Substring) throws(APIError) {
    var values: [String: String] = [:]
    for pair in text.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentEncoding.decode(parts[0], plusIsSpace: true),
        let value = PercentEncoding.decode(parts.count > 1 ? parts[1] : "", plusIsSpace: true)
      else { throw .invalid("the query holds a percent sign that is followed by no character") }
      values[name] = value
    }
    self.values = values
  }

  /// The text of a parameter; nil when it is not there or empty.
  package subscript(_ name: String) -> String? {
    guard let value = values[name], !value.isEmpty else { return nil }
    return value
  }

  package subscript(_ parameter: QueryParameter) -> String? { self[parameter.name] }

  package func integer(_ name: String) -> Int64? { self[name].flatMap { Int64($0) } }
  package func number(_ name: String) -> Double? { self[name].flatMap { Double($0) } }
  package func flag(_ name: String) -> Bool { self[name].flatMap(Self.flag) ?? false }
  package func list(_ name: String) -> [String] { self[name]?.split(separator: ",").map(String.init) ?? [] }

  static func flag(_ text: String) -> Bool? {
    switch text {
    case "1", "true", "yes": true
    case "0", "false", "no": false
    default: nil
    }
  }
}
