internal import DiskImages
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Backups of volumes, and volumes that are made of them again.
extension Instances {
  static func path(_ volume: VolumeRecord, backup: String) -> String {
    "\(path(pool: volume.pool, volume: volume.name))/backups/\(APIEndpoint.escaped(backup))"
  }

  func backups(of volume: VolumeRecord) async throws -> [BackupObject] {
    try await services.store.read {
      try BackupRecord.all($0, ofVolume: volume.id).filter { $0.state == .ready }
    }
    .map(\.object)
  }

  func backup(_ name: String, of volume: VolumeRecord) async throws -> BackupRecord {
    let found = try await services.store.read { try BackupRecord.find($0, ofVolume: volume.id, name: name) }
    guard let found, found.state == .ready else {
      throw APIError.notFound("the volume `\(volume.name)` has no backup `\(name.prefix(100))`")
    }
    return found
  }

  // MARK: - Making

  func makeBackup(
    of volume: VolumeRecord, _ post: BackupsPost, by identity: Identity
  ) async throws -> OperationObject {
    let compression = try Self.compression(post)
    try await checkPool(volume.pool)
    let taken = try await services.store.read { try BackupRecord.all($0, ofVolume: volume.id).map(\.name) }
    let backup = BackupRecord(
      id: LayerRecord.makeID(), instance: nil, volume: volume.id, name: try Self.backupName(post.name, taken),
      pool: volume.pool, createdAt: .now, expiresAt: post.expiresAt.flatMap { $0 == .never ? nil : $0 },
      only: post.volumeOnly ?? false, size: 0, state: .making)
    try await services.store.write { database in
      if try BackupRecord.find(database, ofVolume: volume.id, name: backup.name) != nil {
        throw Self.taken(backup.name)
      }
      try backup.insert(database)
    }
    do {
      return try await services.operations.create(
        "Backing up volume", project: volume.project,
        resources: [
          "storage_volumes": [Self.path(pool: volume.pool, volume: volume.name)],
          "backups": [Self.path(volume, backup: backup.name)],
        ], mayCancel: true, requestor: identity
      ) { context in
        do { try await self.write(backup, of: volume, compression, context) } catch {
          await self.forget(backup)
          throw context.isCancelled ? CancellationError() : error
        }
        await self.tell("backup-created", volume, ["backup": .string(backup.name)])
        return [:]
      }
    } catch {
      await forget(backup)
      throw error
    }
  }

  private func write(
    _ backup: BackupRecord, of volume: VolumeRecord, _ compression: ArchiveCompression,
    _ context: OperationContext
  ) async throws {
    context.progress("keeping the disk")
    defer { endExport(backup) }
    try await finish(backup, try await beginExport(backup, of: volume), compression, context)
  }

  private func beginExport(_ backup: BackupRecord, of volume: VolumeRecord) async throws -> BackupExport {
    try await exclusively(volume, "backed up", whileUsed: true) {
      try await self.freeze(volume) { _, _ in }
      let layers = Set(try await self.holdings(of: volume, only: backup.only).chains.joined().map(\.id))
      await self.note(layers, of: backup)
      try await self.leaveOffMerging(of: layers)
      // What was being put together may have been.
      let (snapshots, chains, layer) = try await self.holdings(of: volume, only: backup.only)
      var source = BackupExport.Source(
        name: volume.name, type: "custom", project: volume.project, pool: volume.pool, instance: nil,
        snapshots: snapshots.map(BackupExport.Source.Snapshot.init), layer: layer, files: [:],
        chains: chains.map { $0.map(self.layer) })
      source.volume = .init(description: volume.description, config: volume.config)
      let wanted = source
      return try await offThread("backup") { try BackupExport(wanted) }
    }
  }

