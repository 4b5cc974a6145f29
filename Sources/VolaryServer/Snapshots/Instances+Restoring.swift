internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// An instance that becomes again what it was.
extension Instances {
  /// `wanted` may have the instance's name before it, as Incus's clients have it.
  func restore(
    _ name: String, project: String, _ wanted: String, stateful: Bool,
    check: @escaping @Sendable (InstanceObject) throws -> Void, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(name, project: project)
    try check(object(record))
    let snapshotName = wanted.hasPrefix(name + "/") ? String(wanted.dropFirst(name.count + 1)) : wanted
    let snapshot = try await services.store.read {
      try SnapshotRecord.find($0, of: record.id, name: snapshotName)
    }
    guard let snapshot else { throw Self.noSnapshot(snapshotName, of: name) }
    if stateful, !snapshot.stateful {
      throw APIError.invalid("the snapshot `\(snapshotName)` holds no memory", wayOut: "leave --stateful out")
    }
    try await checkPool(record.pool)
    return try await services.operations.create(
      "Restoring snapshot", project: project,
      resources: [
        "instances": [Self.path(record)], "instances_snapshots": [Self.path(record, snapshot: snapshotName)],
      ], requestor: identity
    ) { context in
      let isToStart = try await self.exclusively(record, "restored") {
        if stateful {
          try await self.examine(snapshot)
          if try await self.revert(record.id, to: snapshot.id) { return false }
        }
        let ran = try await self.endForRestoring(record.id, context)
        try await self.putBack(record.id, snapshot.id, stateful ? .kept : .disk)
        return ran || stateful
      }
      await self.tell("restored", record, ["snapshot": .string(snapshotName)])
      if isToStart { try await self.start(record.id, context) }
      return [:]
    }
  }

  /// Throws unless a machine can go on from what a snapshot holds: what there is now would be given up for nothing.
  private func examine(_ snapshot: SnapshotRecord) async throws {
    let kept = kept(snapshot)
    do { try await offThread("keep") { try kept.examine() } } catch let error as VolaryError {
      throw APIError(
        .failed, "the machine that the snapshot `\(snapshot.name)` holds cannot go on: \(error.message)",
        wayOut: "without --stateful its disk alone is restored")
    }
  }

  /// Ends the machine of an instance, which stays even if it is to go with its machine. Says whether there was one.
  private func endForRestoring(_ id: String, _ context: OperationContext) async throws -> Bool {
    guard machines[id] != nil else { return false }
    machines[id]?.staysAtEnd = true
    try await end(id, seconds: 0, force: true, context)
    return true
  }

  /// What becomes of the memory that a snapshot holds.
  enum Memory: Sendable {
    /// It is not wanted.
    case disk
    /// The next start goes on from it.
    case kept
    /// The machine that runs is about to take it.
    case running
  }

  /// Has an instance be what a snapshot holds. Only within ``exclusively(_:_:_:)``.
  func putBack(_ id: String, _ snapshotID: String, _ memory: Memory) async throws {
    let record = try await current(id)
    // What the machine was to go on from does not fit another disk.
    if record.stateful { try await forgetKept(record) }
    guard let snapshot = try await services.store.read({ try SnapshotRecord.fetchOne($0, key: snapshotID) })
    else { throw APIError.notFound("the snapshot was deleted meanwhile") }
    var intended = record
    Self.become(&intended, snapshot)
    let settings = try settings(of: intended)
    try Self.check(intended, settings)
    let old = (try? self.settings(of: record)).map { InstanceQuota.disk($0, record) } ?? 0
    try admitDisk(intended, settings, old: old, try await ratios())
    defer { pool.settleDisk(id) }
    let layer = try await services.store.read { database in
      try snapshot.layer.flatMap { try LayerRecord.fetchOne(database, key: $0) }
    }
    var next: LayerRecord?
    if let layer {
      next = try await makeLayer(over: layer, size: settings.diskSize)
      if next == nil { throw APIError.notFound("the snapshot was deleted meanwhile") }
    }
    let new = next
    do {
      if memory == .kept {
        let (kept, target) = (kept(snapshot), keptForStart(record))
        try await offThread("keep") { try kept.share(as: target) }
      }
      try await services.store.write { database in
        guard var record = try InstanceRecord.fetchOne(database, key: id),
          let project = try ProjectRecord.fetchOne(database, key: record.project)
        else { throw APIError.notFound("the instance is gone") }
        Self.become(&record, snapshot)
        let profiles = try ProfileSet(database, project: record.project)
        try profiles.check(record.profiles)
        let settings = try profiles.settings(of: record)
        try VolumeUse.check(record, settings, database)
        try InstanceQuota.check(project, adding: record, settings, profiles, database)
        record.bootAutostart = settings.autostart ?? false
        record.bootPriority = settings.priority
        record.stateful = memory == .kept
        record.volatile[Volatile.reverting] = memory == .running ? "true" : nil
        try record.update(database)
        if let new { try Self.keep(new, as: id, database) }
      }
    } catch {
      if let new { await drop(new) }
      throw error
    }
    // Until it has another, a machine that runs writes what is dropped.
    if memory != .running { await collectLayers() }
  }

  /// What a snapshot holds of an instance beside its disk. Its name, its addresses and its project are its own.
  static func become(_ record: inout InstanceRecord, _ snapshot: SnapshotRecord) {
    record.config = snapshot.config
    record.devices = snapshot.devices
    record.profiles = snapshot.profiles
    record.ephemeral = snapshot.ephemeral
  }
}
