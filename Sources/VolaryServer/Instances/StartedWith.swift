internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// What an instance's machine was started with: kept beside it, so that it shows when the configuration says otherwise
/// by now.
struct StartedWith: Codable, Equatable {
  private let values: [String: String]

  /// What a machine has no part in, and what changes while it runs. Of devices see ``isOther(key:)``.
  private static let others = [
    "user.", "image.", "volatile.", "boot.", "limits.cpu.", "limits.disk.", "cloud-init.",
    "snapshots.",
  ]
  private static let memory = "limits.memory"

  init(_ record: InstanceRecord, _ profiles: ProfileSet) {
    var values = profiles.config(of: record).filter { entry in
      !Self.others.contains(where: entry.key.hasPrefix)
    }
    for (name, device) in profiles.devices(of: record) {
      for (key, value) in device { values["\(name) \(key)"] = value }
    }
    self.values = values.filter { !Self.isOther(key: $0.key) }
  }

  /// A device's limits and size, which change while it runs.
  private static func isOther(key: String) -> Bool {
    guard let space = key.firstIndex(of: " ") else { return false }
    let key = key[key.index(after: space)...]
    return key.hasPrefix("limits.") || key == "size"
  }

  /// Reads ``text``; nil when it is no such.
  init?(text: String) {
    guard let values = try? APICoding.decode([String: String].self, from: Data(text.utf8)) else { return nil }
    // An earlier version's have more.
    self.values = values.filter { !Self.isOther(key: $0.key) }
  }

  private var memorySize: UInt64 {
    values[Self.memory].flatMap { ByteSize($0)?.bytes } ?? InstanceSettings.usualMemory
  }

  /// For the store.
  var text: String? { (try? APICoding.encode(values)).map { String(decoding: $0, as: UTF8.self) } }

  /// What is to be said of a machine that was started with this and would be started with `now`; nil when nothing is.
  func condition(now: StartedWith, since: Timestamp) -> Condition? {
    if self == now { return nil }
    var keys = Set(values.keys).union(now.values.keys).filter { values[$0] != now.values[$0] }
    // Less memory than it was started with is given back at once.
    if now.memorySize <= memorySize { keys.remove(Self.memory) }
    if keys.isEmpty { return nil }
    // Of devices the name.
    let names = Set(keys.map { $0.prefix { $0 != " " } }).sorted().joined(separator: ", ")
    return Condition(
      type: "RestartNeeded", status: true, reason: "ConfigurationChanged",
      message:
        "it was started with another configuration (\(names)), and takes the new one at its next start",
      since: since)
  }
}
