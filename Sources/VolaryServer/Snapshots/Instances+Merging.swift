internal import Foundation
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

  /// What is to be put together next.
  private struct Pair: Sendable {
    /// A layer, the one beneath that nobody else needs, and what that stands on.
    let chain: [LayerRecord]
    /// Instances and volumes of running machines that stand on them; none when no machine has them open.
    var users: Set<String> = []

    var upper: LayerRecord { chain[0] }
    var lower: LayerRecord { chain[1] }
  }

  /// Layers of a running machine's disk, above which those that nobody needs are put together while it runs. It copies
  /// what both hold, so it is not done for each.
  private static let mostUnderMachines = 8

  /// Puts layers together as long as there are some; one pair at a time.
  func mergeLayers() async {
    while merge == nil, let pair = nextMerge() {
      let merge = Merge(pair.upper)
      self.merge = merge
      var isDone = false
      do {
        isDone = try await carryOut(merge, pair)
        if isDone { isDone = try await commit(merge, pair) }
      } catch {
        let now = try? await services.store.read { try LayerRecord.fetchOne($0, key: pair.upper.id)?.state }
        if now == .ready {
          services.logger.error(
            "the layer \(pair.upper.id) cannot be put together with \(pair.lower.id): \(APIError(host: error))"
          )
        }
      }
      self.merge = nil
      if !isDone, !merge.isCancelled.load(ordering: .relaxed) { unmerged.insert(pair.upper.id) }
    }
  }

  private func carryOut(_ merge: Merge, _ pair: Pair) async throws -> Bool {
    guard pools.problem(of: merge.upper.pool) == nil else { return false }
    // What the upper one reads as stays the same, so that the sides need not be at the same place.
    let sides = pools.isMirrored(merge.upper.pool) ? Array(StoragePools.places) : [0]
    let copies = sides.compactMap { side in
      sideLayers(pair.chain, side, strictly: true).flatMap {
        DiskChain(layers: $0, size: UInt64(clamping: pair.upper.size))
      }
    }
    guard copies.count == sides.count else { return false }
    let isUsed = !pair.users.isEmpty
    let isDone = try await offThread("merge") {
      let isCancelled = { merge.isCancelled.load(ordering: .relaxed) }
      return try copies.allSatisfy { files in
        guard isUsed else { return try LayerMerge.run(files, isCancelled: isCancelled) }
        let folder = URL(filePath: files.top.path).deletingLastPathComponent().path
        return try LayerMerge.renew(files, room: HostRoom(folder), isCancelled: isCancelled)
      }
    }
    if isUsed { return isDone }
    let upper = merge.upper.id
    let isWritten = try await services.store.read { database in
      try InstanceRecord.filter(InstanceRecord.CodingKeys.layer == upper).fetchCount(database) > 0
        || VolumeRecord.filter(VolumeRecord.CodingKeys.layer == upper).fetchCount(database) > 0
    }
    if !isWritten { protect(merge.upper) }
    return isDone
  }

  /// Has the upper stand on what the lower stood on, and the lower go. Who is about to open the files of running
  /// machines' disks finds all of them or waits. False when it was told to leave off: then both stay, and nothing has
  /// changed but the upper's file.
  private func commit(_ merge: Merge, _ pair: Pair) async throws -> Bool {
    while pair.users.contains(where: { busy[$0] != nil || busyVolumes[$0] != nil }) {
      if merge.isCancelled.load(ordering: .relaxed) { return false }
      try await Task.sleep(for: .milliseconds(20))
    }
    committing = pair.users
    defer { committing = [] }
    try await services.store.write { database in
      // It may have been dropped meanwhile.
      try database.execute(
        sql: "UPDATE layers SET parent = ? WHERE id = ? AND parent = ? AND state = 'ready'",
        arguments: [pair.lower.parent, pair.upper.id, pair.lower.id])
    }
    await collectLayers()
    return true
  }

  /// Waits until layers have been exchanged that something stands on.
  func leaveCommit(_ id: String) async {
    while committing.contains(id) { try? await Task.sleep(for: .milliseconds(2)) }
  }

  /// Instances to which something is done, or whose machines run, have their layers for themselves, but for those that
  /// many others lie above. At once, so that nothing comes between.
  private func nextMerge() -> Pair? {
    let (own, pools, copying) = (idsInUse, pools, copying)
    let volumes = Set(busyVolumes.keys)
    let (unmerged, exported) = (unmerged, exporting.values.reduce(into: Set()) { $0.formUnion($1) })
    return try? services.store.readNow { database in
      let pairs = try LayerRecord.fetchAll(
        database,
        sql: """
          SELECT upper.* FROM layers AS upper JOIN layers AS lower ON lower.id = upper.parent
            WHERE upper.state = 'ready' AND lower.state = 'ready' AND lower.parent IS NOT NULL
            AND upper.format = 'qcow2' AND lower.format = 'qcow2'
            AND \(LayerRecord.isNobodys("lower"))
            AND 1 = (SELECT COUNT(*) FROM layers AS child WHERE child.parent = lower.id AND child.state <> 'dropped')
          """
      ).filter {
        !unmerged.contains($0.id) && !copying.contains($0.id) && !exported.contains($0.id)
          && pools.recentProblem(of: $0.pool) == nil
      }
      // What follows asks for each disk that is in use, and mostly there is nothing to put together.
      if pairs.isEmpty { return nil }
      let disks = try Self.disksInUse(own, volumes, database)
      let taken = Set(disks.values.joined().map(\.id))
      func firstWhole(_ uppers: [LayerRecord]) throws -> [LayerRecord]? {
        for upper in uppers {
          let chain = try LayerRecord.chain(database, from: upper.id)
          if isWhole(chain) { return chain }
        }
        return nil
      }
      if let chain = try firstWhole(pairs.filter({ !taken.contains($0.id) })) { return Pair(chain: chain) }
      // Not the layer that a machine writes, which is the first of its own.
      let tall = disks.values.filter { $0.count > Self.mostUnderMachines }
      let frozen = Set(tall.joined().map(\.id)).subtracting(disks.values.compactMap(\.first?.id))
      let least = pairs.filter { frozen.contains($0.id) }
        .map { (upper: $0, bytes: Self.bytes(of: $0, pools)) }
        .sorted { $0.bytes < $1.bytes }.map(\.upper)
      guard let chain = try firstWhole(least) else { return nil }
      let users = disks.filter { $0.value.contains { $0.id == chain[0].id } }.keys
      return Pair(chain: chain, users: Set(users))
    }
  }

  /// The layers of instances and volumes that are not idle, nearest first, by whose they are.
  private static func disksInUse(
    _ instances: Set<String>, _ volumes: Set<String>, _ database: Database
  ) throws -> [String: [LayerRecord]] {
    var tops: [String: String] = [:]
    for volume in try VolumeRecord.fetchAll(database, keys: volumes) { tops[volume.id] = volume.layer }
    for record in try InstanceRecord.fetchAll(database, keys: instances) {
      tops[record.id] = record.layer
      for volume in try VolumeUse.volumes(of: record, database) { tops[volume.id] = volume.layer }
    }
    return try tops.mapValues { try LayerRecord.chain(database, from: $0) }
  }

  /// Whether all of a disk is on both sides of a mirrored pool.
  private nonisolated func isWhole(_ chain: [LayerRecord]) -> Bool {
    guard let pool = chain.first?.pool, pools.isMirrored(pool) else { return true }
    return chain.allSatisfy { layer in
      if let facts = try? mirrorFolder(layer.id).read(), !facts.isSettled { return false }
      return places(of: layer).count == 2
    }
  }

  /// Of a layer and the one beneath, on the host.
  private static func bytes(of upper: LayerRecord, _ pools: StoragePools) -> Int64 {
    [upper.id, upper.parent].compactMap { $0 }.reduce(0) {
      $0 + LayerFile.storedBytes(pools.layer($1, in: upper.pool))
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
