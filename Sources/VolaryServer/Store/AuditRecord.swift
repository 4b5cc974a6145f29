internal import GRDB
package import VolaryAPI

/// A row of `audit`: who changed what, and what came of it.
package struct AuditRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  package static let databaseTableName = "audit"
  /// Rows that are kept.
  package static let most = 100_000

  package let at: Timestamp
  package let who: String
  package let method: String
  package let path: String
  package let project: String?
  package let status: Int
  /// The operation that was begun.
  package let operation: String?

  package init(
    at: Timestamp = .now, who: String, method: String, path: String, project: String?, status: Int,
    operation: String?
  ) {
    self.at = at
    self.who = who
    self.method = method
    self.path = path
    self.project = project
    self.status = status
    self.operation = operation
  }
}
