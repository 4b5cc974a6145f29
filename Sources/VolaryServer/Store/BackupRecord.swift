internal import GRDB
internal import VolaryAPI

/// A row of `backups`: a file in a storage pool that an instance or a volume can be made again from. It goes with what it is
/// of.
struct BackupRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "backups"

  /// A UUID, which names the file.
  let id: String
  /// The instance's ``InstanceRecord/id``.
  let instance: String?
  /// The volume's ``VolumeRecord/id``, of a backup of one.
  var volume: String?
  var name: String
  let pool: String
  let createdAt: Timestamp
  /// Nil for one that stays until somebody deletes it.
  var expiresAt: Timestamp?
  /// Whether snapshots are left out.
  let only: Bool
  /// Bytes of the file.
  var size: Int64
  var state: State

  enum State: String, Codable, Sendable {
    /// The file is there in part, if at all.
    case making
    case ready
  }

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, instance, volume, name, pool, only, size, state
    case createdAt = "created_at"
    case expiresAt = "expires_at"
  }
}
