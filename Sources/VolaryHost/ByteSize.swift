/// A number of bytes as people write it: `1GiB`, `512MiB`, `2G`, `1048576`.
///
/// `K`, `M`, `G`, `T` and `KiB`, `MiB`, `GiB`, `TiB` are powers of 1024; `kB`, `MB`, `GB`, `TB` powers of
/// 1000, as everywhere else. Decimal fractions are allowed where they give whole bytes.
package struct ByteSize: Equatable, Sendable {
  package let bytes: UInt64

  package init(bytes: UInt64) { self.bytes = bytes }

  /// Nil for what is no size, or more than 2^63 - 1 bytes.
  package init?(_ text: String) {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text[digits.endIndex...].drop { $0 == " " }
    guard let factor = Self.factor(of: String(unit)), let bytes = Self.multiply(digits, by: factor) else {
      return nil
    }
    self.bytes = bytes
  }

  private static func factor(of unit: String) -> UInt64? {
    switch unit {
    case "", "B": 1
    case "K", "k", "KiB": 1 << 10
    case "M", "MiB": 1 << 20
    case "G", "GiB": 1 << 30
    case "T", "TiB": 1 << 40
    case "kB", "KB": 1_000
    case "MB": 1_000_000
    case "GB": 1_000_000_000
    case "TB": 1_000_000_000_000
    default: nil
    }
  }

  /// A decimal number times `factor`, nil when that is no whole number of bytes that fits.
  private static func multiply(_ digits: Substring, by factor: UInt64) -> UInt64? {
    let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, let whole = UInt64(parts[0]) else { return nil }
    var (total, overflow) = whole.multipliedReportingOverflow(by: factor)
    if parts.count == 2 {
      guard (1...6).contains(parts[1].count), let fraction = UInt64(parts[1]) else { return nil }
      let scale = (0..<parts[1].count).reduce(UInt64(1)) { product, _ in product * 10 }
      // Six digits and a tebi fit in 64 bits together.
      guard (fraction * factor).isMultiple(of: scale) else { return nil }
      let (sum, carried) = total.addingReportingOverflow(fraction * factor / scale)
      total = sum
      overflow = overflow || carried
    }
    return overflow || total > UInt64(Int64.max) ? nil : total
  }
}

extension ByteSize: CustomStringConvertible {
  /// The largest binary unit that leaves no fraction: `1536MiB`.
  package var description: String {
    for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
    where bytes >= 1 << shift && bytes.isMultiple(of: 1 << shift) {
      return "\(bytes >> shift)\(unit)"
    }
    return "\(bytes)"
  }
}
