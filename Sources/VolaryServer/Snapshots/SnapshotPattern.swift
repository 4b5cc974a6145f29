internal import VolaryAPI

/// How snapshots that nobody names are called (Incus's `snapshots.pattern`): `%d` is the first number that is free, and
/// `{{ creation_date|date:'2006-01-02_15-04-05' }}` the time in UTC, written as that moment is there.
struct SnapshotPattern: Equatable, Sendable {
  static let usual = SnapshotPattern(text: "snap%d")

  private let text: String

  private init(text: String) { self.text = text }

  /// Nil for what makes no names.
  init?(_ text: String) {
    self.text = text
    let example = name(at: .now, among: [])
    guard text.utf8.count <= 200, (try? ObjectName.check(example, of: "snapshot")) != nil else { return nil }
  }

  /// A name that is not among `taken`.
  func name(at moment: Timestamp, among taken: Set<String>) -> String {
    let dated = Self.fillDates(text, moment)
    if let place = dated.firstRange(of: "%d") {
      // One more than the highest, so that numbers tell the order.
      let (before, after) = (dated[..<place.lowerBound], dated[place.upperBound...])
      let numbers = taken.compactMap { name -> Int? in
        guard name.hasPrefix(before), name.hasSuffix(after), name.count >= before.count + after.count else {
          return nil
        }
        return Int(name.dropFirst(before.count).dropLast(after.count))
      }
      let next = (numbers.max() ?? -1).addingReportingOverflow(1).partialValue
      return "\(before)\(max(0, next))\(after)"
    }
    if !taken.contains(dated) { return dated }
    var number = 0
    while taken.contains("\(dated)-\(number)") { number += 1 }
    return "\(dated)-\(number)"
  }

  private static func fillDates(_ text: String, _ moment: Timestamp) -> String {
    var (done, rest) = ("", text[...])
    while let open = rest.firstRange(of: "{{"), let close = rest[open.upperBound...].firstRange(of: "}}") {
      done += rest[..<open.lowerBound]
      let inner = rest[open.upperBound..<close.lowerBound].filter { $0 != " " }
      done += date(inner, moment) ?? "?"
      rest = rest[close.upperBound...]
    }
    return done + rest
  }

  private static func date(_ inner: String, _ moment: Timestamp) -> String? {
    guard inner.hasPrefix("creation_date") else { return nil }
    var layout = inner.dropFirst("creation_date".count)
    layout = layout.isEmpty ? "|date:'2006-01-02_15-04-05'" : layout
    guard layout.hasPrefix("|date:") else { return nil }
    let form = layout.dropFirst("|date:".count).filter { $0 != "'" && $0 != "\"" }
    // `2026-03-01T12:00:00…`
    let parts = "\(moment)".split { "-T:.Z".contains($0) }
    guard parts.count >= 6 else { return nil }
    let tokens = [("2006", 0), ("01", 1), ("02", 2), ("15", 3), ("04", 4), ("05", 5)]
    var (written, rest) = ("", form[...])
    scan: while let first = rest.first {
      for (token, index) in tokens where rest.hasPrefix(token) {
        written += parts[index]
        rest = rest.dropFirst(token.count)
        continue scan
      }
      written.append(first)
      rest = rest.dropFirst()
    }
    return written
  }
}
