/// A document of XML 1.0 as its elements and attributes, by names without their namespaces' prefixes. Strict where
/// it matters, and without what documents can do harm by: no document type, so no entities but the five and those of
/// characters; so much depth and so many elements, and no more.
package final class XMLTree {
  package let name: String
  /// By local name; of two that differ in their prefix alone, the first.
  package internal(set) var attributes: [String: String] = [:]
  package internal(set) var children: [XMLTree] = []
  /// All characters of the element itself.
  package internal(set) var text = ""

  init(name: String) { self.name = name }

  /// The first child of that name.
  package func child(_ name: String) -> XMLTree? { children.first { $0.name == name } }
  package func all(_ name: String) -> [XMLTree] { children.filter { $0.name == name } }

  /// The element, at any depth, and itself included.
  func first(_ name: String) -> XMLTree? {
    if self.name == name { return self }
    for child in children {
      if let found = child.first(name) { return found }
    }
    return nil
  }

  /// The characters without white space around them.
  package var trimmedText: String {
    let isSpace = { (character: Character) in character.isWhitespace }
    return String(text.drop(while: isSpace).reversed().drop(while: isSpace).reversed())
  }
}

/// Why a text is no document; the line is counted from 1.
package struct XMLError: Error, Equatable, CustomStringConvertible {
  package let reason: String
  package let line: Int

  package init(reason: String, line: Int) {
    self.reason = reason
    self.line = line
  }

  package var description: String { "line \(line): \(reason)" }
}

extension XMLTree {
  /// Bytes of a document at most, how deep elements may lie, and how many there may be.
  package static let mostBytes = 4 << 20
  static let mostDepth = 100
  static let mostElements = 100_000

  /// Reads a document in UTF-8 and returns its root.
  package static func read(_ bytes: [UInt8]) throws(XMLError) -> XMLTree {
    var reader = XMLReader(bytes)
    return try reader.document()
  }
}

/// Goes through a document once.
private struct XMLReader {
  private let bytes: [UInt8]
  private var position = 0
  private var elements = 0

  init(_ bytes: [UInt8]) {
    // A mark of the byte order says nothing in UTF-8.
    self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
  }

  private func failure(_ reason: String) -> XMLError {
    XMLError(reason: reason, line: 1 + bytes[..<min(position, bytes.count)].count { $0 == 0x0A })
  }

  mutating func document() throws(XMLError) -> XMLTree {
    guard bytes.count <= XMLTree.mostBytes else { throw failure("more than \(XMLTree.mostBytes) bytes") }
    guard !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else {
      throw failure("it is no text in UTF-8")
    }
    try skipMiscellany()
    guard let root = try element() else { throw failure("there is no element") }
    try skipMiscellany()
    guard position == bytes.count else { throw failure("something follows the last element") }
    return root
  }

