package import VolaryAPI

/// What a project may have, read from its configuration; nil is as much as the host has.
package struct ProjectLimits: Equatable, Sendable {
  package var instances: Int64?
  package var cpus: Int64?
  /// Bytes.
  package var memory: Int64?
  /// Bytes.
  package var disk: Int64?
  /// The host's own networks that its instances may be on.
  package var networks: Set<String>?

  /// Reads `limits.instances`, `limits.cpu`, `limits.memory` and `limits.disk`; keys that begin with `user.` are
  /// anybody's own. Others are refused.
  package init(_ config: [String: String]) throws(APIError) {
    for (key, value) in config.sorted(by: { $0.key < $1.key }) {
      switch key {
      case "limits.instances": instances = try Self.count(key, value)
      case "limits.cpu": cpus = try Self.count(key, value)
      case "limits.memory": memory = try Self.bytes(key, value)
      case "limits.disk": disk = try Self.bytes(key, value)
      case "restricted.networks.access":
        networks = Set(value.split(separator: ",").map { $0.filter { $0 != " " } })
      case _ where key.hasPrefix("user."): continue
      default:
        throw .invalid(
          "a project has no `\(key)`",
          wayOut:
            "it has limits.instances, limits.cpu, limits.memory, limits.disk, restricted.networks.access and keys of "
            + "your own in user.")
      }
    }
  }

  private static func count(_ key: String, _ value: String) throws(APIError) -> Int64 {
    guard let count = Int64(value), count >= 0 else { throw .invalid("`\(key)` has to be a whole number") }
    return count
  }

  private static let units: [String: Int64] = [
    "": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
    "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40,
    "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
  ]

  private static func bytes(_ key: String, _ value: String) throws(APIError) -> Int64 {
    let digits = value.prefix { $0.isASCII && $0.isNumber }
    let unit = value[digits.endIndex...].trimmingPrefix(" ")
    guard let number = Int64(digits), let factor = units[String(unit)] else {
      throw .invalid("`\(key)` has to be a size such as 4GiB")
    }
    let (bytes, isTooLarge) = number.multipliedReportingOverflow(by: factor)
    if isTooLarge { throw .invalid("`\(key)` is larger than any disk") }
    return bytes
  }
}
