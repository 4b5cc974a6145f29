/// A time as Incus writes how long a snapshot is kept: `3d 12H`, numbers with M for minutes, H for hours, d for days, w
/// for weeks, m for months of 30 days and y for years of 365.
package struct TimeSpan: Equatable, Sendable {
  private static let units: [Character: Int64] = [
    "M": 60, "H": 3600, "d": 86_400, "w": 604_800, "m": 2_592_000, "y": 31_536_000,
  ]
  /// A hundred years.
  private static let most: Int64 = 3_153_600_000

  package let seconds: Int64

  /// Nil for what says no time, and for more than a hundred years.
  package init?(_ text: String) {
    var seconds: Int64 = 0
    for word in text.split(separator: " ") {
      guard let unit = word.last.flatMap({ Self.units[$0] }), let count = Int64(word.dropLast()),
        (0...Self.most / unit).contains(count)
      else { return nil }
      seconds += count * unit
      if seconds > Self.most { return nil }
    }
    if seconds == 0 { return nil }
    self.seconds = seconds
  }
}
