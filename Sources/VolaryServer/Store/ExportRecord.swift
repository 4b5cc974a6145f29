internal import GRDB
internal import VolaryAPI

/// A row of `exports`: what is known here of a disk that a server has, beside what the server says. A disk of which
/// nothing is known has none.
struct ExportRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "exports"

  let pool: String
  let name: String
  var description: String
  var config: [String: String]

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case pool, name, description, config
  }

  static func find(_ database: Database, pool: String, name: String) throws -> ExportRecord {
    try filter(CodingKeys.pool == pool && CodingKeys.name == name).fetchOne(database)
      ?? ExportRecord(pool: pool, name: name, description: "", config: [:])
  }
}
