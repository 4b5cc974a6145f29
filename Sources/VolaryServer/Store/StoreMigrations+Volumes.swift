internal import GRDB

extension StoreMigrations {
  /// Disks that are no instance's own.
  static func volumes(_ database: Database) throws {
    try database.create(table: "volumes") { table in
      table.primaryKey("id", .text)
      table.column("project", .text).notNull().references("projects", onUpdate: .cascade)
      table.column("pool", .text).notNull().references("storage_pools")
      table.column("name", .text).notNull()
      table.column("description", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("created_at", .integer).notNull()
      table.column("size", .integer).notNull()
      table.column("layer", .text).notNull().references("layers").indexed()
      table.uniqueKey(["project", "pool", "name"])
    }
    try database.create(table: "volume_snapshots") { table in
      table.primaryKey("id", .text)
      table.column("volume", .text).notNull().references("volumes", onDelete: .cascade)
      table.column("name", .text).notNull()
      table.column("description", .text).notNull()
      table.column("created_at", .integer).notNull()
      table.column("expires_at", .integer).indexed()
      table.column("layer", .text).notNull().references("layers").indexed()
      table.uniqueKey(["volume", "name"])
    }
    try database.alter(table: "backups") { table in
      table.add(column: "volume", .text).references("volumes", onDelete: .cascade)
    }
    try database.create(
      index: "backups_volume", on: "backups", columns: ["volume", "name"], options: .unique)
  }
}
