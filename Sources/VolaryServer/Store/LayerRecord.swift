internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// A row of `layers`: a file in a storage pool that is a disk, or what was written over the disk beneath it. The layer
/// that is an instance's own is written by its machine; one that anything else stands on is never written again.
struct LayerRecord: Codable, FetchableRecord, PersistableRecord, Equatable, Sendable {
  static let databaseTableName = "layers"

  /// A UUID, which names the file.
  let id: String
  let pool: String
  /// The layer beneath, in the same pool; nil for one that is whole by itself.
  var parent: String?
  let format: DiskChain.Format
  /// Bytes of the disk that it is, with what is beneath.
  var size: Int64
  var state: State
  /// Which image's disk it is, where it is one's (``ImageLayerKey``).
  let image: String?
  let createdAt: Timestamp
  /// On which sides of a mirrored pool the file is whole, a bit for each. Of one that is written the pair's metadata say
  /// that (``MirrorFolder``).
  var sides = Self.allSides

  /// Of a pool with two, and of any other.
  static let allSides = 3

  /// Rows come before their files and go after them, so that a daemon that died has left nothing that no row tells of.
  enum State: String, Codable, Sendable {
    /// The file is there in part, if at all, and holds nothing of anybody's.
    case making
    /// The file is whole, and was handed to the machine of the instance whose layer is beneath. Whether it was taken has
    /// yet to be seen.
    case handed
    case ready
    /// Nobody needs it: the file goes.
    case dropped
  }

  enum CodingKeys: String, CodingKey, ColumnExpression {
    case id, pool, parent, format, size, state, image, sides
    case createdAt = "created_at"
  }

  init(
    id: String, pool: String, parent: String? = nil, format: DiskChain.Format, size: Int64,
    state: State = .making,
    image: String? = nil, createdAt: Timestamp = .now
  ) {
    self.id = id
    self.pool = pool
    self.parent = parent
    self.format = format
    self.size = size
    self.state = state
    self.image = image
    self.createdAt = createdAt
  }
}

extension LayerRecord {
  static func makeID() -> String { UUID().uuidString.lowercased() }

  /// A layer and what it stands on, nearest first. Rows of the store make no circle, and if they did, this would end.
  static func chain(_ database: Database, from id: String) throws -> [LayerRecord] {
    try LayerRecord.fetchAll(
      database,
      sql: """
        WITH RECURSIVE chain(id, parent, depth) AS (
          SELECT id, parent, 0 FROM layers WHERE id = ?
          UNION ALL
          SELECT layers.id, layers.parent, depth + 1 FROM layers JOIN chain ON layers.id = chain.parent
            WHERE depth < 1000)
        SELECT layers.* FROM chain JOIN layers ON layers.id = chain.id ORDER BY depth
        """, arguments: [id])
  }

  /// That no disk and no snapshot is a layer, in SQL; `table` is what it is called there.
  static func isNobodys(_ table: String) -> String {
    ["instances", "snapshots", "volumes", "volume_snapshots"].map { owner in
      "NOT EXISTS (SELECT 1 FROM \(owner) WHERE \(owner).layer = \(table).id)"
    }.joined(separator: " AND ")
  }

  /// Makes layers that were made somebody's to stand on.
  static func keep(_ layers: [LayerRecord], _ database: Database) throws {
    for layer in layers {
      try database.execute(
        sql: "UPDATE layers SET state = 'ready' WHERE id = ? AND state = 'making'", arguments: [layer.id])
    }
  }

  /// Has those that nobody needs any more go, with what they alone stood on.
  static func drop(_ database: Database) throws {
    repeat {
      try database.execute(
        sql: """
          UPDATE layers SET state = 'dropped' WHERE state = 'ready'
            AND \(isNobodys("layers"))
            AND NOT EXISTS (
              SELECT 1 FROM layers AS child WHERE child.parent = layers.id AND child.state <> 'dropped')
          """)
    } while database.changesCount > 0
  }

  /// Takes the rows of dropped ones away whose files are gone: each before what it stood on.
  static func forget(_ database: Database, _ ids: Set<String>) throws {
    var left = ids
    while !left.isEmpty {
      let before = left.count
      for id in left {
        let hasChild = try LayerRecord.filter(CodingKeys.parent == id).fetchCount(database) > 0
        if hasChild { continue }
        try database.execute(sql: "DELETE FROM layers WHERE id = ? AND state = 'dropped'", arguments: [id])
        left.remove(id)
      }
      // The others stay until what stands on them is gone.
      if left.count == before { return }
    }
  }
}
