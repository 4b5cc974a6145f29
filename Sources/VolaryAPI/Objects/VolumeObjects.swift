/// What a new volume is asked for with (Incus's api.StorageVolumesPost).
package struct StorageVolumesPost: Codable, Sendable {
  package var name: String
  package var description: String?
  /// `custom`, which is the usual one.
  package var type: String?
  /// `block`. Incus's clients ask for `filesystem` where nothing is said; there is none.
  package var contentType: String?
  /// `size`, `security.shared`, `snapshots.expiry`, `snapshots.pattern`, and keys of one's own in `user.`.
  package var config: [String: String]?
  package var source: StorageVolumeSource?

  private enum CodingKeys: String, CodingKey {
    case name, description, type, config, source
    case contentType = "content_type"
  }

  package init(
    name: String, description: String? = nil, contentType: String? = "block", config: [String: String]? = nil,
    source: StorageVolumeSource? = nil
  ) {
    self.name = name
    self.description = description
    type = "custom"
    self.contentType = contentType
    self.config = config
    self.source = source
  }
}

/// What a volume is made of; of nothing where no type is said (Incus's api.StorageVolumeSource).
package struct StorageVolumeSource: Codable, Sendable {
  /// `copy`, or empty.
  package var type: String?
  /// The volume, or one of its snapshots: `data/snap0`.
  package var name: String?
  package var pool: String?
  /// The new one's when nil.
  package var project: String?
  /// Whether snapshots are left out.
  package var volumeOnly: Bool?
  /// Whether one that is there is brought up to what `name` is. Refused so far.
  package var refresh: Bool?

  private enum CodingKeys: String, CodingKey {
    case type, name, pool, project, refresh
    case volumeOnly = "volume_only"
  }

  /// A copy.
  package init(copying name: String, pool: String, project: String? = nil, volumeOnly: Bool = false) {
    type = "copy"
    self.name = name
    self.pool = pool
    self.project = project
    self.volumeOnly = volumeOnly
  }
}

/// What a volume is changed to: with PUT all of it, with PATCH what is named; there a key with an empty value is taken
/// away.
package struct StorageVolumePut: Codable, Sendable {
  package var description: String?
  package var config: [String: String]?
  /// With PUT, a snapshot that the volume becomes again; nothing else is changed then.
  package var restore: String?

  package init(description: String? = nil, config: [String: String]? = nil, restore: String? = nil) {
    self.description = description
    self.config = config
    self.restore = restore
  }
}

/// A new name for a volume.
package struct StorageVolumePost: Codable, Sendable {
  package var name: String
  /// Another one is refused so far.
  package var pool: String?
  package var project: String?

  package init(name: String) { self.name = name }
}

/// What a volume uses (Incus's api.StorageVolumeState).
package struct StorageVolumeState: Codable, Equatable, Sendable {
  package struct Usage: Codable, Equatable, Sendable {
    /// Bytes on the host, without what others stand on too.
    package let used: Int64
    /// Bytes of the disk.
    package let total: Int64

    package init(used: Int64, total: Int64) {
      self.used = used
      self.total = total
    }
  }

  package let usage: Usage

  package init(usage: Usage) { self.usage = usage }
}

/// A volume at one moment (Incus's api.StorageVolumeSnapshot).
package struct StorageVolumeSnapshotObject: Codable, Equatable, Sendable {
  package var name: String
  package var description: String
  package var createdAt: Timestamp
  /// ``Timestamp/never`` for one that stays until somebody deletes it.
  package var expiresAt: Timestamp
  package var contentType: String
  package var config: [String: String]

  private enum CodingKeys: String, CodingKey {
    case name, description, config
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case contentType = "content_type"
  }

  package init(
    name: String, description: String, createdAt: Timestamp, expiresAt: Timestamp, config: [String: String]
  ) {
    self.name = name
    self.description = description
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    contentType = "block"
    self.config = config
  }
}
