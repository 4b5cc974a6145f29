/// 128 bits that nobody else draws: the name of a pair, or of one of its sides.
package struct MirrorIdentity: Hashable, Sendable, CustomStringConvertible {
  package let high: UInt64
  package let low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// One drawn from the host's random numbers.
  package static func random() -> MirrorIdentity {
    MirrorIdentity(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
  }

  /// 32 hexadecimal digits.
  package var description: String {
    [high, low].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
