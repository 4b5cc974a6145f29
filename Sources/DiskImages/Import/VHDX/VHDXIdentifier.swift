/// A GUID as its 16 bytes in a file: the first three parts little-endian ([MS-DTYP] 2.3.4.2).
struct VHDXIdentifier: Hashable {
  let bytes: [UInt8]

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = Array(bytes) }

  /// Of a text such as `2DC27766-F623-4200-9D64-115E9BFD4A08`.
  init(_ text: StaticString) {
    let digits = text.description.utf8.filter { $0 != UInt8(ascii: "-") }
    let bytes = stride(from: 0, to: digits.count - 1, by: 2).map { index in
      Self.value(digits[index]) << 4 | Self.value(digits[index + 1])
    }
    self.bytes = bytes[0..<4].reversed() + bytes[4..<6].reversed() + bytes[6..<8].reversed() + bytes[8...]
  }

  private static func value(_ digit: UInt8) -> UInt8 {
    digit >= UInt8(ascii: "A") ? digit - UInt8(ascii: "A") + 10 : digit - UInt8(ascii: "0")
  }

  static let none = VHDXIdentifier([UInt8](repeating: 0, count: 16)[...])

  // Regions ([MS-VHDX] 2.2.3.2).
  static let blockTable = VHDXIdentifier("2DC27766-F623-4200-9D64-115E9BFD4A08")
  static let metadata = VHDXIdentifier("8B7CA206-4790-4B9A-B8FE-575F050F886E")
  // Metadata items ([MS-VHDX] 2.6.2).
  static let fileParameters = VHDXIdentifier("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
  static let diskSize = VHDXIdentifier("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
  static let diskIdentifier = VHDXIdentifier("BECA12AB-B2E6-4523-93EF-C309E000C746")
  static let logicalSectorSize = VHDXIdentifier("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
  static let physicalSectorSize = VHDXIdentifier("CDA348C7-445D-4471-9CC9-E9885251C556")
  static let parentLocator = VHDXIdentifier("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
}
