internal import GRDB

extension StoreMigrations {
  /// Files that instances can be made again from.
  static func backups(_ database: Database) throws {
    try database.create(table: "backups") { table in
      table.primaryKey("id", .text)
      table.column("instance", .text).references("instances", onDelete: .cascade).indexed()
      table.column("name", .text).notNull()
      table.column("pool", .text).notNull()
      table.column("created_at", .integer).notNull()
      table.column("expires_at", .integer).indexed()
      table.column("only", .boolean).notNull()
      table.column("size", .integer).notNull()
      table.column("state", .text).notNull()
      table.uniqueKey(["instance", "name"])
    }
  }
}
