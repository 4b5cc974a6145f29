internal import GRDB
internal import VolaryAPI

/// A row of `snapshots`: what an instance was at one moment.
struct SnapshotRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "snapshots"

  let id: String
  /// The instance's ``InstanceRecord/id``.
  let instance: String
  var name: String
  var description: String
  let createdAt: Timestamp
  /// Nil for one that stays until somebody deletes it.
  var expiresAt: Timestamp?
  let stateful: Bool
  // The instance as it was.
  let architecture: String
  let config: [String: String]
  let devices: [String: [String: String]]
  let profiles: [String]
  let ephemeral: Bool
  let lastUsedAt: Timestamp
  /// Its disk; nil when it had none.
  var layer: String?

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, instance, name, description, stateful, architecture, config, devices, profiles, ephemeral, layer
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case lastUsedAt = "last_used_at"
  }

  init(
    id: String = LayerRecord.makeID(), of record: InstanceRecord, name: String, description: String? = nil,
    createdAt: Timestamp = .now, expiresAt: Timestamp? = nil, stateful: Bool = false, layer: String?
  ) {
    self.id = id
    instance = record.id
    self.name = name
    self.description = description ?? record.description
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.stateful = stateful
    architecture = record.architecture
    config = record.config
    devices = record.devices
    profiles = record.profiles
    ephemeral = record.ephemeral
    lastUsedAt = record.lastUsedAt
    self.layer = layer
  }

  /// The same of an instance that is a copy of the other.
  init(_ other: SnapshotRecord, of instance: String) {
    id = LayerRecord.makeID()
    self.instance = instance
    name = other.name
    description = other.description
    createdAt = other.createdAt
    expiresAt = other.expiresAt
    // Its memory stays with the other, whose machine it is of.
    stateful = false
    architecture = other.architecture
    config = other.config
    devices = other.devices
    profiles = other.profiles
    ephemeral = other.ephemeral
    lastUsedAt = other.lastUsedAt
    layer = other.layer
  }

  /// An instance's snapshots, oldest first.
  static func all(_ database: Database, of instance: String) throws -> [SnapshotRecord] {
    try filter(CodingKeys.instance == instance).order(CodingKeys.createdAt, CodingKeys.name)
      .fetchAll(database)
  }

  static func find(_ database: Database, of instance: String, name: String) throws -> SnapshotRecord? {
    try filter(CodingKeys.instance == instance && CodingKeys.name == name).fetchOne(database)
  }
}
