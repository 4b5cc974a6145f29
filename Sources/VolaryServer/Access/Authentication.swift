internal import Crypto
internal import Foundation
internal import GRDB
internal import HTTPTypes
internal import VolaryAPI

/// Finds out who asks: by the socket's credentials, a bearer token (RFC 6750) or the certificate of a connection.
struct Authentication: Sendable {
  /// Seconds between two notes of when a token was used.
  private static let noteInterval: Int64 = 60
  static let tokenPrefix = "volary_"

  let store: Store
  /// The user that the daemon runs as.
  let user: UInt32
  /// Whose members may do what that user may.
  var group: UnixGroup?

  func identity(of peer: Peer, _ headers: HTTPFields) async throws -> Identity? {
    switch peer {
    case .unix(let user):
      if let known = Identity.unix(user: user, daemon: self.user) { return known }
      guard group?.contains(user: user) == true else { return nil }
      return Identity(name: "uid:\(user)", role: .admin, method: .unix(user: user))
    case .network(_, let certificate):
      if let field = headers[.authorization] { return try await bearer(field) }
      if let token = BrowserToken.find(in: headers) { return try await bearer("Bearer \(token)") }
      guard let certificate else { return nil }
      return try await store.read { database in
        try CertificateRecord.fetchOne(database, key: certificate.fingerprint).map { record in
          Identity(
            name: "certificate:\(record.name)", role: record.role, projects: record.projects.map(Set.init),
            method: .certificate(fingerprint: record.fingerprint))
        }
      }
    }
  }

  /// A token that is wrong is never taken for none: who shows one wants to be known by it.
  private func bearer(_ field: String) async throws -> Identity {
    let parts = field.split(separator: " ", maxSplits: 1)
    guard parts.count == 2, parts[0].lowercased() == "bearer" else {
      throw APIError.denied("the daemon takes bearer tokens in `Authorization`, nothing else")
    }
    let hash = Self.hash(String(parts[1]))
    let now = Timestamp.now
    let found = try await store.read {
      try TokenRecord.filter(TokenRecord.CodingKeys.hash == hash).fetchOne($0)
    }
    guard let record = found, !record.joins, record.isGood(at: now) else {
      throw APIError.denied("this token is not known, or good no more")
    }
    if record.lastUsedAt.map({ $0.advanced(seconds: Self.noteInterval) < now }) ?? true {
      try await store.write { database in
        try database.execute(
          sql: "UPDATE tokens SET last_used_at = ? WHERE id = ?", arguments: [now.microseconds, record.id])
      }
    }
    return Identity(
      name: "token:\(record.name)", role: record.role, projects: record.projects.map(Set.init),
      method: .token(id: record.id))
  }

  static func hash(_ secret: String) -> Data { Data(SHA256.hash(data: Data(secret.utf8))) }

  /// 256 random bits.
  static func newSecret() -> String {
    let bytes = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
    return tokenPrefix + bytes.hexadecimal
  }
}
