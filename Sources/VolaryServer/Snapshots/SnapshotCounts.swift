internal import GRDB

/// How many snapshots each instance has, counted again when one has come or gone.
struct SnapshotCounts {
  private let store: Store
  private let changes: RowChanges
  private var counts: [String: Int]?

  init(store: Store) {
    self.store = store
    changes = store.changes(of: SnapshotRecord.databaseTableName)
  }

  /// By the instance's id.
  subscript(_ instance: String) -> Int {
    mutating get {
      if !changes.take().isEmpty { counts = nil }
      if counts == nil { counts = try? store.readNow(Self.all) }
      return counts?[instance] ?? 0
    }
  }

  private static func all(_ database: Database) throws -> [String: Int] {
    let rows = try Row.fetchAll(
      database, sql: "SELECT instance, COUNT(*) AS count FROM snapshots GROUP BY instance")
    return Dictionary(rows.map { ($0["instance"], $0["count"]) }, uniquingKeysWith: { one, _ in one })
  }
}
