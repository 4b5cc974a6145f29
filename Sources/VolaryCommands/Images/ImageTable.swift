import Foundation

/// Writes images in the formats of `-f`.
package enum ImageTable {
  package enum Format: String, CaseIterable, Sendable {
    case table, compact, json, yaml, csv
  }

  private static let titles = ["NAME", "ARCHITECTURE", "SIZE", "CREATED", "SOURCE"]

  package static func text(_ images: [ImageRecord], format: Format) throws -> String {
    switch format {
    case .table: bordered([titles] + images.map(row))
    case .compact: aligned([titles] + images.map(row))
    case .csv: ([titles] + images.map(row)).map { $0.map(quoted).joined(separator: ",") + "\n" }.joined()
    case .json: String(decoding: try ImageRecord.encoder.encode(images), as: UTF8.self) + "\n"
    case .yaml: try yaml(images)
    }
  }

  private static func row(_ image: ImageRecord) -> [String] {
    [
      image.name, image.architecture.rawValue, ByteCount.text(image.storedSize),
      image.createdAt.formatted(.iso8601), image.source,
    ]
  }

  private static func widths(_ rows: [[String]]) -> [Int] {
    titles.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: width - text.count)
  }

  private static func aligned(_ rows: [[String]]) -> String {
    let widths = widths(rows)
    return rows.map { row in
      let line = zip(row, widths).map(padded).joined(separator: "  ")
      return String(line.reversed().drop { $0 == " " }.reversed()) + "\n"
    }.joined()
  }

  private static func bordered(_ rows: [[String]]) -> String {
    let widths = widths(rows)
    let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) + "+" }.joined() + "\n"
    return rule
      + rows.map { row in
        "|" + zip(row, widths).map { " " + padded($0, $1) + " |" }.joined() + "\n" + rule
      }.joined()
  }

  /// RFC 4180.
  private static func quoted(_ text: String) -> String {
    guard text.contains(where: { $0 == "," || $0 == "\"" || $0.isNewline }) else { return text }
    return "\"" + text.replacingOccurrences(of: "\"", with: "\"\"") + "\""
  }

  /// The JSON documents as YAML: strings and numbers are written alike in both.
  private static func yaml(_ images: [ImageRecord]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let documents = try JSONSerialization.jsonObject(with: ImageRecord.encoder.encode(images))
    guard let list = documents as? [[String: Any]], !list.isEmpty else { return "[]\n" }
    func scalar(_ value: Any) throws -> String {
      if let number = value as? NSNumber { return number.stringValue }
      return String(decoding: try encoder.encode(value as? String ?? ""), as: UTF8.self)
    }
    return try list.map { image in
      let lines = try image.sorted { $0.key < $1.key }.flatMap { key, value -> [String] in
        guard let entries = value as? [String: Any] else { return ["\(key): \(try scalar(value))"] }
        return ["\(key):"]
          + (try entries.sorted { $0.key < $1.key }.map { "  \(try scalar($0.key)): \(try scalar($0.value))" })
      }
      return "- " + lines.joined(separator: "\n  ") + "\n"
    }.joined()
  }
}
