package import GRDB
package import VolaryAPI

/// A row of `instances`: what makes an instance, and what the daemon has to know to find its machine again.
package struct InstanceRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  package static let databaseTableName = "instances"

  /// A UUID that stays when the name changes; names the instance's directory.
  package let id: String
  package var project: String
  package var name: String
  package var type: InstanceType
  package var description: String
  package var architecture: String
  package var config: [String: String]
  package var devices: [String: [String: String]]
  package var profiles: [String]
  package var ephemeral: Bool
  package var stateful: Bool
  package let createdAt: Timestamp
  package var lastUsedAt: Timestamp
  package var imageFingerprint: String?
  package var imageAlias: String?
  /// What it should be: `running` or `stopped`.
  package var wanted: Wanted
  /// What it was when last looked at.
  package var statusCode: StatusCode
  /// The machine's process, and that process's start time in clock ticks since boot (proc(5), field 22), by
  /// which it is known again.
  package var pid: Int32?
  package var pidStartedAt: Int64?
  package var startedAt: Timestamp?
  package var exit: InstanceExit?
  package var bootAutostart: Bool
  /// Higher starts first.
  package var bootPriority: Int
  /// What the daemon made up and keeps: MAC addresses, ports, identities.
  package var volatile: [String: String]
  /// The storage pool that its disk lies in, from its beginning on.
  package var pool: String
  /// The layer that its machine writes (``LayerRecord``); nil where it has no disk, or one from before there were layers.
  package var layer: String?

  package enum Wanted: String, Codable, Sendable {
    case running, stopped
  }

  package enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, project, name, type, description, architecture, config, devices, profiles, ephemeral, stateful
    case wanted, pid, exit, volatile, pool, layer
    case createdAt = "created_at"
    case lastUsedAt = "last_used_at"
    case imageFingerprint = "image_fingerprint"
    case imageAlias = "image_alias"
    case statusCode = "status_code"
    case pidStartedAt = "pid_started_at"
    case startedAt = "started_at"
    case bootAutostart = "boot_autostart"
    case bootPriority = "boot_priority"
  }

  package init(
    id: String, project: String, name: String, type: InstanceType = .virtualMachine, description: String = "",
    architecture: String, config: [String: String] = [:], devices: [String: [String: String]] = [:],
    profiles: [String] = [], ephemeral: Bool = false, createdAt: Timestamp = .now,
    imageFingerprint: String? = nil, imageAlias: String? = nil
  ) {
    self.id = id
    self.project = project
    self.name = name
    self.type = type
    self.description = description
    self.architecture = architecture
    self.config = config
    self.devices = devices
    self.profiles = profiles
    self.ephemeral = ephemeral
    stateful = false
    self.createdAt = createdAt
    lastUsedAt = .never
    self.imageFingerprint = imageFingerprint
    self.imageAlias = imageAlias
    wanted = .stopped
    statusCode = .stopped
    bootAutostart = false
    bootPriority = 0
    volatile = [:]
    pool = StoragePoolRecord.default
  }
}

extension InstanceRecord {
  /// The instance of that name, or nil.
  package static func find(_ database: Database, project: String, name: String) throws -> InstanceRecord? {
    try filter(CodingKeys.project == project && CodingKeys.name == name).fetchOne(database)
  }
}
