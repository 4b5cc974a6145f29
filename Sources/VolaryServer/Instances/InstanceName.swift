internal import VolaryAPI

/// Names of instances, which are host names too (RFC 1123, section 2.1).
enum InstanceName {
  static func check(_ name: String) throws(APIError) {
    let isFine =
      (1...63).contains(name.utf8.count) && name.utf8.allSatisfy(isAllowed) && name.first != "-"
      && name.last != "-" && name.first?.isNumber == false
    if !isFine {
      throw .invalid(
        "`\(name)` cannot be an instance's name",
        wayOut: "it has up to 63 letters, digits and hyphens, begins with a letter and ends with no hyphen")
    }
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"):
      true
    default: false
    }
  }

  private static let qualities = [
    "able", "bold", "brisk", "calm", "clear", "daring", "eager", "fair", "fleet", "fond", "glad", "keen",
    "kind",
    "lively", "merry", "mild", "neat", "nimble", "plucky", "proud", "quick", "quiet", "rapid", "sharp",
    "sleek",
    "smart", "steady", "sunny", "swift", "tidy", "warm", "wise",
  ]
  private static let birds = [
    "avocet", "bunting", "crane", "curlew", "dipper", "dunlin", "eider", "falcon", "finch", "gannet",
    "goldcrest",
    "grebe", "heron", "hoopoe", "jay", "kestrel", "lark", "linnet", "martin", "merlin", "oriole", "osprey",
    "owl",
    "pipit", "plover", "redstart", "robin", "siskin", "starling", "swallow", "tern", "wren",
  ]

  /// A bird, as is fitting.
  static func random() -> String {
    "\(qualities.randomElement() ?? "swift")-\(birds.randomElement() ?? "swallow")"
  }
}