  /// The element that begins here, with all in it; without recursion, since its depth is the document's to choose.
  private mutating func element() throws(XMLError) -> XMLTree? {
    var open: [XMLTree] = []
    var names: [[UInt8]] = []
    while position < bytes.count {
      if skip("<!--") {
        try skip(past: "-->", "a comment")
      } else if skip("<?") {
        try skip(past: "?>", "an instruction")
      } else if !open.isEmpty, skip("<![CDATA[") {
        let start = position
        try skip(past: "]]>", "a CDATA section")
        open[open.count - 1].text += String(decoding: bytes[start..<position - 3], as: UTF8.self)
      } else if skip("</") {
        let name = try self.name()
        skipSpace()
        guard let last = open.popLast(), names.popLast() == name, skip(">") else {
          throw failure("</\(String(decoding: name, as: UTF8.self))> ends no element that is open")
        }
        if open.isEmpty { return last }
      } else if skip("<!") {
        throw failure("a document type or the like, which is not allowed here")
      } else if skip("<") {
        let (element, name, isEmpty) = try startTag()
        open.last?.children.append(element)
        if isEmpty {
          if open.isEmpty { return element }
          continue
        }
        guard open.count < XMLTree.mostDepth else { throw failure("elements in more than 100 others") }
        open.append(element)
        names.append(name)
      } else {
        guard let last = open.last else { throw failure("characters outside of elements") }
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "<") { position += 1 }
        last.text += try characters(bytes[start..<position])
      }
    }
    throw failure("it ends within an element")
  }

  private mutating func startTag() throws(XMLError) -> (XMLTree, name: [UInt8], isEmpty: Bool) {
    elements += 1
    guard elements <= XMLTree.mostElements else { throw failure("more than 100000 elements") }
    let name = try name()
    let element = XMLTree(name: Self.local(name))
    var seen: Set<[UInt8]> = []
    while true {
      let hadSpace = skipSpace()
      if skip("/>") { return (element, name, true) }
      if skip(">") { return (element, name, false) }
      guard hadSpace else { throw failure("an attribute is to be apart from what is in front of it") }
      let attribute = try self.name()
      skipSpace()
      guard skip("=") else { throw failure("an attribute has no value") }
      skipSpace()
      guard position < bytes.count, [UInt8(ascii: "\""), UInt8(ascii: "'")].contains(bytes[position]) else {
        throw failure("a value is not in quotation marks")
      }
      let quote = bytes[position]
      let start = position + 1
      guard let end = bytes[start...].firstIndex(of: quote), !bytes[start..<end].contains(UInt8(ascii: "<"))
      else {
        throw failure("a value does not end")
      }
      position = end + 1
      guard seen.insert(attribute).inserted else { throw failure("an attribute twice") }
      let local = Self.local(attribute)
      let value = try characters(bytes[start..<end])
      // Declarations of namespaces are no attributes.
      if attribute.starts(with: "xmlns".utf8) { continue }
      if element.attributes[local] == nil { element.attributes[local] = value }
    }
  }

  private static func local(_ name: [UInt8]) -> String {
    String(decoding: name.split(separator: UInt8(ascii: ":")).last ?? [], as: UTF8.self)
  }

  private mutating func name() throws(XMLError) -> [UInt8] {
    let start = position
    while position < bytes.count {
      switch bytes[position] {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
        UInt8(ascii: ":"), 0x80...:
        break
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
        if position == start { throw failure("a name is missing") }
      default:
        guard position > start else { throw failure("a name is missing") }
        return Array(bytes[start..<position])
      }
      position += 1
    }
    throw failure("it ends within a name")
  }

  /// Characters with their references replaced (XML 1.0, 4.1 and 4.6).
  private func characters(_ bytes: ArraySlice<UInt8>) throws(XMLError) -> String {
    guard bytes.contains(UInt8(ascii: "&")) else { return String(decoding: bytes, as: UTF8.self) }
    var text = ""
    for (index, part) in bytes.split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
      .enumerated()
    {
      if index == 0 {
        text += String(decoding: part, as: UTF8.self)
        continue
      }
      guard let end = part.firstIndex(of: UInt8(ascii: ";")),
        let value = Self.entity(part[part.startIndex..<end])
      else { throw failure("an entity that is not known") }
      text.unicodeScalars.append(value)
      text += String(decoding: part[(end + 1)...], as: UTF8.self)
    }
    return text
  }

  private static func entity(_ name: ArraySlice<UInt8>) -> Unicode.Scalar? {
    let text = String(decoding: name.prefix(12), as: UTF8.self)
    switch text {
    case "amp": return "&"
    case "lt": return "<"
    case "gt": return ">"
    case "quot": return "\""
    case "apos": return "'"
    default: break
    }
    guard text.hasPrefix("#"), name.count <= 12 else { return nil }
    let isHexadecimal = text.hasPrefix("#x")
    let digits = text.dropFirst(isHexadecimal ? 2 : 1)
    guard digits.allSatisfy(\.isHexDigit), let number = UInt32(digits, radix: isHexadecimal ? 16 : 10),
      number > 0
    else { return nil }
    return Unicode.Scalar(number)
  }

  /// Skips what may stand in front of the root and behind it.
  private mutating func skipMiscellany() throws(XMLError) {
    while true {
      skipSpace()
      if skip("<?") {
        try skip(past: "?>", "an instruction")
      } else if skip("<!--") {
        try skip(past: "-->", "a comment")
      } else {
        return
      }
    }
  }

  @discardableResult
  private mutating func skipSpace() -> Bool {
    let start = position
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    return position > start
  }

  private mutating func skip(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    let isThere = text.withUTF8Buffer { text in
      bytes.count - position >= count && bytes[position..<position + count].elementsEqual(text)
    }
    if isThere { position += count }
    return isThere
  }

  private mutating func skip(past end: StaticString, _ what: String) throws(XMLError) {
    let first = end.withUTF8Buffer { $0[0] }
    while let next = bytes[position...].firstIndex(of: first) {
      position = next
      if skip(end) { return }
      position += 1
    }
    throw failure("\(what) does not end")
  }
}
