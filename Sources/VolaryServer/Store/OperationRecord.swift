internal import GRDB
internal import VolaryAPI

/// A row of `operations`: the object as it was last written, and what it is looked for by.
struct OperationRecord: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "operations"

  let id: String
  let project: String?
  let final: Bool
  let updatedAt: Timestamp
  let requestor: String?
  let object: OperationObject

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, project, final, requestor, object
    case updatedAt = "updated_at"
  }

  init(_ object: OperationObject, requestor: String?) {
    id = object.id
    project = object.project
    final = object.statusCode.isFinal
    updatedAt = object.updatedAt
    self.requestor = requestor
    self.object = object
  }
}
