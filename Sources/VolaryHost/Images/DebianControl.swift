/// Debian's control file format (deb822(5)): paragraphs of `Field: value`, where a line that starts
/// with a blank continues the value above it.
package enum DebianControl {
  /// A paragraph: fields in the order written, found without regard to case.
  package struct Paragraph: Equatable, Sendable {
    package var fields: [(name: String, value: String)] = []

    package init() {}

    package subscript(_ name: String) -> String? {
      fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// The value's words, however the lines break.
    package func words(_ name: String) -> [String] {
      self[name]?.split(whereSeparator: \.isWhitespace).map(String.init) ?? []
    }

    package static func == (a: Self, b: Self) -> Bool {
      a.fields.elementsEqual(b.fields) { $0.name == $1.name && $0.value == $1.value }
    }
  }

  /// The paragraphs of a text. Lines starting with `#` are comments, also inside a paragraph.
  package static func parse(_ text: String) -> [Paragraph] {
    var paragraphs: [Paragraph] = []
    var current = Paragraph()
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) + [""[...]] {
      if line.first == "#" { continue }
      if line.allSatisfy(\.isWhitespace) {
        if !current.fields.isEmpty { paragraphs.append(current) }
        current = Paragraph()
      } else if line.first?.isWhitespace == true {
        guard !current.fields.isEmpty else { continue }
        current.fields[current.fields.count - 1].value += "\n" + line
      } else if let colon = line.firstIndex(of: ":") {
        let value = line[line.index(after: colon)...].drop(while: \.isWhitespace)
        current.fields.append((String(line[..<colon]), String(value)))
      }
    }
    return paragraphs
  }

  /// A paragraph as text, without the empty line that ends it.
  package static func text(_ paragraph: Paragraph) -> String {
    paragraph.fields.map { name, value in
      // A value whose first line is empty has no blank after the colon.
      value.hasPrefix("\n") || value.isEmpty ? "\(name):\(value)\n" : "\(name): \(value)\n"
    }.joined()
  }
}
