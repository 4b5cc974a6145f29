internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Snapshots of instances: their disks and configuration at one moment.
extension Instances {
  static func path(_ record: InstanceRecord, snapshot: String) -> String {
    "\(path(record))/snapshots/\(APIEndpoint.escaped(snapshot))"
  }

  // MARK: - What there is

  /// An instance's snapshots, oldest first.
  func snapshots(_ name: String, project: String) async throws -> [SnapshotObject] {
    let record = try await find(name, project: project)
    return try await snapshots(of: [record])[record.id] ?? []
  }

  /// Those of several instances, by the instance's id.
  func snapshots(of records: [InstanceRecord]) async throws -> [String: [SnapshotObject]] {
    let owners = Dictionary(records.map { ($0.id, $0) }, uniquingKeysWith: { one, _ in one })
    let (found, layers) = try await services.store.read { database in
      let found =
        owners.count == 1
        ? try SnapshotRecord.all(database, of: owners.keys.first ?? "")
        : try SnapshotRecord.order(SnapshotRecord.CodingKeys.createdAt, SnapshotRecord.CodingKeys.name)
          .fetchAll(database).filter { owners[$0.instance] != nil }
      let ids = found.compactMap(\.layer)
      return (found, try LayerRecord.fetchAll(database, keys: Set(ids)))
    }
    // An image's own is none of theirs.
    let files = Dictionary(
      layers.filter { $0.image == nil }.map { ($0.id, path(of: $0)) }, uniquingKeysWith: { one, _ in one })
    let states = Dictionary(
      found.filter(\.stateful).map { ($0.id, kept($0)) }, uniquingKeysWith: { one, _ in one })
    let objects = found.compactMap { snapshot in
      owners[snapshot.instance].map { (snapshot, object(snapshot, of: $0)) }
    }
    return try await offThread("snapshots") {
      objects.reduce(into: [:]) { all, entry in
        var (snapshot, object) = entry
        object.size = snapshot.layer.flatMap { files[$0] }.map(LayerFile.storedBytes) ?? 0
        object.size += states[snapshot.id]?.storedBytes ?? 0
        all[snapshot.instance, default: []].append(object)
      }
    }
  }

  func snapshot(_ snapshot: String, of name: String, project: String) async throws -> SnapshotObject {
    let found = try await snapshots(name, project: project).first { $0.name == snapshot }
    guard let found else { throw Self.noSnapshot(snapshot, of: name) }
    return found
  }

  static func noSnapshot(_ snapshot: String, of name: String) -> APIError {
    .notFound(
      "the instance `\(name)` has no snapshot `\(snapshot.prefix(100))`",
      wayOut: "`volary snapshot list \(name)` shows those that there are")
  }

  /// Without its size.
  private func object(_ snapshot: SnapshotRecord, of record: InstanceRecord) -> SnapshotObject {
    var then = record
    (then.config, then.devices, then.profiles) = (snapshot.config, snapshot.devices, snapshot.profiles)
    let (profiles, known) = (profiles(of: record), Self.known(of: record))
    return SnapshotObject(
      name: snapshot.name, description: snapshot.description, createdAt: snapshot.createdAt,
      expiresAt: snapshot.expiresAt ?? .never, lastUsedAt: snapshot.lastUsedAt,
      architecture: snapshot.architecture, config: snapshot.config.merging(known) { own, _ in own },
      devices: snapshot.devices,
      expandedConfig: profiles.config(of: then).merging(known) { own, _ in own },
      expandedDevices: profiles.devices(of: then), profiles: snapshot.profiles, ephemeral: snapshot.ephemeral,
      stateful: snapshot.stateful)
  }

  // MARK: - Making

  func makeSnapshot(
    of name: String, project: String, _ post: SnapshotsPost, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(name, project: project)
    let isStateful = post.stateful ?? false
    if isStateful, machines[record.id] == nil {
      throw APIError.conflict(
        "the instance `\(name)` does not run, and has no memory to keep",
        wayOut: "make one without --stateful")
    }
    let settings = try settings(of: record)
    let snapshot = try await chooseName(post.name, of: record, settings)
    try await checkPool(record.pool)
    let expiry =
      post.expiresAt.map { $0 == .never ? nil : $0 }
      ?? settings.snapshotExpiry.map { Timestamp.now.advanced(seconds: $0.seconds) }
    let description = post.description
    let path = Self.path(record, snapshot: snapshot)
    return try await services.operations.create(
      "Snapshotting instance", project: project,
      resources: ["instances": [Self.path(record)], "instances_snapshots": [path]], requestor: identity
    ) { _ in
      try await self.takeSnapshot(
        of: record.id, name: snapshot, description, expiresAt: expiry, isStateful: isStateful)
      return [:]
    }
  }

