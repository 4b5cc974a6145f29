internal import DiskImages
internal import Foundation
internal import GRDB
internal import Glibc
internal import Logging
internal import VolaryAPI
internal import VolaryHost

/// Backups of instances: files in their pools.
extension Instances {
  static func path(_ record: InstanceRecord, backup: String) -> String {
    "\(path(record))/backups/\(APIEndpoint.escaped(backup))"
  }

  nonisolated func path(of backup: BackupRecord) -> String {
    "\(pools.exports(in: backup.pool))/\(backup.id)"
  }

  // MARK: - What there is

  /// An instance's backups, oldest first.
  func backups(_ name: String, project: String) async throws -> [BackupObject] {
    let record = try await find(name, project: project)
    return try await services.store.read { database in
      try BackupRecord.all(database, of: record.id).filter { $0.state == .ready }
    }.map(\.object)
  }

  func backup(_ backup: String, of name: String, project: String) async throws -> BackupRecord {
    let record = try await find(name, project: project)
    let found = try await services.store.read { try BackupRecord.find($0, of: record.id, name: backup) }
    guard let found, found.state == .ready else {
      throw APIError.notFound(
        "the instance `\(name)` has no backup `\(backup.prefix(100))`",
        wayOut: "`volary backup list \(name)` shows those that there are")
    }
    return found
  }

  // MARK: - Making

  func makeBackup(
    of name: String, project: String, _ post: BackupsPost, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(name, project: project)
    let compression = try Self.compression(post)
    try await checkPool(record.pool)
    let taken = try await services.store.read { try BackupRecord.all($0, of: record.id).map(\.name) }
    let backup = BackupRecord(
      id: LayerRecord.makeID(), instance: record.id, name: try Self.backupName(post.name, taken),
      pool: record.pool, createdAt: .now, expiresAt: post.expiresAt.flatMap { $0 == .never ? nil : $0 },
      only: post.instanceOnly ?? false, size: 0, state: .making)
    try await services.store.write { database in
      if try BackupRecord.find(database, of: record.id, name: backup.name) != nil {
        throw Self.taken(backup.name)
      }
      try backup.insert(database)
    }
    do {
      return try await services.operations.create(
        "Backing up instance", project: project,
        resources: [
          "instances": [Self.path(record)], "backups": [Self.path(record, backup: backup.name)],
        ], mayCancel: true, requestor: identity
      ) { context in
        do { try await self.write(backup, of: record.id, compression, context) } catch {
          await self.forget(backup)
          throw context.isCancelled ? CancellationError() : error
        }
        await self.tell("created", backup: backup.name, of: record)
        return [:]
      }
    } catch {
      await forget(backup)
      throw error
    }
  }

  static func compression(_ post: BackupsPost) throws(APIError) -> ArchiveCompression {
    if post.optimizedStorage == true {
      throw APIError(.unprocessable, "the storage driver `dir` has no form of backups of its own")
    }
    guard let word = post.compressionAlgorithm, !word.isEmpty else { return .zstd }
    guard let compression = ArchiveCompression(rawValue: word) else {
      throw .invalid(
        "backups are not packed with `\(word.prefix(40))`", wayOut: "there are none, gzip and zstd")
    }
    return compression
  }

  static func backupName(_ wanted: String?, _ taken: [String]) throws(APIError) -> String {
    if let wanted, !wanted.isEmpty {
      try ObjectName.check(wanted, of: "backup")
      if taken.contains(wanted) { throw Self.taken(wanted) }
      return wanted
    }
    let number = (0...taken.count).first { !taken.contains("backup\($0)") } ?? taken.count
    return "backup\(number)"
  }

  static func taken(_ name: String) -> APIError { .conflict("there is a backup `\(name)` already") }

  /// Keeps what the instance is now, which takes as long as a snapshot does, and writes that.
  private func write(
    _ backup: BackupRecord, of id: String, _ compression: ArchiveCompression, _ context: OperationContext
  ) async throws {
    context.progress("keeping the disk")
    let record = try await current(id)
    defer { endExport(backup) }
    let export = try await exclusively(record, "backed up") {
      try await self.freeze(try await self.current(id))
      let layers = Set(try await self.holdings(of: id, only: backup.only).chains.joined().map(\.id))
      await self.note(layers, of: backup)
      try await self.leaveOffMerging(of: layers)
      // What was being put together may have been.
      let source = await self.source(try await self.holdings(of: id, only: backup.only))
      return try await offThread("backup") { try BackupExport(source) }
    }
    try await finish(backup, export, compression, context)
  }

  /// What a backup was made of may be put together again.
  func endExport(_ backup: BackupRecord) {
    exporting[backup.id] = nil
    Task { await mergeLayers() }
  }

