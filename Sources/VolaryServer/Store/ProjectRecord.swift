internal import GRDB
package import VolaryAPI

/// A row of `projects`.
package struct ProjectRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  package static let databaseTableName = "projects"
  package static let `default` = "default"

  package let name: String
  package var description: String
  package var config: [String: String]
  package let createdAt: Timestamp

  package enum CodingKeys: String, CodingKey, ColumnExpression {
    case name, description, config
    case createdAt = "created_at"
  }

  /// What the path of something in a project ends with: the default project goes without saying.
  static func suffix(_ project: String) -> String { project == `default` ? "" : "?project=\(project)" }

  package init(name: String, description: String, config: [String: String], createdAt: Timestamp = .now) {
    self.name = name
    self.description = description
    self.config = config
    self.createdAt = createdAt
  }
}
