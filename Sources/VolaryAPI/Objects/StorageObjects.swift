/// Where instances' disks lie, as the API shows it (Incus's api.StoragePool).
package struct StoragePoolObject: Codable, Equatable, Sendable {
  package let name: String
  package let description: String
  /// `dir`: files in a directory.
  package let driver: String
  /// `Created`, or `Unavailable` when its directory is not there; `Degraded` when one of two is not.
  package let status: String
  package let config: [String: String]
  /// Paths of instances and profiles.
  package let usedBy: [String]
  package let locations: [String]
  /// Ours beyond Incus's: what keeps it from being used.
  package let conditions: [Condition]
  /// Ours too: both directories of a mirrored pool, by their places; none of another.
  package let sides: [StoragePoolSide]

  private enum CodingKeys: String, CodingKey {
    case name, description, driver, status, config, locations, conditions, sides
    case usedBy = "used_by"
  }

  package init(
    name: String, description: String, driver: String, config: [String: String], usedBy: [String],
    conditions: [Condition], sides: [StoragePoolSide] = []
  ) {
    self.name = name
    self.description = description
    self.driver = driver
    status =
      conditions.contains { $0.type == "StorageMissing" }
      ? "Unavailable" : conditions.isEmpty ? "Created" : "Degraded"
    self.config = config
    self.usedBy = usedBy
    locations = ["none"]
    self.conditions = conditions
    self.sides = sides
  }
}

/// One of the two directories of a mirrored pool. Ours beyond Incus's.
package struct StoragePoolSide: Codable, Equatable, Sendable {
  package enum State: String, Codable, Sendable, CaseIterable {
    /// It has everything.
    case current
    /// It is there, and lacks something.
    case behind
    /// What it lacks of a disk is being copied to it; the operation of the repair says how far that is.
    case rebuilding
    /// It is not there, or is something else.
    case missing
  }

  package let source: String
  package let state: State
  /// Why, in one line for people; empty when it is current.
  package let message: String

  package init(source: String, state: State, message: String) {
    self.source = source
    self.state = state
    self.message = message
  }
}

/// What a new pool is asked for with.
package struct StoragePoolsPost: Codable, Sendable {
  package let name: String
  package let driver: String?
  package let description: String?
  package let config: [String: String]?

  package init(name: String, driver: String?, description: String? = nil, config: [String: String]? = nil) {
    self.name = name
    self.driver = driver
    self.description = description
    self.config = config
  }
}

/// What a pool is changed to: with PUT all of it, with PATCH what is named. A key with an empty value is taken away.
package struct StoragePoolPut: Codable, Sendable {
  package let description: String?
  package let config: [String: String]?

  package init(description: String? = nil, config: [String: String]? = nil) {
    self.description = description
    self.config = config
  }
}

/// How a mirrored pool is to be repaired.
package struct StoragePoolRepairPost: Codable, Sendable {
  /// Whether an empty directory takes the place of a side that is not there.
  package let replace: Bool?

  package init(replace: Bool? = nil) { self.replace = replace }
}

/// How much there is in a pool (Incus's api.ResourcesStoragePool).
package struct StoragePoolResources: Codable, Equatable, Sendable {
  package struct Space: Codable, Equatable, Sendable {
    /// Bytes of the file system that holds the pool.
    package let used: Int64
    package let total: Int64
    /// Ours beyond Incus's: bytes that the pool's disks may come to hold, which may be more than there is.
    package let promised: Int64

    package init(used: Int64, total: Int64, promised: Int64) {
      self.used = used
      self.total = total
      self.promised = promised
    }
  }

  package struct Inodes: Codable, Equatable, Sendable {
    package let used: Int64
    package let total: Int64

    package init(used: Int64, total: Int64) {
      self.used = used
      self.total = total
    }
  }

  package let space: Space
  package let inodes: Inodes

  package init(space: Space, inodes: Inodes) {
    self.space = space
    self.inodes = inodes
  }
}

/// One disk in a pool (Incus's api.StorageVolume): a volume, or the root disk of an instance, which goes with that.
package struct StorageVolumeObject: Codable, Equatable, Sendable {
  package let name: String
  /// `custom`, or `virtual-machine` for an instance's.
  package let type: String
  package let contentType: String
  package let pool: String
  package let project: String
  package let description: String
  package let config: [String: String]
  package let createdAt: Timestamp
  package let usedBy: [String]
  package let location: String

  private enum CodingKeys: String, CodingKey {
    case name, type, pool, project, description, config, location
    case contentType = "content_type"
    case createdAt = "created_at"
    case usedBy = "used_by"
  }

  package init(
    name: String, type: String, pool: String, project: String, description: String = "",
    config: [String: String], createdAt: Timestamp, usedBy: [String]
  ) {
    self.name = name
    self.type = type
    contentType = "block"
    self.pool = pool
    self.project = project
    self.description = description
    self.config = config
    self.createdAt = createdAt
    self.usedBy = usedBy
    location = "none"
  }
}
