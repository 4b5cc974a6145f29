internal import GRDB

extension StoreMigrations {
  /// Disks on servers.
  static func exports(_ database: Database) throws {
    try database.create(table: "exports") { table in
      table.column("pool", .text).notNull().references("storage_pools", onDelete: .cascade)
      table.column("name", .text).notNull()
      table.column("description", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.primaryKey(["pool", "name"])
    }
  }
}
