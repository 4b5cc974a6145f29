/// A machine or a container with a name, as the API shows it (Incus's api.Instance).
package struct InstanceObject: Codable, Equatable, Sendable {
  package var name: String
  package var description: String
  package var status: String
  package var statusCode: StatusCode
  /// Of the guest, in the kernel's words: `x86_64`, `aarch64`, `riscv64`.
  package var architecture: String
  package var type: InstanceType
  package var createdAt: Timestamp
  package var lastUsedAt: Timestamp
  /// Whether it is deleted when it stops.
  package var ephemeral: Bool
  /// Whether its memory is kept from its last stop.
  package var stateful: Bool
  package var config: [String: String]
  package var devices: [String: [String: String]]
  /// With what the profiles give.
  package var expandedConfig: [String: String]
  package var expandedDevices: [String: [String: String]]
  package var profiles: [String]
  package var project: String
  package var location: String
  /// Ours beyond Incus's: what keeps it from being what it should be, and how it ended last.
  package var conditions: [Condition]
  package var exit: InstanceExit?
  /// Ours beyond Incus's: how many snapshots it has.
  package var snapshotCount: Int
  /// What it uses, where it is asked for with `recursion=2`.
  package var state: InstanceStateObject?
  /// Oldest first, where they are asked for with `recursion=2`.
  package var snapshots: [SnapshotObject]?

  private enum CodingKeys: String, CodingKey {
    case name, description, status, architecture, type, ephemeral, stateful, config, devices, profiles
    case project, location, conditions, exit, state, snapshots
    case snapshotCount = "snapshot_count"
    case statusCode = "status_code"
    case createdAt = "created_at"
    case lastUsedAt = "last_used_at"
    case expandedConfig = "expanded_config"
    case expandedDevices = "expanded_devices"
  }

  package init(
    name: String, description: String = "", status: StatusCode, architecture: String,
    type: InstanceType = .virtualMachine, createdAt: Timestamp, lastUsedAt: Timestamp = .never,
    ephemeral: Bool = false, stateful: Bool = false, config: [String: String] = [:],
    devices: [String: [String: String]] = [:], expandedConfig: [String: String]? = nil,
    expandedDevices: [String: [String: String]]? = nil, profiles: [String] = [], project: String,
    conditions: [Condition] = [], exit: InstanceExit? = nil, snapshotCount: Int = 0
  ) {
    self.name = name
    self.description = description
    self.status = status.word
    statusCode = status
    self.architecture = architecture
    self.type = type
    self.createdAt = createdAt
    self.lastUsedAt = lastUsedAt
    self.ephemeral = ephemeral
    self.stateful = stateful
    self.config = config
    self.devices = devices
    self.expandedConfig = expandedConfig ?? config
    self.expandedDevices = expandedDevices ?? devices
    self.profiles = profiles
    self.project = project
    location = "none"
    self.conditions = conditions
    self.exit = exit
    self.snapshotCount = snapshotCount
  }
}

package enum InstanceType: String, Codable, Sendable, CaseIterable {
  case virtualMachine = "virtual-machine"
  case container
}

/// How an instance ended last.
package struct InstanceExit: Codable, Equatable, Sendable {
  /// In one word for programs: `stopped`, `guest-shutdown`, `killed`, `crashed`, `host-restarted`.
  package let reason: String
  /// In one line for people.
  package let message: String
  package let at: Timestamp

  package init(reason: String, message: String, at: Timestamp) {
    self.reason = reason
    self.message = message
    self.at = at
  }
}
