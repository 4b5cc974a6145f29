internal import GRDB
internal import Logging
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// Layers that nobody but one other stands on any more are put together with it, so that disks do not become slower and
/// the bound on layers is one on snapshots that there are.
extension Instances {
  /// What is under way.
  final class Merge: Sendable {
    let upper: LayerRecord
    let isCancelled = Atomic(false)

    init(_ upper: LayerRecord) { self.upper = upper }
  }

  /// Puts layers together as long as there are some; one pair at a time.
  func mergeLayers() async {
    while merge == nil, let chain = nextMerge() {
      let (upper, lower) = (chain[0], chain[1])
      let merge = Merge(upper)
      self.merge = merge
      var isDone = false
      do {
        isDone = try await carryOut(merge, chain)
        if isDone {
          try await services.store.write { database in
            // It may have been dropped meanwhile.
            try database.execute(
              sql: "UPDATE layers SET parent = ? WHERE id = ? AND parent = ? AND state = 'ready'",
              arguments: [lower.parent, upper.id, lower.id])
          }
        }
      } catch {
        let now = try? await services.store.read { try LayerRecord.fetchOne($0, key: upper.id)?.state }
        if now == .ready {
          services.logger.error("the layer \(upper.id) cannot be put together with \(lower.id): \(error)")
        }
      }
      self.merge = nil
      if isDone {
        await collectLayers()
      } else if !merge.isCancelled.load(ordering: .relaxed) {
        unmerged.insert(upper.id)
      }
    }
  }

  private func carryOut(_ merge: Merge, _ chain: [LayerRecord]) async throws -> Bool {
    guard pools.problem(of: merge.upper.pool) == nil else { return false }
    // What the upper one reads as stays the same, so that the sides need not be at the same place.
    let sides = pools.isMirrored(merge.upper.pool) ? Array(StoragePools.places) : [0]
    let copies = sides.compactMap { side in
      sideLayers(chain, side, strictly: true).flatMap {
        DiskChain(layers: $0, size: UInt64(clamping: chain[0].size))
      }
    }
    guard copies.count == sides.count else { return false }
    let isDone = try await offThread("merge") {
      try copies.allSatisfy { files in
        try LayerMerge.run(files) { merge.isCancelled.load(ordering: .relaxed) }
      }
    }
    let upper = merge.upper.id
    let isWritten = try await services.store.read { database in
      try InstanceRecord.filter(InstanceRecord.CodingKeys.layer == upper).fetchCount(database) > 0
        || VolumeRecord.filter(VolumeRecord.CodingKeys.layer == upper).fetchCount(database) > 0
    }
    if !isWritten { protect(merge.upper) }
    return isDone
  }

  /// A layer, the one beneath that nobody else needs, and what that stands on. Instances to which something is done, or
  /// whose machines run, have theirs for themselves. At once, so that nothing comes between.
  private func nextMerge() -> [LayerRecord]? {
    let (own, pools, copying) = (idsInUse, pools, copying)
    let volumes = Set(busyVolumes.keys)
    let (unmerged, exported) = (unmerged, exporting.values.reduce(into: Set()) { $0.formUnion($1) })
    return try? services.store.readNow { database in
      let others = try Self.layersInUse(own, volumes, database).union(exported)
      let taken = try own.reduce(into: others) { taken, id in
        guard let top = try InstanceRecord.fetchOne(database, key: id)?.layer else { return }
        taken.formUnion(try LayerRecord.chain(database, from: top).map(\.id))
      }
      let pairs = try LayerRecord.fetchAll(
        database,
        sql: """
          SELECT upper.* FROM layers AS upper JOIN layers AS lower ON lower.id = upper.parent
            WHERE upper.state = 'ready' AND lower.state = 'ready' AND lower.parent IS NOT NULL
            AND upper.format = 'qcow2' AND lower.format = 'qcow2'
            AND \(LayerRecord.isNobodys("lower"))
            AND 1 = (SELECT COUNT(*) FROM layers AS child WHERE child.parent = lower.id AND child.state <> 'dropped')
          """)
      let free = pairs.filter {
        !taken.contains($0.id) && !unmerged.contains($0.id) && !copying.contains($0.id)
          && pools.recentProblem(of: $0.pool) == nil
      }
      return try free.map { try LayerRecord.chain(database, from: $0.id) }.first(where: isWhole)
    }
  }

  /// Whether all of a disk is on both sides of a mirrored pool.
  private nonisolated func isWhole(_ chain: [LayerRecord]) -> Bool {
    guard let pool = chain.first?.pool, pools.isMirrored(pool) else { return true }
    return chain.allSatisfy { layer in
      if let facts = try? mirrorFolder(layer.id).read(), !facts.isSettled { return false }
      return places(of: layer).count == 2
    }
  }

  /// Has nothing be put together that an instance's machine is about to open. Only within ``exclusively(_:_:_:)``.
  func leaveOffMerging(for record: InstanceRecord) async throws {
    guard let top = record.layer else { return }
    let chain = try await services.store.read { try LayerRecord.chain($0, from: top) }
    try await leaveOffMerging(of: Set(chain.map(\.id)))
  }

  /// As ``leaveOffMerging(for:)``, of layers that somebody is about to read.
  func leaveOffMerging(of layers: Set<String>) async throws {
    guard let merge, layers.contains(merge.upper.id) else { return }
    merge.isCancelled.store(true, ordering: .relaxed)
    while self.merge === merge { try await Task.sleep(for: .milliseconds(5)) }
  }
}
