internal import Crypto
internal import Foundation
internal import GRDB
internal import HTTPTypes
internal import NIOCore
internal import VolaryAPI

/// Requests that their senders have named, so that sending one again does not do it again: the same answer for
/// an hour. Keys of one sender do not meet those of another.
actor IdempotencyKeys {
  static let remembered: Int64 = 3600

  private struct Row: Codable, FetchableRecord, PersistableRecord, Sendable {
    static let databaseTableName = "idempotency_keys"
    let key: String
    let requestHash: Data
    let status: Int
    let location: String?
    let body: Data
    let createdAt: Timestamp

    enum CodingKeys: String, CodingKey, ColumnExpression {
      case key, status, location, body
      case requestHash = "request_hash"
      case createdAt = "created_at"
    }
  }

  private let store: Store
  /// Keys whose request is being carried out.
  private var busy: Set<String> = []

  init(store: Store) { self.store = store }

  func respond(
    to call: Call, key: String, _ make: @Sendable () async throws -> Reply
  ) async throws -> Reply {
    guard (1...255).contains(key.utf8.count) else {
      throw APIError.invalid("an Idempotency-Key has 1 to 255 characters")
    }
    let name = Self.hash("\(call.identity?.name ?? "")\n\(key)").hexadecimal
    let hash = Self.hash("\(call.path)\n\(call.project)\n", Data(call.body.readableBytesView))
    guard busy.insert(name).inserted else {
      throw APIError.conflict("a request with this Idempotency-Key is being carried out")
    }
    defer { busy.remove(name) }
    if let known = try await find(name) {
      guard known.requestHash == hash else {
        throw APIError(.unprocessable, "this Idempotency-Key was used for another request")
      }
      return Self.reply(known)
    }
    let reply = try await make()
    if case .bytes(let body) = reply.body, reply.status.code < 400 {
      let row = Row(
        key: name, requestHash: hash, status: reply.status.code, location: reply.headers[.location],
        body: Data(body.readableBytesView), createdAt: .now)
      try await store.write { try row.upsert($0) }
    }
    return reply
  }

  private func find(_ key: String) async throws -> Row? {
    let oldest = Timestamp.now.advanced(seconds: -Self.remembered)
    return try await store.write { database in
      try Row.filter(Row.CodingKeys.createdAt < oldest).deleteAll(database)
      return try Row.fetchOne(database, key: key)
    }
  }

  private static func hash(_ text: String, _ data: Data = Data()) -> Data {
    var hash = SHA256()
    hash.update(data: Data(text.utf8))
    hash.update(data: data)
    return Data(hash.finalize())
  }

  private static func reply(_ row: Row) -> Reply {
    var reply = Reply.bytes(row.body, type: "application/json", status: .init(code: row.status))
    if let location = row.location { reply.headers[.location] = location }
    return reply
  }
}
