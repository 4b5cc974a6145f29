import Foundation

/// Byte counts as people write them.
package enum ByteCount {
  /// `512 B`, `4.0 GiB`: binary multiples.
  package static func text(_ bytes: Int64) -> String {
    var value = Double(bytes)
    for unit in ["B", "KiB", "MiB", "GiB"] {
      if value < 1024 { return unit == "B" ? "\(bytes) B" : String(format: "%.1f %@", value, unit) }
      value /= 1024
    }
    return String(format: "%.1f TiB", value)
  }

  /// Reads `4GiB`, `4G`, `512MiB`, `1048576`; nil for anything else.
  package static func parse(_ text: String) -> Int64? {
    let digits = text.prefix(while: \.isWholeNumber)
    guard let number = Int64(digits) else { return nil }
    let unit = text.dropFirst(digits.count).drop(while: \.isWhitespace).lowercased()
    let powers = ["": 0, "b": 0, "k": 1, "kib": 1, "m": 2, "mib": 2, "g": 3, "gib": 3, "t": 4, "tib": 4]
    guard let power = powers[unit] else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << (10 * Int64(power)))
    return overflow ? nil : bytes
  }
}
