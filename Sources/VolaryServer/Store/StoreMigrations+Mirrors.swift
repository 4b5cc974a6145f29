internal import GRDB

extension StoreMigrations {
  /// Pools in two places at once: the mark of the second, and on which of them a layer is whole.
  static func mirrors(_ database: Database) throws {
    try database.alter(table: "storage_pools") { table in
      table.add(column: "mirror_mark", .text).notNull().defaults(to: "")
    }
    try database.alter(table: "layers") { table in
      table.add(column: "sides", .integer).notNull().defaults(to: LayerRecord.allSides)
    }
  }
}
