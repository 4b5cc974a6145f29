internal import GRDB

extension StoreMigrations {
  /// Disks in layers, and snapshots that hold them. Instances from before have their disk in their folder until
  /// something is to stand on it.
  static func snapshots(_ database: Database) throws {
    try database.create(table: "layers") { table in
      table.primaryKey("id", .text)
      table.column("pool", .text).notNull()
      table.column("parent", .text).references("layers").indexed()
      table.column("format", .text).notNull()
      table.column("size", .integer).notNull()
      table.column("state", .text).notNull()
      table.column("image", .text)
      table.column("created_at", .integer).notNull()
    }
    try database.create(index: "layers_image", on: "layers", columns: ["pool", "image"])
    try database.create(table: "snapshots") { table in
      table.primaryKey("id", .text)
      table.column("instance", .text).notNull().references("instances", onDelete: .cascade)
      table.column("name", .text).notNull()
      table.column("description", .text).notNull()
      table.column("created_at", .integer).notNull()
      table.column("expires_at", .integer).indexed()
      table.column("stateful", .boolean).notNull()
      table.column("architecture", .text).notNull()
      table.column("config", .jsonText).notNull()
      table.column("devices", .jsonText).notNull()
      table.column("profiles", .jsonText).notNull()
      table.column("ephemeral", .boolean).notNull()
      table.column("last_used_at", .integer).notNull()
      table.column("layer", .text).references("layers").indexed()
      table.uniqueKey(["instance", "name"])
    }
    try database.alter(table: "instances") { $0.add(column: "layer", .text).references("layers") }
    try database.create(index: "instances_layer", on: "instances", columns: ["layer"])
  }
}
