internal import Foundation
internal import GRDB
internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Volumes at one moment, and volumes that are made as others are.
extension Instances {
  // MARK: - What there is

  func volumeSnapshots(of volume: VolumeRecord) async throws -> [StorageVolumeSnapshotObject] {
    let (snapshots, sizes) = try await services.store.read { database in
      let all = try VolumeSnapshotRecord.all(database, of: volume.id)
      return (all, try all.map { try LayerRecord.fetchOne(database, key: $0.layer)?.size ?? 0 })
    }
    return zip(snapshots, sizes).map { snapshot, size in
      StorageVolumeSnapshotObject(
        name: snapshot.name, description: snapshot.description, createdAt: snapshot.createdAt,
        expiresAt: snapshot.expiresAt ?? .never,
        config: ["size": "\(ByteSize(bytes: UInt64(clamping: size)))"])
    }
  }

  static func noSnapshot(_ snapshot: String, of volume: VolumeRecord) -> APIError {
    .notFound("the volume `\(volume.name)` has no snapshot `\(snapshot.prefix(100))`")
  }

  // MARK: - Making

  func makeVolumeSnapshot(
    of volume: VolumeRecord, _ post: SnapshotsPost, by identity: Identity
  ) async throws -> OperationObject {
    let settings = try VolumeSettings(volume.config)
    let taken = try await services.store.read { try VolumeSnapshotRecord.all($0, of: volume.id).map(\.name) }
    let wanted = post.name.flatMap { $0.isEmpty ? nil : $0 }
    let name = wanted ?? settings.snapshotPattern.name(at: .now, among: Set(taken))
    try ObjectName.check(name, of: "snapshot")
    if taken.contains(name) { throw Self.taken(name, of: volume) }
    let expiry =
      post.expiresAt.map { $0 == .never ? nil : $0 }
      ?? settings.snapshotExpiry.map { Timestamp.now.advanced(seconds: $0.seconds) }
    try await checkPool(volume.pool)
    return try await services.operations.create(
      "Snapshotting volume", project: volume.project,
      resources: [
        "storage_volumes": [Self.path(pool: volume.pool, volume: volume.name)],
        "storage_volume_snapshots": [Self.path(volume, snapshot: name)],
      ], requestor: identity
    ) { _ in
      try await self.exclusively(volume, "snapshotted", whileUsed: true) {
        try await self.freeze(volume) { database, layer in
          if try VolumeSnapshotRecord.find(database, of: volume.id, name: name) != nil {
            throw Self.taken(name, of: volume)
          }
          try VolumeSnapshotRecord(
            id: LayerRecord.makeID(), volume: volume.id, name: name, description: post.description ?? "",
            createdAt: .now, expiresAt: expiry, layer: layer
          ).insert(database)
        }
      }
      await self.tell("snapshot-created", volume, ["snapshot": .string(name)])
      return [:]
    }
  }

  static func path(_ volume: VolumeRecord, snapshot: String) -> String {
    "\(path(pool: volume.pool, volume: volume.name))/snapshots/\(APIEndpoint.escaped(snapshot))"
  }

  private static func taken(_ snapshot: String, of volume: VolumeRecord) -> APIError {
    .conflict("the volume `\(volume.name)` has a snapshot `\(snapshot)` already")
  }

  /// Has the layer that is written never be written again, and gives the volume another. `also` is kept in the same
  /// step, with that layer. Only within ``exclusively(_:_:whileUsed:_:)``.
  func freeze(
    _ volume: VolumeRecord, also: @escaping @Sendable (Database, _ layer: String) throws -> Void
  ) async throws {
    let top = try await services.store.read { database in
      try VolumeRecord.fetchOne(database, key: volume.id).flatMap {
        try LayerRecord.fetchOne(database, key: $0.layer)
      }
    }
    guard let top else { throw APIError.notFound("the volume is gone") }
    guard let user = try runningWriter(of: volume) else {
      try await leaveOffMerging(of: [top.id])
      if let beneath = try await whatIsBeneathEmpty(top) {
        return try await services.store.write { try also($0, beneath) }
      }
      guard let next = try await makeLayer(over: top) else {
        throw APIError(.failed, "the volume's disk is gone")
      }
      do {
        try await services.store.write { database in
          try Self.set(next, next.size, of: volume.id, database)
          try also(database, top.id)
        }
      } catch {
        await drop(next)
        throw error
      }
      return await seal(top)
    }
    try await exclusively(user, "snapshotted") {
      guard await self.machines[user.id] != nil, let device = Self.device(of: volume, in: user) else {
        throw APIError.conflict(
          "the instance `\(user.name)` is about to start", wayOut: "try again when it runs")
      }
      guard let next = try await self.makeLayer(over: top) else {
        throw APIError(.failed, "the volume's disk is gone")
      }
      try await self.handOver(next, of: volume, device, to: user)
      // The machine has it, whatever else becomes of this.
      try await self.services.store.write { try Self.set(next, next.size, of: volume.id, $0) }
      await self.seal(top)
      try await self.services.store.write { try also($0, top.id) }
    }
  }

