package import Foundation
internal import VolaryAPI
internal import VolaryHost

/// Reads the YAML that ``YAMLText`` writes and that people make of it: maps, lists and scalars in block form, JSON in
/// flow form, texts of several lines behind `|`. Other parts of YAML are refused in words.
package struct YAMLReader {
  private struct Line {
    let number: Int
    let indent: Int
    let text: Substring
  }

  /// Levels of maps and lists.
  private static let deepest = 32

  private let source: [Substring]
  private var lines: [Line] = []
  private var position = 0

  /// A document as JSON.
  package static func json(_ text: String) throws -> Data { try APICoding.encode(read(text)) }

  static func read(_ text: String) throws(VolaryError) -> JSONValue {
    var reader = YAMLReader(text)
    return try reader.document()
  }

  private init(_ text: String) {
    source = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (index, raw) in source.enumerated() {
      let line = raw.last == "\r" ? raw.dropLast() : raw
      let content = line.drop { $0 == " " }
      if content.isEmpty || content.first == "#" || content == "---" { continue }
      lines.append(Line(number: index, indent: line.count - content.count, text: content))
    }
  }

  private mutating func document() throws(VolaryError) -> JSONValue {
    guard let first = lines.first else { return .object([:]) }
    let value = try block(indent: first.indent, depth: 0)
    if position < lines.count { throw problem("it does not belong to what is above it") }
    return value
  }

  private func problem(_ words: String) -> VolaryError {
    let line = position < lines.count ? lines[position].number : source.count - 1
    return VolaryError(.usage, "line \(line + 1) cannot be read: \(words)")
  }

  private mutating func block(indent: Int, depth: Int) throws(VolaryError) -> JSONValue {
    guard depth < Self.deepest else { throw problem("it is too deep") }
    let line = lines[position]
    if line.text == "-" || line.text.hasPrefix("- ") { return try list(indent: indent, depth: depth) }
    if Self.splitKey(line.text) != nil { return try map(indent: indent, depth: depth) }
    position += 1
    do throws(VolaryError) { return try Self.scalar(line.text) } catch {
      position -= 1
      throw problem(error.message)
    }
  }

  private mutating func map(indent: Int, depth: Int) throws(VolaryError) -> JSONValue {
    var members: [String: JSONValue] = [:]
    while position < lines.count, lines[position].indent == indent {
      guard let (key, rest) = Self.splitKey(lines[position].text) else { throw problem("it has no key") }
      if members[key] != nil { throw problem("`\(key)` stands there twice") }
      members[key] = try value(rest, indent: indent, depth: depth, mayAlign: true)
    }
    if position < lines.count, lines[position].indent > indent { throw problem("it is indented too far") }
    return .object(members)
  }

  private mutating func list(indent: Int, depth: Int) throws(VolaryError) -> JSONValue {
    var items: [JSONValue] = []
    while position < lines.count, lines[position].indent == indent {
      let line = lines[position]
      guard line.text == "-" || line.text.hasPrefix("- ") else { break }
      let rest = line.text.dropFirst().drop { $0 == " " }
      if rest.isEmpty || Self.splitKey(rest) == nil && !rest.hasPrefix("- ") {
        items.append(try value(rest, indent: indent, depth: depth, mayAlign: false))
      } else {
        // What follows the hyphen is the first line of a block of its own.
        let inner = indent + (line.text.count - rest.count)
        lines[position] = Line(number: line.number, indent: inner, text: rest)
        items.append(try block(indent: inner, depth: depth + 1))
      }
    }
    return .array(items)
  }

  /// What stands behind a key or a hyphen, or below it.
  private mutating func value(
    _ text: Substring, indent: Int, depth: Int, mayAlign: Bool
  ) throws(VolaryError) -> JSONValue {
    if text.first == "|" { return try literal(text, indent: indent) }
    if !text.isEmpty, text.first != "#" {
      do throws(VolaryError) {
        let value = try Self.scalar(text)
        position += 1
        return value
      } catch { throw problem(error.message) }
    }
    position += 1
    guard position < lines.count else { return .null }
    let next = lines[position]
    // A list may stand as far left as its key.
    let isAligned = mayAlign && next.indent == indent && (next.text == "-" || next.text.hasPrefix("- "))
    guard next.indent > indent || isAligned else { return .null }
    return try block(indent: next.indent, depth: depth + 1)
  }

  /// Lines as they are, without their indentation (YAML 1.2, section 8.1.2).
  private mutating func literal(_ text: Substring, indent: Int) throws(VolaryError) -> JSONValue {
    guard ["|", "|-", "|+"].contains(text) else { throw problem("`\(text)` is not known here") }
    var rows: [Substring] = []
    var width: Int?
    var index = lines[position].number + 1
    while index < source.count {
      let row = source[index]
      let spaces = row.prefix { $0 == " " }.count
      let isBlank = spaces == row.count
      if !isBlank, width == nil { width = spaces }
      if !isBlank, spaces <= indent || spaces < width ?? 0 { break }
      rows.append(row.dropFirst(min(width ?? 0, row.count)))
      index += 1
    }
    position += 1
    while position < lines.count, lines[position].number < index { position += 1 }
    if text != "|+" { while rows.last?.isEmpty == true { rows.removeLast() } }
    let joined = rows.joined(separator: "\n")
    return .string(text == "|-" || rows.isEmpty ? joined : joined + "\n")
  }

  // MARK: - Pieces of a line

  /// A key and what follows its colon; nil where there is none.
  private static func splitKey(_ text: Substring) -> (key: String, rest: Substring)? {
    if text.first == "\"" || text.first == "'" {
      guard let (key, rest) = quoted(text), rest.first == ":" else { return nil }
      return (key, rest.dropFirst().drop { $0 == " " })
    }
    guard text.first != "{", text.first != "[" else { return nil }
    var index = text.startIndex
    while let colon = text[index...].firstIndex(of: ":") {
      let after = text.index(after: colon)
      if after == text.endIndex || text[after] == " " {
        return (String(text[..<colon]), text[after...].drop { $0 == " " })
      }
      index = after
    }
    return nil
  }

  /// The text in quotation marks that a line begins with, and what is behind; nil where they do not close.
  private static func quoted(_ text: Substring) -> (String, Substring)? {
    guard let mark = text.first else { return nil }
    var index = text.index(after: text.startIndex)
    while index < text.endIndex {
      let next = text.index(after: index)
      if mark == "\"", text[index] == "\\", next < text.endIndex {
        index = text.index(after: next)
      } else if text[index] != mark {
        index = next
      } else if mark == "'", next < text.endIndex, text[next] == "'" {
        index = text.index(after: next)
      } else {
        let whole = text[...index]
        let inner = String(whole.dropFirst().dropLast())
        if mark == "'" { return (inner.replacing("''", with: "'"), text[next...]) }
        guard let value = try? APICoding.decode(String.self, from: Data(whole.utf8)) else { return nil }
        return (value, text[next...])
      }
    }
    return nil
  }

  private static func scalar(_ text: Substring) throws(VolaryError) -> JSONValue {
    switch text.first {
    case "\"", "'":
      guard let (value, rest) = quoted(text) else { throw VolaryError("the quotation marks do not close") }
      guard isRemark(rest) else { throw VolaryError("there is more behind the quotation marks") }
      return .string(value)
    case "{", "[":
      guard let value = try? APICoding.decode(JSONValue.self, from: Data(text.utf8)) else {
        throw VolaryError("braces and brackets hold JSON here")
      }
      return value
    case "&", "*", "!", ">", "|", "%", "@", "`":
      throw VolaryError("a text that begins with \(text.prefix(1)) stands in quotation marks")
    default: return plain(text)
    }
  }

  private static func isRemark(_ text: Substring) -> Bool {
    let rest = text.drop { $0 == " " }
    return rest.isEmpty || rest.first == "#"
  }

  private static func plain(_ text: Substring) -> JSONValue {
    var word = text[..<(text.range(of: " #")?.lowerBound ?? text.endIndex)]
    while word.last == " " { word.removeLast() }
    switch word {
    case "", "~", "null": return .null
    case "true": return .bool(true)
    case "false": return .bool(false)
    default:
      // Digits that mean more than a number, such as 010, stay as they are.
      if let number = Int64(word), "\(number)" == word { return .integer(number) }
      return .string(String(word))
    }
  }
}
