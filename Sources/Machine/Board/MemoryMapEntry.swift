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

  package init(range: Range<UInt64>, kind: Kind) {
    self.range = range
    self.kind = kind
  }
}
