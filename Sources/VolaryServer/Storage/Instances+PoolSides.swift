internal import GRDB
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// How it stands with each directory of a mirrored pool.
extension Instances {
  /// By their places; none of a pool in one place.
  nonisolated func sides(of pool: String, _ database: Database) throws -> [StoragePoolSide] {
    guard pools.isMirrored(pool) else { return [] }
    let layers = try LayerRecord.filter(LayerRecord.CodingKeys.pool == pool).fetchAll(database)
    // Those that are written have metadata of their own.
    let written = layers.compactMap { layer in (try? mirrorFolder(layer.id).read())?.sides }
    let lacking = try Self.lacking(in: pool, database)
    return StoragePools.places.map { side in
      let source = pools.source(pool, side: side)
      if let problem = pools.sideProblem(of: pool, side) {
        return StoragePoolSide(source: source, state: .missing, message: problem)
      }
      if written.contains(where: { $0[side] == .rebuilding }) {
        return StoragePoolSide(
          source: source, state: .rebuilding, message: "what it lacks is being copied to it")
      }
      let count = lacking.count { $0.sides & 1 << side == 0 } + written.count { $0[side] == .missing }
      if count == 0 { return StoragePoolSide(source: source, state: .current, message: "") }
      return StoragePoolSide(
        source: source, state: .behind, message: "it lacks something of \(count) of the pool's files")
    }
  }
}
