internal import MachineControl
internal import VolaryAPI

/// What is said here of a server's disk, read and checked.
struct ExportSettings {
  static let formatKey = "volary.format"

  private(set) var format = MachineConfiguration.Disk.Format.raw

  /// Throws `invalid` with the key that is wrong and what it may be.
  init(_ config: [String: String]) throws(APIError) {
    for (key, value) in config.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      switch key {
      case Self.formatKey:
        guard let known = ["raw": MachineConfiguration.Disk.Format.raw, "qcow2": .qcow2][value] else {
          throw .invalid("`\(Self.formatKey)` is raw or qcow2")
        }
        format = known
      case "security.shared":
        guard ["true", "false", "1", "0", "yes", "no", "on", "off"].contains(value) else {
          throw .invalid("`security.shared` has to be true or false")
        }
      case "size":
        throw .invalid("the server alone says how large its disk is", wayOut: "make it larger there")
      default:
        guard key.hasPrefix("user.") else {
          throw .invalid(
            "a server's disk has no key `\(key.prefix(100))`",
            wayOut: "it has \(Self.formatKey), security.shared, and keys of your own in user.")
        }
      }
    }
  }

  static func isShared(_ config: [String: String]) -> Bool {
    ["true", "1", "yes", "on"].contains(config["security.shared"] ?? "")
  }
}