  /// Makes a snapshot, and tells of it.
  func takeSnapshot(
    of id: String, name: String, _ description: String? = nil, expiresAt: Timestamp?, isStateful: Bool = false
  ) async throws {
    let record = try await current(id)
    try await exclusively(record, "snapshotted") {
      // As it is now that nothing else is done to it.
      let record = try await self.current(id)
      if try await self.services.store.read({ try SnapshotRecord.find($0, of: id, name: name) }) != nil {
        throw Self.taken(name, of: record)
      }
      let snapshotID = LayerRecord.makeID()
      let kept = isStateful ? Keeping.Place.files(self.folder(of: record).kept(snapshotID)) : nil
      try await self.freeze(record, in: kept) { database, layer in
        let now = try InstanceRecord.fetchOne(database, key: id) ?? record
        try SnapshotRecord(
          id: snapshotID, of: now, name: name, description: description, expiresAt: expiresAt,
          stateful: isStateful, layer: layer
        ).insert(database)
      }
    }
    await tell("created", name, of: record)
  }

  private func chooseName(
    _ wanted: String?, of record: InstanceRecord, _ settings: InstanceSettings
  ) async throws -> String {
    let names = try await services.store.read { try SnapshotRecord.all($0, of: record.id).map(\.name) }
    guard let wanted, !wanted.isEmpty else {
      let name = settings.snapshotPattern.name(at: .now, among: Set(names))
      try ObjectName.check(name, of: "snapshot")
      return name
    }
    try ObjectName.check(wanted, of: "snapshot")
    if names.contains(wanted) { throw Self.taken(wanted, of: record) }
    return wanted
  }

  private static func taken(_ snapshot: String, of record: InstanceRecord) -> APIError {
    .conflict("the instance `\(record.name)` has a snapshot `\(snapshot)` already")
  }

  func current(_ id: String) async throws -> InstanceRecord {
    guard let record = try await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }) else {
      throw APIError.notFound("the instance is gone")
    }
    return record
  }

  // MARK: - Change

  func changeSnapshot(
    _ name: String, of instance: String, project: String,
    check: @escaping @Sendable (SnapshotObject) throws -> Void,
    _ body: @escaping @Sendable (inout SnapshotRecord) -> Void
  ) async throws {
    let record = try await find(instance, project: project)
    let object = try await snapshot(name, of: instance, project: project)
    try check(object)
    try await services.store.write { database in
      guard var snapshot = try SnapshotRecord.find(database, of: record.id, name: name) else {
        throw Self.noSnapshot(name, of: instance)
      }
      body(&snapshot)
      if snapshot.expiresAt == .never { snapshot.expiresAt = nil }
      try snapshot.update(database)
    }
    await tell("updated", name, of: record)
  }

  func renameSnapshot(_ name: String, of instance: String, project: String, to new: String) async throws {
    try ObjectName.check(new, of: "snapshot")
    let record = try await find(instance, project: project)
    try await services.store.write { database in
      guard var snapshot = try SnapshotRecord.find(database, of: record.id, name: name) else {
        throw Self.noSnapshot(name, of: instance)
      }
      if try SnapshotRecord.find(database, of: record.id, name: new) != nil {
        throw Self.taken(new, of: record)
      }
      snapshot.name = new
      try snapshot.update(database)
    }
    await tell("renamed", new, of: record, ["old_name": .string(name)])
  }

  func deleteSnapshot(
    _ name: String, of instance: String, project: String, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(instance, project: project)
    _ = try await snapshot(name, of: instance, project: project)
    return try await services.operations.create(
      "Deleting snapshot", project: project,
      resources: [
        "instances": [Self.path(record)], "instances_snapshots": [Self.path(record, snapshot: name)],
      ], requestor: identity
    ) { _ in
      try await self.removeSnapshot(name, of: record)
      return [:]
    }
  }

  /// Deletes a snapshot, and tells of it. What others stand on stays.
  func removeSnapshot(_ name: String, of record: InstanceRecord) async throws {
    try await exclusively(record, "relieved of a snapshot") {
      let gone: SnapshotRecord? = try await self.services.store.write { database in
        guard let snapshot = try SnapshotRecord.find(database, of: record.id, name: name) else {
          throw Self.noSnapshot(name, of: record.name)
        }
        try snapshot.delete(database)
        return snapshot
      }
      if let gone, gone.stateful {
        let kept = await self.kept(gone)
        try? await offThread("keep") { kept.remove() }
      }
      await self.collectLayers()
    }
    await tell("deleted", name, of: record)
  }

  func tell(
    _ action: String, _ snapshot: String, of record: InstanceRecord, _ context: [String: JSONValue] = [:]
  ) async {
    await services.events.lifecycle(
      "instance-snapshot-\(action)", source: Self.path(record, snapshot: snapshot), project: record.project,
      context: context)
  }
}
