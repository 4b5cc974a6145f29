/// A line of the memory map that firmware gives a guest.
package struct MemoryMapEntry: Equatable, Sendable {
  /// What the addresses are for; the numbers are those of ACPI 6.5, 15.1, which both the PVH entry and Linux's zero
  /// page use.
  package enum Kind: UInt32, Sendable {
    case usable = 1
    case reserved = 2
  }

  package var range: Range<UInt64>
  package var kind: Kind

  /// As INT 15h, function E820h, gives it, and all that were made after it: address, size, kind.
  var bytes: [UInt8] {
    [range.lowerBound, UInt64(range.count)].flatMap { Self.bytes(of: $0) } + Self.bytes(of: kind.rawValue)
  }

  private static func bytes(of number: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  package init(range: Range<UInt64>, kind: Kind) {
    self.range = range
    self.kind = kind
  }
}
