/// A table that describes the board to its guest: a header, and content of the kind that the signature names
/// (ACPI 6.5 section 5.2.6).
struct ACPITable {
  /// Bytes of the header.
  static let headerSize = 36
  /// Where the checksum is in it.
  static let checksumOffset = 9
  /// Who made the tables, in the fields of 6, 8 and 4 characters that the header has for that.
  private static let manufacturer = "VOLARY"
  private static let model = "VOLARYPC"
  private static let creator = "VLRY"

  private(set) var bytes: [UInt8]

  /// A table of a signature of four characters, without content.
  init(_ signature: String, revision: UInt8) {
    bytes = Array(signature.utf8) + [0, 0, 0, 0, revision, 0]
    bytes += Array(Self.manufacturer.utf8) + Array(Self.model.utf8) + UInt32(1).littleEndianBytes
    bytes += Array(Self.creator.utf8) + UInt32(1).littleEndianBytes
    precondition(bytes.count == Self.headerSize, "the header's texts have the sizes of their fields")
  }

  mutating func append(_ value: some FixedWidthInteger) { bytes += value.littleEndianBytes }
  mutating func append(_ content: [UInt8]) { bytes += content }

  /// Adds zeros up to an offset from the table's start.
  mutating func pad(to offset: Int) {
    precondition(offset >= bytes.count, "a field of an ACPI table is in another's place")
    bytes += [UInt8](repeating: 0, count: offset - bytes.count)
  }

  /// The table with its length and checksum.
  var finished: [UInt8] {
    var table = bytes
    table.replaceSubrange(4..<8, with: UInt32(table.count).littleEndianBytes)
    table[Self.checksumOffset] = Self.checksum(table)
    return table
  }

  /// What makes the sum of all bytes zero.
  static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { 0 &- bytes.reduce(0, &+) }
}

/// Where a register is (ACPI's generic address structure, section 5.2.3.2).
struct ACPIAddress {
  /// An I/O port of 8, 16 or 32 bits.
  let port: UInt16
  let bits: UInt8

  var bytes: [UInt8] {
    let accessSize = UInt8(bits.trailingZeroBitCount - 2)
    return [0x01, bits, 0, accessSize] + UInt64(port).littleEndianBytes
  }
}
