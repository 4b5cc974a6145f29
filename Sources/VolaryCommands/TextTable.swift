import Foundation

/// How lists are written: `-f`.
package enum ListFormat: String, CaseIterable, Sendable {
  case table, compact, json, yaml, csv

  /// The format of that name; without one a table on a terminal, and compact elsewhere. Nil for a name of none.
  static func named(_ name: String?) -> ListFormat? {
    guard let name else { return isatty(STDOUT_FILENO) == 1 ? .table : .compact }
    return ListFormat(rawValue: name)
  }

  static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

/// Rows under titles, and the documents behind them.
struct TextTable<Object: Encodable & SendableMetatype> {
  let titles: [String]
  let objects: [Object]
  let encoder: JSONEncoder
  let row: (Object) -> [String]

  func text(_ format: ListFormat) throws -> String {
    let rows = [titles] + objects.map(row)
    return switch format {
    case .table: bordered(rows)
    case .compact: aligned(rows)
    case .csv: rows.map { $0.map(Self.quoted).joined(separator: ",") + "\n" }.joined()
    case .json: String(decoding: try encoder.encode(objects), as: UTF8.self) + "\n"
    case .yaml: try YAMLText.text(of: encoder.encode(objects))
    }
  }

  private func widths(_ rows: [[String]]) -> [Int] {
    titles.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: width - text.count)
  }

  private func aligned(_ rows: [[String]]) -> String {
    let widths = widths(rows)
    return rows.map { row in
      let line = zip(row, widths).map(Self.padded).joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
    }.joined()
  }

  private func bordered(_ rows: [[String]]) -> String {
    let widths = widths(rows)
    let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) + "+" }.joined() + "\n"
    return rule
      + rows.map { row in
        "|" + zip(row, widths).map { " " + Self.padded($0, $1) + " |" }.joined() + "\n" + rule
      }.joined()
  }

  /// RFC 4180.
  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }
}