  /// An instance whose machine writes to a volume, or is about to; there is one at most. Those that only read it go on
  /// with what it is now.
  func runningWriter(of volume: VolumeRecord) throws -> InstanceRecord? {
    let ids = idsInUse
    return try users(of: volume).first {
      ids.contains($0.id) && Self.device(of: volume, in: $0)?.isReadOnly == false
    }
  }

  static func device(of volume: VolumeRecord, in user: InstanceRecord) -> VolumeDevice? {
    user.devices.sorted { $0.key < $1.key }.lazy.compactMap { VolumeDevice(name: $0.key, $0.value) }.first {
      $0.pool == volume.pool && $0.source == volume.name
    }
  }

  /// Has a machine go on in another file. When this throws it has not, or the layer waits for
  /// ``settleHandedVolumes(of:isRunning:)``.
  private func handOver(
    _ next: LayerRecord, of volume: VolumeRecord, _ device: VolumeDevice, to user: InstanceRecord
  ) async throws {
    let files = try await filesToHandOver(next)
    guard let machine = machines[user.id], let chain = files else { return }
    do {
      var descriptors: [Descriptor] = []
      // Its machine locks them.
      let disk = try OpenedDisk(chain, of: user.name, locks: false)
        .disk(serial: device.serial, behind: &descriptors)
      try await machine.link.checkpoint(Checkpoint(disks: [disk]), descriptors: descriptors)
    } catch ControlError.closed {
      // It has ended meanwhile. What it wrote last may be in either.
    } catch ControlError.timedOut {
      throw APIError(
        .timedOut, "the machine of `\(user.name)` has not said in time whether the volume could be kept")
    } catch {
      await drop(next)
      throw APIError(host: error)
    }
  }

  /// Of layers of volumes that were handed to an instance's machine by one who did not learn what became of them.
  func settleHandedVolumes(of id: String, isRunning: Bool) async throws {
    let handed = try await services.store.read { database in
      try (InstanceRecord.fetchOne(database, key: id).map { try VolumeUse.volumes(of: $0, database) } ?? [])
        .flatMap { volume in
          try LayerRecord.fetchAll(
            database, sql: "SELECT * FROM layers WHERE parent = ? AND state = 'handed'",
            arguments: [volume.layer]
          ).map { (volume.id, $0) }
        }
    }
    for (volume, layer) in handed {
      if isRunning, try await !isLocked(layer) {
        await drop(layer)
      } else {
        try await services.store.write { try Self.set(layer, layer.size, of: volume, $0) }
        if let parent = layer.parent,
          let beneath = try await services.store.read({ try LayerRecord.fetchOne($0, key: parent) })
        {
          await seal(beneath)
        }
      }
    }
  }

  // MARK: - Change

  func changeVolumeSnapshot(
    _ name: String, of volume: VolumeRecord, _ edit: @escaping @Sendable (inout VolumeSnapshotRecord) -> Void
  ) async throws {
    try await services.store.write { database in
      guard var snapshot = try VolumeSnapshotRecord.find(database, of: volume.id, name: name) else {
        throw Self.noSnapshot(name, of: volume)
      }
      edit(&snapshot)
      if snapshot.expiresAt == .never { snapshot.expiresAt = nil }
      if snapshot.name != name {
        try ObjectName.check(snapshot.name, of: "snapshot")
        if try VolumeSnapshotRecord.find(database, of: volume.id, name: snapshot.name) != nil {
          throw Self.taken(snapshot.name, of: volume)
        }
      }
      try snapshot.update(database)
    }
    await tell("snapshot-updated", volume, ["snapshot": .string(name)])
  }

  func deleteVolumeSnapshot(_ name: String, of volume: VolumeRecord) async throws {
    try await exclusively(volume, "relieved of a snapshot", whileUsed: true) {
      try await self.services.store.write { database in
        guard let snapshot = try VolumeSnapshotRecord.find(database, of: volume.id, name: name) else {
          throw Self.noSnapshot(name, of: volume)
        }
        try snapshot.delete(database)
      }
      await self.collectLayers()
    }
    await tell("snapshot-deleted", volume, ["snapshot": .string(name)])
  }

  /// Makes a volume again what it was; it stays as large as it is.
  func restoreVolume(_ volume: VolumeRecord, _ wanted: String) async throws {
    let name = wanted.hasPrefix(volume.name + "/") ? String(wanted.dropFirst(volume.name.count + 1)) : wanted
    try await checkPool(volume.pool)
    try await exclusively(volume, "restored") {
      let found = try await self.services.store.read { database in
        try VolumeSnapshotRecord.find(database, of: volume.id, name: name).flatMap {
          try LayerRecord.fetchOne(database, key: $0.layer)
        }
      }
      guard let layer = found,
        let next = try await self.makeLayer(over: layer, size: UInt64(clamping: volume.size))
      else { throw Self.noSnapshot(name, of: volume) }
      try await self.services.store.write { try Self.set(next, next.size, of: volume.id, $0) }
      await self.collectLayers()
    }
    await tell("restored", volume, ["snapshot": .string(name)])
  }

