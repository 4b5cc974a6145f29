internal import GRDB

extension StoreMigrations {
  /// Profiles. A project gets its first one with itself, whoever makes it; what instances had without being told is in
  /// that one from here on.
  static func profiles(_ database: Database) throws {
    try database.create(table: "profiles") { table in
      table.column("project", .text).notNull().references("projects", onDelete: .cascade, onUpdate: .cascade)
      table.column("name", .text).notNull()
      table.column("description", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("devices", .jsonText).notNull()
      table.primaryKey(["project", "name"])
    }
    let first = """
      'default', 'What instances have unless other profiles are named', '{}',
      '{"eth0":{"name":"eth0","network":"nat","type":"nic"},"root":{"path":"/","pool":"default","type":"disk"}}'
      """
    try database.execute(sql: "INSERT INTO profiles SELECT name, \(first) FROM projects")
    try database.execute(
      sql: """
        CREATE TRIGGER projects_first_profile AFTER INSERT ON projects
        BEGIN INSERT INTO profiles VALUES (NEW.name, \(first)); END
        """)
    try database.execute(sql: #"UPDATE instances SET profiles = '["default"]' WHERE profiles = '[]'"#)
  }
}
