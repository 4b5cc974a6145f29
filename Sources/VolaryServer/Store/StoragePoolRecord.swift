internal import GRDB
internal import VolaryAPI

/// A row of `storage_pools`: a directory in which instances' disks lie.
struct StoragePoolRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "storage_pools"
  /// The pool in the daemon's own directory.
  static let `default` = "default"

  let name: String
  var description: String
  var driver: String
  var config: [String: String]
  /// What the directory's mark has to say; empty for the daemon's own directory, which has none.
  var mark: String
  /// The same for the directory of the second side, where the pool has one.
  var mirrorMark: String
  let createdAt: Timestamp

  /// The configuration's key for the directory of the second side.
  static let mirrorKey = "volary.mirror"

  /// The directory of the second side; nil for a pool that is in one place.
  var mirror: String? { config[Self.mirrorKey] }

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case name, description, driver, config, mark
    case mirrorMark = "mirror_mark"
    case createdAt = "created_at"
  }
}