  func removeExpiredVolumeSnapshots() async {
    let now = Timestamp.now
    let expired = try? await services.store.read { database in
      try VolumeSnapshotRecord.filter(VolumeSnapshotRecord.CodingKeys.expiresAt <= now).fetchAll(database)
        .compactMap { snapshot in
          try VolumeRecord.fetchOne(database, key: snapshot.volume).map { ($0, snapshot.name) }
        }
    }
    for (volume, name) in expired ?? [] { try? await deleteVolumeSnapshot(name, of: volume) }
  }

  // MARK: - Copies

  /// Makes a volume as another is, or was. No data is copied: both stand on the same layers.
  func copyVolume(
    _ post: StorageVolumesPost, in pool: String, project: String, by identity: Identity
  ) async throws -> OperationObject {
    try ObjectName.check(post.name, of: "volume")
    guard let source = post.source, let text = source.name, !text.isEmpty else {
      throw APIError.invalid("a copy needs to know of what", wayOut: "name it as `source`")
    }
    if source.refresh == true {
      throw APIError(
        .unprocessable, "a copy cannot be brought up to date", wayOut: "delete it and copy again")
    }
    if let other = source.pool, !other.isEmpty, other != pool {
      throw APIError(
        .unprocessable, "a copy of a volume lies in its storage pool, which is `\(other.prefix(100))`",
        wayOut: "export it and import it into the other")
    }
    let place = source.project.flatMap { $0.isEmpty ? nil : $0 } ?? project
    guard identity.reaches(project: place) else {
      throw APIError.denied("you are not of the project `\(place)`")
    }
    let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
    let original = try await volume(parts[0], in: pool, project: place)
    var config = original.config.merging(post.config ?? [:]) { _, given in given }.filter {
      !$0.value.isEmpty
    }
    let size = try VolumeSettings(config).size.map { Int64(clamping: $0) & ~511 } ?? 0
    if size < original.size { config["size"] = "\(ByteSize(bytes: UInt64(clamping: original.size)))" }
    let new = VolumeRecord(
      id: LayerRecord.makeID(), project: project, pool: pool, name: post.name,
      description: post.description ?? original.description, config: config, createdAt: .now,
      size: max(size, original.size), layer: "")
    try await checkPool(pool)
    try await services.store.read { try Self.check(new, $0) }
    let (snapshot, only) = (parts.count == 2 ? parts[1] : nil, source.volumeOnly ?? false)
    return try await services.operations.create(
      "Copying volume", project: project,
      resources: ["storage_volumes": [Self.path(pool: pool, volume: new.name)]], requestor: identity
    ) { _ in
      try await self.copy(original, snapshot, to: new, only: only)
      await self.tell("created", new)
      return [:]
    }
  }

  private func copy(
    _ original: VolumeRecord, _ snapshot: String?, to new: VolumeRecord, only: Bool
  ) async throws {
    let ratios = try await ratios()
    try admit(new, ratios)
    defer { pool.settleDisk(new.id) }
    try await exclusively(original, "copied", whileUsed: true) {
      let base: LayerRecord?
      if let snapshot {
        base = try await self.services.store.read { database in
          guard let found = try VolumeSnapshotRecord.find(database, of: original.id, name: snapshot) else {
            throw Self.noSnapshot(snapshot, of: original)
          }
          return try LayerRecord.fetchOne(database, key: found.layer)
        }
      } else {
        try await self.freeze(original) { _, _ in }
        base = try await self.services.store.read { database in
          guard let now = try VolumeRecord.fetchOne(database, key: original.id) else { return nil }
          return try LayerRecord.chain(database, from: now.layer).dropFirst().first
        }
      }
      guard let base, let top = try await self.makeLayer(over: base, size: UInt64(clamping: new.size)) else {
        throw APIError(.failed, "the volume's disk is gone")
      }
      var made = new
      made.layer = top.id
      let kept =
        snapshot != nil || only
        ? []
        : try await self.services.store.read {
          try VolumeSnapshotRecord.all($0, of: original.id)
        }
      let snapshots = kept.map { other in
        VolumeSnapshotRecord(
          id: LayerRecord.makeID(), volume: new.id, name: other.name, description: other.description,
          createdAt: other.createdAt, expiresAt: other.expiresAt, layer: other.layer)
      }
      do { try await self.keep(made, [top], snapshots: snapshots) } catch {
        await self.drop(top)
        throw error
      }
    }
  }
}
