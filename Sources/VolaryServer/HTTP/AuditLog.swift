internal import GRDB
internal import HTTPTypes
internal import Logging
internal import VolaryAPI

/// Writes down every change that was granted: who, what, when, and what came of it. Bodies, which may hold
/// secrets, are not written down.
actor AuditLog {
  private let store: Store
  private let logger: Logger
  private var sincePruning = 0

  init(store: Store, logger: Logger) {
    self.store = store
    self.logger = logger
  }

  func note(_ call: Call, _ reply: Reply, project: String?) async {
    guard reply.status.code < 400 else { return }
    let location = reply.headers[.location] ?? ""
    let operation = location.hasPrefix("/1.0/operations/") ? String(location.dropFirst(16)) : nil
    let record = AuditRecord(
      who: call.identity?.name ?? "anyone", method: call.method.rawValue, path: call.path,
      project: project, status: reply.status.code, operation: operation)
    sincePruning += 1
    let prunes = sincePruning >= 1000
    if prunes { sincePruning = 0 }
    do {
      try await store.write { database in
        try record.insert(database)
        if prunes {
          try database.execute(
            sql: "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?",
            arguments: [AuditRecord.most])
        }
      }
    } catch {
      logger.error("\(record.method) \(record.path) of \(record.who) cannot be written down: \(error)")
    }
  }
}
