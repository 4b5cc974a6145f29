internal import GRDB

/// A row of `profiles`: configuration and devices that instances of a project share.
struct ProfileRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "profiles"
  /// The one that every project has, and that instances have unless others are named.
  static let `default` = "default"

  let project: String
  var name: String
  var description: String
  var config: [String: String]
  var devices: [String: [String: String]]

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case project, name, description, config, devices
  }

  /// The profile of that name, or nil.
  static func find(_ database: Database, project: String, name: String) throws -> ProfileRecord? {
    try filter(CodingKeys.project == project && CodingKeys.name == name).fetchOne(database)
  }
}