  /// Writes a backup whose disks are open, and keeps it.
  func finish(
    _ backup: BackupRecord, _ export: BackupExport, _ compression: ArchiveCompression,
    _ context: OperationContext
  ) async throws {
    let (path, folder) = (path(of: backup), pools.exports(in: backup.pool))
    let size = try await offThread("backup") {
      try Self.makeExports(folder)
      do {
        let size = try export.write(to: path + ".new", compression, HostRoom(folder), context)
        guard Glibc.rename(path + ".new", path) == 0 else { throw APIError(.failed, "cannot write \(path)") }
        return size
      } catch {
        unlink(path + ".new")
        throw APIError(host: error)
      }
    }
    try await services.store.write { database in
      guard var now = try BackupRecord.fetchOne(database, key: backup.id) else {
        throw APIError.notFound("what was backed up was deleted meanwhile")
      }
      now.size = Int64(clamping: size)
      now.state = .ready
      try now.update(database)
    }
  }

  func note(_ layers: Set<String>, of backup: BackupRecord) { exporting[backup.id] = layers }

  /// What goes into a backup.
  private struct Holdings: Sendable {
    let record: InstanceRecord
    let snapshots: [SnapshotRecord]
    /// Beneath the layer that is written.
    let layer: String?
    /// The layers of all disks, nearest first.
    let chains: [[LayerRecord]]
  }

  /// Of an instance whose disk has just been frozen.
  private func holdings(of id: String, only: Bool) async throws -> Holdings {
    try await services.store.read { database in
      guard let record = try InstanceRecord.fetchOne(database, key: id) else {
        throw APIError.notFound("the instance is gone")
      }
      let snapshots = only ? [] : try SnapshotRecord.all(database, of: id)
      let own = try record.layer.map { Array(try LayerRecord.chain(database, from: $0).dropFirst()) } ?? []
      let others = try snapshots.compactMap(\.layer).map { try LayerRecord.chain(database, from: $0) }
      return Holdings(
        record: record, snapshots: snapshots, layer: own.first?.id,
        chains: (others + [own]).filter { !$0.isEmpty })
    }
  }

  private func source(_ holdings: Holdings) -> BackupExport.Source {
    let (record, folder) = (holdings.record, folder(of: holdings.record))
    return .init(
      name: record.name, type: "virtual-machine", project: record.project, pool: record.pool,
      instance: .init(record), snapshots: holdings.snapshots.map(BackupExport.Source.Snapshot.init),
      layer: holdings.layer, files: folder.ownFiles,
      chains: holdings.chains.map { $0.map(self.layer) })
  }

  nonisolated func layer(_ record: LayerRecord) -> BackupExport.Source.Layer {
    .init(id: record.id, path: path(of: record), format: record.format)
  }

  // MARK: - Change

  func renameBackup(_ name: String, of instance: String, project: String, to new: String) async throws {
    try ObjectName.check(new, of: "backup")
    let record = try await find(instance, project: project)
    let backup = try await backup(name, of: instance, project: project)
    try await services.store.write { database in
      if try BackupRecord.find(database, of: record.id, name: new) != nil { throw Self.taken(new) }
      guard var now = try BackupRecord.fetchOne(database, key: backup.id) else {
        throw APIError.notFound("the backup was deleted meanwhile")
      }
      now.name = new
      try now.update(database)
    }
    await tell("renamed", backup: new, of: record, ["old_name": .string(name)])
  }

  func deleteBackup(
    _ name: String, of instance: String, project: String, by identity: Identity
  ) async throws -> OperationObject {
    let record = try await find(instance, project: project)
    let backup = try await backup(name, of: instance, project: project)
    try await checkPool(backup.pool)
    return try await services.operations.create(
      "Deleting backup", project: project,
      resources: [
        "instances": [Self.path(record)], "backups": [Self.path(record, backup: backup.name)],
      ], requestor: identity
    ) { _ in
      await self.forget(backup)
      await self.tell("deleted", backup: backup.name, of: record)
      return [:]
    }
  }

  private func tell(
    _ action: String, backup: String, of record: InstanceRecord, _ context: [String: JSONValue] = [:]
  ) async {
    await services.events.lifecycle(
      "instance-backup-\(action)", source: Self.path(record, backup: backup), project: record.project,
      context: context)
  }
}

extension BackupRecord {
  static func all(_ database: Database, of instance: String) throws -> [BackupRecord] {
    try filter(CodingKeys.instance == instance).order(CodingKeys.createdAt, CodingKeys.name).fetchAll(
      database)
  }

  static func all(_ database: Database, ofVolume volume: String) throws -> [BackupRecord] {
    try filter(CodingKeys.volume == volume).order(CodingKeys.createdAt, CodingKeys.name).fetchAll(database)
  }

  static func find(_ database: Database, ofVolume volume: String, name: String) throws -> BackupRecord? {
    try filter(CodingKeys.volume == volume && CodingKeys.name == name).fetchOne(database)
  }

  static func find(_ database: Database, of instance: String, name: String) throws -> BackupRecord? {
    try filter(CodingKeys.instance == instance && CodingKeys.name == name).fetchOne(database)
  }

  var object: BackupObject {
    BackupObject(
      name: name, createdAt: createdAt, expiresAt: expiresAt ?? .never,
      instanceOnly: instance == nil ? nil : only, volumeOnly: instance == nil ? only : nil, size: size)
  }
}
