internal import GRDB
internal import VolaryAPI

/// The tables, version after version. A version that has been released is never changed.
enum StoreMigrations {
  static let all: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1", migrate: version1)
    migrator.registerMigration("2", migrate: version2)
    migrator.registerMigration("3-profiles", migrate: profiles)
    migrator.registerMigration("4-storage", migrate: storage)
    migrator.registerMigration("5-snapshots", migrate: snapshots)
    migrator.registerMigration("6-backups", migrate: backups)
    migrator.registerMigration("7-volumes", migrate: volumes)
    migrator.registerMigration("8-exports", migrate: exports)
    migrator.registerMigration("9-mirrors", migrate: mirrors)
    return migrator
  }()

  private static func version1(_ database: Database) throws {
    try database.create(table: "projects") { table in
      table.primaryKey("name", .text)
      table.column("description", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("created_at", .integer).notNull()
    }
    try database.create(table: "instances") { table in
      table.primaryKey("id", .text)
      table.column("project", .text).notNull().references("projects", onUpdate: .cascade)
      table.column("name", .text).notNull()
      table.column("type", .text).notNull()
      table.column("description", .text).notNull()
      table.column("architecture", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("devices", .jsonText).notNull()
      table.column("profiles", .jsonText).notNull()
      table.column("ephemeral", .boolean).notNull()
      table.column("stateful", .boolean).notNull()
      table.column("created_at", .integer).notNull()
      table.column("last_used_at", .integer).notNull()
      table.column("image_fingerprint", .text)
      table.column("image_alias", .text)
      // What the daemon wants it to be, what it was when last looked at, and how it ended.
      table.column("wanted", .text).notNull()
      table.column("status_code", .integer).notNull()
      table.column("pid", .integer)
      table.column("pid_started_at", .integer)
      table.column("started_at", .integer)
      table.column("exit", .jsonText)
      table.column("boot_autostart", .boolean).notNull()
      table.column("boot_priority", .integer).notNull()
      table.column("volatile", .jsonText).notNull()
      table.uniqueKey(["project", "name"])
    }
    try database.create(table: "operations") { table in
      table.primaryKey("id", .text)
      table.column("project", .text)
      table.column("final", .boolean).notNull().indexed()
      table.column("updated_at", .integer).notNull().indexed()
      table.column("requestor", .text)
      table.column("object", .jsonText).notNull()
    }
    try database.create(table: "tokens") { table in
      table.primaryKey("id", .text)
      table.column("name", .text).notNull().unique()
      table.column("hash", .blob).notNull().unique()
      table.column("role", .text).notNull()
      table.column("projects", .jsonText)
      table.column("created_at", .integer).notNull()
      table.column("expires_at", .integer)
      table.column("last_used_at", .integer)
    }
    try database.create(table: "audit") { table in
      table.autoIncrementedPrimaryKey("id")
      table.column("at", .integer).notNull().indexed()
      table.column("who", .text).notNull()
      table.column("method", .text).notNull()
      table.column("path", .text).notNull()
      table.column("project", .text)
      table.column("status", .integer).notNull()
      table.column("operation", .text)
    }
    try database.create(table: "warnings") { table in
      table.primaryKey("id", .text)
      table.column("project", .text)
      table.column("type", .text).notNull()
      table.column("entity", .text)
      table.column("message", .text).notNull()
      table.column("count", .integer).notNull()
      table.column("first_seen_at", .integer).notNull()
      table.column("last_seen_at", .integer).notNull()
      table.column("acknowledged", .boolean).notNull()
      table.uniqueKey(["type", "project", "entity"])
    }
    try database.create(table: "idempotency_keys") { table in
      table.primaryKey("key", .text)
      table.column("request_hash", .blob).notNull()
      table.column("status", .integer).notNull()
      table.column("location", .text)
      table.column("body", .blob).notNull()
      table.column("created_at", .integer).notNull().indexed()
    }
    try database.execute(
      sql: "INSERT INTO projects (name, description, config, created_at) VALUES ('default', ?, '{}', ?)",
      arguments: ["The project that is meant when none is named", Timestamp.now.microseconds])
  }

  /// Clients over the network, and the daemon's own settings.
  private static func version2(_ database: Database) throws {
    try database.alter(table: "tokens") { table in
      table.add(column: "joins", .boolean).notNull().defaults(to: false)
    }
    try database.create(table: "certificates") { table in
      table.primaryKey("fingerprint", .text)
      table.column("name", .text).notNull()
      table.column("certificate", .text).notNull()
      table.column("role", .text).notNull()
      table.column("projects", .jsonText)
      table.column("created_at", .integer).notNull()
    }
    try database.create(table: "settings") { table in
      table.primaryKey("key", .text)
      table.column("value", .text).notNull()
    }
  }
}
