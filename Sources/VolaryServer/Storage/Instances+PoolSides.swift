internal import GRDB
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// What the directories of a mirrored pool lack of its files.
struct PoolLag {
  /// Layers that nobody writes, and which are not on both.
  fileprivate let frozen: [LayerRecord]
  /// What the metadata say of those that are written.
  fileprivate let written: [[MirrorStatus.Side]]

  /// How many files are not whole on both.
  fileprivate var count: Int { frozen.count + written.count { sides in sides.contains { $0 != .current } } }

  /// How many a side lacks.
  fileprivate func count(of side: Int) -> Int {
    frozen.count { $0.sides & 1 << side == 0 } + written.count { $0[side] == .missing }
  }
}

/// How it stands with each directory of a mirrored pool.
extension Instances {
  /// Nil of a pool in one place.
  nonisolated func lag(of pool: String, _ database: Database) throws -> PoolLag? {
    guard pools.isMirrored(pool) else { return nil }
    let layers = try LayerRecord.filter(LayerRecord.CodingKeys.pool == pool).fetchAll(database)
    // Those that are written have metadata of their own.
    return PoolLag(
      frozen: try Self.lacking(in: pool, database),
      written: layers.compactMap { layer in (try? mirrorFolder(layer.id).read())?.sides })
  }

  /// Both directories, by their places.
  nonisolated func sides(of pool: String, _ lag: PoolLag) -> [StoragePoolSide] {
    StoragePools.places.map { side in
      let source = pools.source(pool, side: side)
      if let problem = pools.sideProblem(of: pool, side) {
        return StoragePoolSide(source: source, state: .missing, message: problem)
      }
      if lag.written.contains(where: { $0[side] == .rebuilding }) {
        return StoragePoolSide(
          source: source, state: .rebuilding, message: "what it lacks is being copied to it")
      }
      let count = lag.count(of: side)
      if count == 0 { return StoragePoolSide(source: source, state: .current, message: "") }
      return StoragePoolSide(
        source: source, state: .behind, message: "it lacks something of \(count) of the pool's files")
    }
  }

  /// That a side lacks something although both are there.
  nonisolated func condition(of pool: String, _ lag: PoolLag) -> Condition? {
    if pools.recentProblem(of: pool) != nil || lag.count == 0 { return nil }
    return Condition(
      type: "StorageDegraded", status: true, reason: "SideBehind",
      message:
        "a side of the storage pool `\(pool)` lacks something of \(lag.count) of its files: run "
        + "'volary storage repair \(pool)'", since: .never)
  }
}
