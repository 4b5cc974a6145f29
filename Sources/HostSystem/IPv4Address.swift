/// An IPv4 address.
package struct IPv4Address: Equatable, Hashable, Sendable, CustomStringConvertible {
  /// The address as a number, the first byte on top: 127.0.0.1 is 0x7F00_0001.
  package var value: UInt32

  package init(_ value: UInt32) { self.value = value }

  package init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
    value = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
  }

  /// Reads four decimal numbers with dots between; nil for anything else, a leading zero included,
  /// because some programs would read it as octal.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 4 else { return nil }
    value = 0
    for part in parts {
      guard part.allSatisfy({ $0.isASCII && $0.isNumber }), let byte = UInt8(part),
        part.count == 1 || part.first != "0"
      else { return nil }
      value = value << 8 | UInt32(byte)
    }
  }

  package var description: String {
    "\(value >> 24).\(value >> 16 & 0xFF).\(value >> 8 & 0xFF).\(value & 0xFF)"
  }

  package static let any = IPv4Address(0)
  package static let loopback = IPv4Address(127, 0, 0, 1)
}
