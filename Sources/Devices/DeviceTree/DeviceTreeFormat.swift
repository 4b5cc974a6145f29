/// The flattened format's numbers (Devicetree Specification v0.4, chapter 5).
enum DeviceTreeFormat {
  static let magic: UInt32 = 0xD00D_FEED
  /// The version we write and the oldest that can read it.
  static let version: UInt32 = 17
  static let lastCompatibleVersion: UInt32 = 16

  /// Header fields, as byte offsets (section 5.2).
  enum Header {
    static let magic = 0
    static let totalSize = 4
    static let structureOffset = 8
    static let stringsOffset = 12
    static let reservationsOffset = 16
    static let version = 20
    static let lastCompatibleVersion = 24
    static let bootCPU = 28
    static let stringsSize = 32
    /// Since version 17.
    static let structureSize = 36
    /// Bytes in a header of version 17, and of version 16.
    static let size = 40
    static let size16 = 36
  }

  /// What the structure block is made of (section 5.4.1).
  enum Token {
    static let beginNode: UInt32 = 1
    static let endNode: UInt32 = 2
    static let property: UInt32 = 3
    static let nop: UInt32 = 4
    static let end: UInt32 = 9
  }

  /// The longest name we accept. The specification has 31; trees in the wild go beyond.
  static let maximumNameLength = 255
  /// The deepest nesting we accept, which is Linux's own limit too.
  static let maximumDepth = 64
  /// The largest blob we accept, in bytes; Linux maps no more on some architectures.
  static let maximumSize = 2 << 20

  /// Whether the bytes may name a node below the root, unit address included (section 2.2.1).
  static func isNodeName(_ name: some Collection<UInt8>) -> Bool {
    let parts = name.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
    return name.count <= maximumNameLength && (1...2).contains(parts.count)
      && parts.allSatisfy { part in
        !part.isEmpty && part.allSatisfy { isAlphanumeric($0) || nodePunctuation.contains($0) }
      }
  }

  /// Whether the bytes may name a property (section 2.2.4.1).
  static func isPropertyName(_ name: some Collection<UInt8>) -> Bool {
    !name.isEmpty && name.count <= maximumNameLength
      && name.allSatisfy { isAlphanumeric($0) || propertyPunctuation.contains($0) }
  }

  private static let nodePunctuation = Array(",._+-".utf8)
  private static let propertyPunctuation = Array(",._+?#-".utf8)

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: false
    }
  }
}
