internal import GRDB
internal import VolaryAPI

/// A row of `volumes`: a disk that is no instance's own, and stays when one goes that it is attached to.
struct VolumeRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "volumes"

  /// A UUID that stays when the name changes.
  let id: String
  let project: String
  let pool: String
  var name: String
  var description: String
  /// With `size`, always.
  var config: [String: String]
  let createdAt: Timestamp
  /// Bytes.
  var size: Int64
  /// The layer that whoever has it attached writes (``LayerRecord``).
  var layer: String

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, project, pool, name, description, config, size, layer
    case createdAt = "created_at"
  }

  static func find(
    _ database: Database, project: String, pool: String, name: String
  ) throws -> VolumeRecord? {
    try filter(
      CodingKeys.project == project && CodingKeys.pool == pool && CodingKeys.name == name
    ).fetchOne(database)
  }

  /// Whether several instances may have it.
  var isShared: Bool { ["true", "1", "yes", "on"].contains(config["security.shared"] ?? "") }
}

/// A row of `volume_snapshots`: what a volume was at one moment.
struct VolumeSnapshotRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "volume_snapshots"

  let id: String
  /// The volume's ``VolumeRecord/id``.
  let volume: String
  var name: String
  var description: String
  let createdAt: Timestamp
  var expiresAt: Timestamp?
  let layer: String

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, volume, name, description, layer
    case createdAt = "created_at"
    case expiresAt = "expires_at"
  }

  /// A volume's snapshots, oldest first.
  static func all(_ database: Database, of volume: String) throws -> [VolumeSnapshotRecord] {
    try filter(CodingKeys.volume == volume).order(CodingKeys.createdAt, CodingKeys.name).fetchAll(database)
  }

  static func find(_ database: Database, of volume: String, name: String) throws -> VolumeSnapshotRecord? {
    try filter(CodingKeys.volume == volume && CodingKeys.name == name).fetchOne(database)
  }
}
