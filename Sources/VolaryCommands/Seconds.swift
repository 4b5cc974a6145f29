internal import VolaryHost

/// Times on the command line.
enum Seconds {
  /// `30m`, `12h`, `7d` or a number of seconds.
  static func read(_ text: String) throws(VolaryError) -> Int64 {
    let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    let unit = text.last.flatMap { units[$0] }
    guard let count = Int64(unit == nil ? text[...] : text.dropLast()), count > 0, count < 1 << 32 else {
      throw VolaryError(.usage, "`\(text)` is no time; it is a number with s, m, h or d")
    }
    return count * (unit ?? 1)
  }
}
