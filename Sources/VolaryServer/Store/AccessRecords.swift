internal import Foundation
internal import GRDB
internal import VolaryAPI

/// A row of `tokens`. The secret is not in it: only its SHA-256.
struct TokenRecord: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "tokens"

  let id: String
  let name: String
  let hash: Data
  let role: Role
  let projects: [String]?
  let joins: Bool
  let createdAt: Timestamp
  let expiresAt: Timestamp?
  let lastUsedAt: Timestamp?

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, name, hash, role, projects, joins
    case createdAt = "created_at"
    case expiresAt = "expires_at"
    case lastUsedAt = "last_used_at"
  }

  func isGood(at time: Timestamp) -> Bool { expiresAt.map { time < $0 } ?? true }

  var object: TokenObject {
    TokenObject(
      name: name, role: role.rawValue, projects: projects, joins: joins, createdAt: createdAt,
      expiresAt: expiresAt, lastUsedAt: lastUsedAt)
  }
}

/// A row of `certificates`: a client that may come in.
struct CertificateRecord: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "certificates"

  let fingerprint: String
  let name: String
  /// PEM.
  let certificate: String
  let role: Role
  let projects: [String]?
  let createdAt: Timestamp

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case fingerprint, name, certificate, role, projects
    case createdAt = "created_at"
  }

  var object: CertificateObject {
    CertificateObject(
      name: name, certificate: certificate, fingerprint: fingerprint, restricted: projects != nil,
      projects: projects ?? [], role: role.rawValue)
  }
}

/// A row of `settings`: one key of the daemon's own configuration.
struct SettingRecord: Codable, FetchableRecord, PersistableRecord, Sendable {
  static let databaseTableName = "settings"

  let key: String
  let value: String

  static func all(_ database: Database) throws -> [String: String] {
    Dictionary(try fetchAll(database).map { ($0.key, $0.value) }, uniquingKeysWith: { _, last in last })
  }
}
