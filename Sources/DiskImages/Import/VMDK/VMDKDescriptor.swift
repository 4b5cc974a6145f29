/// The text that says what a virtual disk consists of (VMware, Virtual Disk Format 5.0, "The Descriptor File").
struct VMDKDescriptor {
  static let start = "# Disk DescriptorFile"
  /// Bytes of a text that is looked at; the format's own have some hundred.
  static let mostBytes = 64 << 10

  /// A part of the disk, in a file of its own mostly.
  struct Extent: Equatable {
    /// SPARSE, FLAT, VMFS, ZERO and others.
    var type: String
    var file: String
  }

  var createType = ""
  var parentCID = "ffffffff"
  var parentFile = ""
  var extents: [Extent] = []

  var hasParent: Bool { parentCID.lowercased() != "ffffffff" }

  /// Reads what can be read of a text, up to its first zero byte.
  init(parsing bytes: [UInt8]) {
    let text = bytes.prefix(Self.mostBytes).prefix { $0 != 0 }
    for line in text.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
      add(line: String(decoding: line, as: UTF8.self))
    }
  }

  private mutating func add(line: String) {
    let words = line.split(separator: " ", maxSplits: 3).map(String.init)
    if words.count >= 3, ["RW", "RDONLY", "NOACCESS"].contains(words[0]), UInt64(words[1]) != nil {
      let rest = words.count > 3 ? words[3] : ""
      extents.append(Extent(type: words[2], file: Self.quoted(rest)))
      return
    }
    guard let equals = line.firstIndex(of: "=") else { return }
    let value = Self.trimmed(line[line.index(after: equals)...])
    switch Self.trimmed(line[..<equals]).lowercased() {
    case "createtype": createType = Self.quoted(value)
    case "parentcid": parentCID = Self.quoted(value)
    case "parentfilenamehint": parentFile = Self.quoted(value)
    default: break
    }
  }

  private static func trimmed(_ text: Substring) -> String {
    String(text.drop { $0 == " " || $0 == "\t" }.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
  }

  /// What stands between the first two quotation marks, or all of a text without.
  private static func quoted(_ text: String) -> String {
    guard text.first == "\"" else { return text }
    return String(text.dropFirst().prefix { $0 != "\"" })
  }
}
