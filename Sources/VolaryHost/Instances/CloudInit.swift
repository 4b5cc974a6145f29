internal import Foundation

/// What a guest is told at its first start, as cloud-init reads it from a disk: the data source NoCloud
/// (cloud-init's documentation, "NoCloud").
package struct CloudInit: Equatable, Sendable {
  /// A key for SSH and whose it is, as `config` has it: `root:ssh-ed25519 AAAA… comment`.
  package struct Key: Equatable, Sendable, CustomStringConvertible {
    package let user: String
    package let key: String

    /// Nil when the text is no user of Linux, a colon, and one line of authorized_keys(5) without options.
    package init?(_ text: String) {
      let parts = text.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { return nil }
      let (user, key) = (parts[0], parts[1].trimmingCharacters(in: .whitespacesAndNewlines))
      guard let first = user.utf8.first, user.utf8.count <= 32,
        Self.isLower(first) || first == UInt8(ascii: "_"),
        user.utf8.allSatisfy({ Self.isLower($0) || Self.isDigit($0) || $0 == UInt8(ascii: "-") || $0 == 95 })
      else { return nil }
      let words = key.split(separator: " ", omittingEmptySubsequences: true)
      guard words.count >= 2, key.utf8.count <= 16_384,
        key.unicodeScalars.allSatisfy({ $0.value >= 32 && $0.value != 127 }),
        ["ssh-", "ecdsa-", "sk-"].contains(where: words[0].hasPrefix),
        let blob = Data(base64Encoded: String(words[1])), blob.count > 16
      else { return nil }
      self.user = String(user)
      self.key = key
    }

    package var description: String { "\(user):\(key)" }

    private static func isLower(_ byte: UInt8) -> Bool { UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte }
    private static func isDigit(_ byte: UInt8) -> Bool { UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte }
  }

  /// The volume by whose name cloud-init finds it.
  package static let label = "cidata"

  package var userData: String?
  package var vendorData: String?
  package var networkConfig: String?
  /// By the names that they have in the configuration.
  package var keys: [Key] = []

  package init() {}

  package var isEmpty: Bool { self == CloudInit() }

  /// The disk for an instance; what cloud-init does once it does again for another `instance`.
  package func disk(instance: String, hostname: String) throws -> [UInt8] {
    let about = ["instance-id": instance, "local-hostname": hostname]
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    var image = ISOImage(label: Self.label)
    // JSON is YAML.
    image.addFile("meta-data", Array(try encoder.encode(about)) + [10])
    image.addFile("user-data", Array(userDataWithKeys.utf8))
    if let vendorData { image.addFile("vendor-data", Array(vendorData.utf8)) }
    if let networkConfig { image.addFile("network-config", Array(networkConfig.utf8)) }
    return image.bytes
  }

  /// What the person gave, whatever its kind, and the keys behind it as a part of their own, whose lists are added to
  /// those of the first (cloud-init's documentation, "MIME multi-part archive" and "Merging user-data sections").
  package var userDataWithKeys: String {
    guard !keys.isEmpty else { return userData ?? "#cloud-config\n{}\n" }
    let cloudConfig = keysAsCloudConfig
    guard let userData else { return cloudConfig }
    let boundary = "==volary=="
    // One that is such an archive already brings its own headers; of any other the first line tells the kind.
    let isArchive = ["Content-Type:", "MIME-Version:"].contains {
      userData.lowercased().hasPrefix($0.lowercased())
    }
    return """
      Content-Type: multipart/mixed; boundary="\(boundary)"
      MIME-Version: 1.0

      --\(boundary)
      \(isArchive ? "" : "Content-Type: text/plain; charset=\"utf-8\"\n\n")\(userData)
      --\(boundary)
      Content-Type: text/cloud-config; charset="utf-8"
      Merge-Type: list(append)+dict(no_replace,recurse_list)+str()

      \(cloudConfig)
      --\(boundary)--

      """
  }

  private var keysAsCloudConfig: String {
    let namesUsers = (userData ?? "").split(separator: "\n").contains { $0.hasPrefix("users:") }
    var lines = ["#cloud-config", "users:"]
    // A list of one's own stands in place of the image's, which is its usual user.
    if !namesUsers { lines.append("- default") }
    for user in Set(keys.map(\.user)).sorted() {
      lines += ["- name: \(user)", "  ssh_authorized_keys:"]
      for key in keys where key.user == user {
        lines.append("  - '\(key.key.replacingOccurrences(of: "'", with: "''"))'")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
