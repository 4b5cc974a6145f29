/// A range of memory space that a function asks for by a base address register (PCI 3.0 §6.2.5.1).
package struct PCIBaseAddress: Equatable, Sendable {
  package enum Kind: Equatable, Sendable {
    case memory32
    /// The register after this one holds the address's high half.
    case memory64

    /// What the register says of itself in its lowest bits.
    var bits: UInt32 { self == .memory32 ? 0b000 : 0b100 }
  }

  /// The register, 0 to 5.
  package let index: Int
  package let kind: Kind
  /// Bytes: a power of two. The range's address is a multiple of it.
  package let size: UInt64

  package init(index: Int, kind: Kind, size: UInt64) {
    precondition((0..<(kind == .memory64 ? 5 : 6)).contains(index), "there are six base address registers")
    precondition(size >= 128 && size.nonzeroBitCount == 1, "a range is a power of two, 128 bytes or more")
    precondition(kind == .memory64 || size <= 1 << 31, "the range does not fit 32 bits")
    self.index = index
    self.kind = kind
    self.size = size
  }

  /// The register's offset into the configuration space.
  var register: Int { PCIRegister.baseAddress + 4 * index }
}
