/// A file that an instance, or a volume, can be made again from (Incus's api.InstanceBackup, api.StorageVolumeBackup).
package struct BackupObject: Codable, Equatable, Sendable {
  package var name: String
  package var createdAt: Timestamp
  /// When the daemon deletes it; ``Timestamp/never`` for not by itself.
  package var expiresAt: Timestamp
  /// Whether it has no snapshots, of an instance.
  package var instanceOnly: Bool?
  /// The same of a volume.
  package var volumeOnly: Bool?
  /// Whether it is of a form that other kinds of pools do not read. There is none so far.
  package var optimizedStorage: Bool
  /// Bytes of the file.
  package var size: Int64

  private enum CodingKeys: String, CodingKey {
    case name, size
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case instanceOnly = "instance_only"
    case volumeOnly = "volume_only"
    case optimizedStorage = "optimized_storage"
  }

  package init(
    name: String, createdAt: Timestamp, expiresAt: Timestamp, instanceOnly: Bool? = nil,
    volumeOnly: Bool? = nil, size: Int64
  ) {
    self.name = name
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.instanceOnly = instanceOnly
    self.volumeOnly = volumeOnly
    optimizedStorage = false
    self.size = size
  }
}

/// What a new backup is asked for with (Incus's api.InstanceBackupsPost, api.StorageVolumeBackupsPost).
package struct BackupsPost: Codable, Sendable {
  /// Made up when none is given.
  package var name: String?
  package var expiresAt: Timestamp?
  /// Whether snapshots are left out, of an instance.
  package var instanceOnly: Bool?
  /// The same of a volume.
  package var volumeOnly: Bool?
  /// Refused so far.
  package var optimizedStorage: Bool?
  /// `none`, `gzip` or `zstd`, which is the usual one.
  package var compressionAlgorithm: String?

  private enum CodingKeys: String, CodingKey {
    case name
    case expiresAt = "expires_at"
    case instanceOnly = "instance_only"
    case volumeOnly = "volume_only"
    case optimizedStorage = "optimized_storage"
    case compressionAlgorithm = "compression_algorithm"
  }

  package init(
    name: String? = nil, expiresAt: Timestamp? = nil, instanceOnly: Bool? = nil, volumeOnly: Bool? = nil,
    compressionAlgorithm: String? = nil
  ) {
    self.name = name
    self.expiresAt = expiresAt
    self.instanceOnly = instanceOnly
    self.volumeOnly = volumeOnly
    self.compressionAlgorithm = compressionAlgorithm
  }
}

/// A new name for a backup.
package struct BackupPost: Codable, Sendable {
  package var name: String

  package init(name: String) { self.name = name }
}
