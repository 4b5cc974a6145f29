/// An instance's disk and configuration at one moment (Incus's api.InstanceSnapshot).
package struct SnapshotObject: Codable, Equatable, Sendable {
  /// Without the instance's.
  package var name: String
  package var description: String
  package var createdAt: Timestamp
  /// When the daemon deletes it; ``Timestamp/never`` for not by itself.
  package var expiresAt: Timestamp
  /// Of the instance, as it was.
  package var lastUsedAt: Timestamp
  package var architecture: String
  package var config: [String: String]
  package var devices: [String: [String: String]]
  package var expandedConfig: [String: String]
  package var expandedDevices: [String: [String: String]]
  package var profiles: [String]
  package var ephemeral: Bool
  /// Whether it holds memory and devices too.
  package var stateful: Bool
  /// Bytes on the host that are its own layer's.
  package var size: Int64

  private enum CodingKeys: String, CodingKey {
    case name, description, architecture, config, devices, profiles, ephemeral, stateful, size
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case lastUsedAt = "last_used_at"
    case expandedConfig = "expanded_config"
    case expandedDevices = "expanded_devices"
  }

  package init(
    name: String, description: String = "", createdAt: Timestamp, expiresAt: Timestamp = .never,
    lastUsedAt: Timestamp = .never, architecture: String, config: [String: String] = [:],
    devices: [String: [String: String]] = [:], expandedConfig: [String: String]? = nil,
    expandedDevices: [String: [String: String]]? = nil, profiles: [String] = [], ephemeral: Bool = false,
    stateful: Bool = false, size: Int64 = 0
  ) {
    self.name = name
    self.description = description
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.lastUsedAt = lastUsedAt
    self.architecture = architecture
    self.config = config
    self.devices = devices
    self.expandedConfig = expandedConfig ?? config
    self.expandedDevices = expandedDevices ?? devices
    self.profiles = profiles
    self.ephemeral = ephemeral
    self.stateful = stateful
    self.size = size
  }
}

/// What a new snapshot is asked for with (Incus's api.InstanceSnapshotsPost).
package struct SnapshotsPost: Codable, Sendable {
  /// Made of the instance's `snapshots.pattern` when none is given.
  package var name: String?
  /// Whether memory and devices are kept too.
  package var stateful: Bool?
  /// When the daemon deletes it: as the instance's `snapshots.expiry` has it when nil, not by itself when the year is 1.
  package var expiresAt: Timestamp?
  /// Ours beyond Incus's: the instance's own when nil.
  package var description: String?

  private enum CodingKeys: String, CodingKey {
    case name, stateful, description
    case expiresAt = "expires_at"
  }

  package init(
    name: String? = nil, stateful: Bool? = nil, expiresAt: Timestamp? = nil, description: String? = nil
  ) {
    self.name = name
    self.stateful = stateful
    self.expiresAt = expiresAt
    self.description = description
  }
}

/// What a snapshot is changed to: with PUT all of it, with PATCH what is named (Incus's api.InstanceSnapshotPut).
package struct SnapshotPut: Codable, Sendable {
  package var expiresAt: Timestamp?
  /// Ours beyond Incus's. With PUT it stays when nil, because Incus's clients do not know it.
  package var description: String?

  private enum CodingKeys: String, CodingKey {
    case description
    case expiresAt = "expires_at"
  }

  package init(expiresAt: Timestamp? = nil, description: String? = nil) {
    self.expiresAt = expiresAt
    self.description = description
  }
}

/// A new name for a snapshot.
package struct SnapshotPost: Codable, Sendable {
  package var name: String

  package init(name: String) { self.name = name }
}