  /// The snapshots of a volume that has just been frozen, the layers of all disks, nearest first, and its own.
  private func holdings(
    of volume: VolumeRecord, only: Bool
  ) async throws -> (snapshots: [VolumeSnapshotRecord], chains: [[LayerRecord]], layer: String?) {
    try await services.store.read { database in
      guard let now = try VolumeRecord.fetchOne(database, key: volume.id) else {
        throw APIError.notFound("the volume is gone")
      }
      let snapshots = only ? [] : try VolumeSnapshotRecord.all(database, of: volume.id)
      let own = Array(try LayerRecord.chain(database, from: now.layer).dropFirst())
      let others = try snapshots.map { try LayerRecord.chain(database, from: $0.layer) }
      return (snapshots, (others + [own]).filter { !$0.isEmpty }, own.first?.id)
    }
  }

  func renameBackup(_ name: String, of volume: VolumeRecord, to new: String) async throws {
    try ObjectName.check(new, of: "backup")
    let backup = try await backup(name, of: volume)
    try await services.store.write { database in
      if try BackupRecord.find(database, ofVolume: volume.id, name: new) != nil { throw Self.taken(new) }
      var now = backup
      now.name = new
      try now.update(database)
    }
  }

  // MARK: - Making again

  /// Checks what came, and begins to make a volume of it.
  func importVolume(
    _ upload: BackupUpload, name: String?, pool: String, project: String, by identity: Identity
  ) async throws -> OperationObject {
    let index = upload.index
    guard let what = index.volume, index.type == "custom", let own = index.disk else {
      throw APIError.invalid(
        "this is a backup of an instance, and of no volume", wayOut: "`volary import` makes an instance of it"
      )
    }
    let name = name.flatMap { $0.isEmpty ? nil : $0 } ?? index.name
    try ObjectName.check(name, of: "volume")
    for snapshot in index.snapshots { try ObjectName.check(snapshot.name, of: "snapshot") }
    _ = try VolumeSettings(what.config)
    let size = index.disks[own].size
    var config = what.config.filter { !$0.value.isEmpty }
    config["size"] = "\(ByteSize(bytes: UInt64(clamping: size)))"
    let volume = VolumeRecord(
      id: LayerRecord.makeID(), project: project, pool: pool, name: name, description: what.description,
      config: config, createdAt: .now, size: size, layer: "")
    try await services.store.read { try Self.check(volume, $0) }
    let ratios = try await ratios()
    try admit(volume, ratios)
    do {
      return try await services.operations.create(
        "Importing volume", project: project,
        resources: ["storage_volumes": [Self.path(pool: pool, volume: name)]], mayCancel: true,
        requestor: identity
      ) { context in
        do {
          try await self.make(volume, from: upload, context)
          await self.settle(volume)
        } catch {
          await self.settle(volume)
          throw context.isCancelled ? CancellationError() : APIError(host: error)
        }
        return [:]
      }
    } catch {
      settle(volume)
      throw error
    }
  }

  private func settle(_ volume: VolumeRecord) { pool.settleDisk(volume.id) }

  private func make(_ volume: VolumeRecord, from upload: BackupUpload, _ context: OperationContext)
    async throws
  {
    let room = HostRoom(try await exportsFolder(volume.pool))
    let reader = try await unpack(upload, room, context)
    let layers = try await unpackDisks(upload.index, reader, in: volume.pool, room, context)
    var made = volume
    made.layer = layers.last?.id ?? ""
    let snapshots = upload.index.snapshots.compactMap { snapshot in
      snapshot.disk.map { disk in
        VolumeSnapshotRecord(
          id: LayerRecord.makeID(), volume: volume.id, name: snapshot.name, description: snapshot.description,
          createdAt: snapshot.createdAt, expiresAt: snapshot.expiresAt, layer: layers[disk].id)
      }
    }
    do { try await keep(made, layers, snapshots: snapshots) } catch {
      await drop(layers)
      throw error
    }
    for layer in layers.dropLast() { protect(layer) }
    await tell("created", volume)
  }
}
