package import VolaryAPI

/// Incus's filters over lists (doc/rest-api.md, "Filtering"): `name eq web and not status eq Running`. Clauses
/// are joined from left to right. Keys reach inside with dots: `config.image.os`, or `config.limits.cpu` where
/// the key itself holds dots.
package struct Filter: Equatable, Sendable {
  enum Comparison: String, Sendable {
    case eq, ne, gt, ge, lt, le
  }

  struct Clause: Equatable, Sendable {
    let isAnd: Bool
    let isNegated: Bool
    let key: String
    let comparison: Comparison
    let value: String
  }

  /// Clauses that are read.
  private static let most = 64
  private let clauses: [Clause]

  package init(_ text: String) throws(APIError) {
    var words = try Self.words(text)[...]
    var clauses: [Clause] = []
    var isAnd = true
    repeat {
      var isNegated = false
      while words.first?.isPlain("not") == true {
        isNegated.toggle()
        words.removeFirst()
      }
      guard words.count >= 3, clauses.count < Self.most else {
        throw .invalid("a filter is written as `key eq value`, joined by and, or, not")
      }
      let parts = Array(words.prefix(3))
      words = words.dropFirst(3)
      guard let comparison = Comparison(rawValue: Self.named[parts[1].text] ?? parts[1].text) else {
        throw .invalid("a filter knows eq, ne, gt, ge, lt and le, not `\(parts[1].text)`")
      }
      clauses.append(
        Clause(
          isAnd: isAnd, isNegated: isNegated, key: parts[0].text, comparison: comparison, value: parts[2].text
        ))
      guard let joint = words.popFirst() else { break }
      switch joint.text {
      case "and", "&&": isAnd = true
      case "or", "||": isAnd = false
      default: throw .invalid("clauses of a filter are joined by and or or, not `\(joint.text)`")
      }
    } while true
    self.clauses = clauses
  }

  /// Whether a value, as JSON, fits.
  package func fits(_ value: JSONValue) -> Bool {
    var result = true
    for clause in clauses {
      let holds = clause.holds(value) != clause.isNegated
      result = clause.isAnd ? result && holds : result || holds
    }
    return result
  }

  private static let named = [
    "==": "eq", "=": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le",
  ]

  private struct Word {
    let text: String
    let isQuoted: Bool

    func isPlain(_ word: String) -> Bool { !isQuoted && text == word }
  }

  /// Words between spaces; one in quotes may hold some.
  private static func words(_ text: String) throws(APIError) -> [Word] {
    var words: [Word] = []
    var rest = text[...]
    while let first = rest.first {
      if first == " " {
        rest.removeFirst()
      } else if first == "\"" || first == "'" {
        let quoted = rest.dropFirst()
        guard let end = quoted.firstIndex(of: first) else {
          throw .invalid("a quote in the filter is not closed")
        }
        words.append(Word(text: String(quoted[..<end]), isQuoted: true))
        rest = quoted[quoted.index(after: end)...]
      } else {
        let word = rest.prefix { $0 != " " }
        words.append(Word(text: String(word), isQuoted: false))
        rest = rest[word.endIndex...]
      }
    }
    return words
  }
}

extension Filter.Clause {
  func holds(_ value: JSONValue) -> Bool {
    let found = Self.find(key[...], in: value)
    guard let found else { return comparison == .ne }
    if let number = found.number, let wanted = Double(self.value) { return compare(number, wanted) }
    guard let text = Self.text(found) else { return comparison == .ne }
    // As in Incus, whether letters are large or small is nothing that makes a difference between words.
    return comparison == .eq || comparison == .ne
      ? compare(text.lowercased(), self.value.lowercased()) : compare(text, self.value)
  }

  private func compare<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
    switch comparison {
    case .eq: left == right
    case .ne: left != right
    case .gt: left > right
    case .ge: left >= right
    case .lt: left < right
    case .le: left <= right
    }
  }

  /// The member of that name, or, dot by dot, a member of a member.
  private static func find(_ key: Substring, in value: JSONValue) -> JSONValue? {
    if let found = value[String(key)] { return found }
    var end = key.startIndex
    while let dot = key[end...].firstIndex(of: ".") {
      let next = key.index(after: dot)
      if let inner = value[String(key[..<dot])], let found = find(key[next...], in: inner) { return found }
      end = next
    }
    return nil
  }

  private static func text(_ value: JSONValue) -> String? {
    switch value {
    case .string(let text): text
    case .bool(let value): value ? "true" : "false"
    case .integer(let value): String(value)
    case .number(let value): String(value)
    default: nil
    }
  }
}
