internal import GRDB
internal import VolaryAPI

extension StoreMigrations {
  /// Pools, and in which of them an instance's disk lies.
  static func storage(_ database: Database) throws {
    try database.create(table: "storage_pools") { table in
      table.primaryKey("name", .text)
      table.column("description", .text).notNull()
      table.column("driver", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("mark", .text).notNull()
      table.column("created_at", .integer).notNull()
    }
    try database.execute(
      sql: "INSERT INTO storage_pools VALUES ('default', ?, 'dir', '{}', '', ?)",
      arguments: ["The daemon's own directory", Timestamp.now.microseconds])
    try database.alter(table: "instances") { table in
      table.add(column: "pool", .text).notNull().defaults(to: StoragePoolRecord.default)
    }
  }
}
