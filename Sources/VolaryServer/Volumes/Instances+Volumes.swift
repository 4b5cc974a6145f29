internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Volumes: disks in pools that are no instance's own, and are attached to instances as devices.
extension Instances {
  /// Bytes of one of whose size nothing is said.
  private static let usualSize: UInt64 = 10 << 30

  static func path(pool: String, volume: String) -> String {
    "/1.0/storage-pools/\(APIEndpoint.escaped(pool))/volumes/custom/\(APIEndpoint.escaped(volume))"
  }

  // MARK: - What there is

  func volume(_ name: String, in pool: String, project: String) async throws -> VolumeRecord {
    if pools.isServer(pool) { throw StorageServers.refusal(pool) }
    let found = try await services.store.read { database in
      try VolumeRecord.find(database, project: project, pool: pool, name: name)
    }
    guard let found else { throw Self.noVolume(name, in: pool) }
    return found
  }

  static func noVolume(_ name: String, in pool: String) -> APIError {
    .notFound(
      "the storage pool `\(pool.prefix(100))` has no volume `\(name.prefix(100))`",
      wayOut: "`volary storage volume list \(pool.prefix(100))` shows those that there are")
  }

  func state(of volume: VolumeRecord) async throws -> StorageVolumeState {
    let layer = try await services.store.read { try LayerRecord.fetchOne($0, key: volume.layer) }
    let path = layer.map(path) ?? pools.layer(volume.layer, in: volume.pool)
    let used = try await offThread("volume") { LayerFile.storedBytes(path) }
    return StorageVolumeState(usage: .init(used: used, total: volume.size))
  }

  // MARK: - Making

  /// Makes a volume in which nothing is.
  func makeVolume(_ post: StorageVolumesPost, in pool: String, project: String) async throws -> String {
    try ObjectName.check(post.name, of: "volume")
    try VolumeSettings.checkKind(post)
    var config = (post.config ?? [:]).filter { !$0.value.isEmpty }
    let size = try VolumeSettings(config).size ?? Self.usualSize
    config["size"] = config["size"] ?? "\(ByteSize(bytes: size))"
    let layer = LayerRecord(
      id: LayerRecord.makeID(), pool: pool, format: .raw, size: Int64(clamping: size) & ~511)
    let volume = VolumeRecord(
      id: LayerRecord.makeID(), project: project, pool: pool, name: post.name,
      description: post.description ?? "", config: config, createdAt: .now, size: layer.size, layer: layer.id)
    try await checkPool(pool)
    let ratios = try await ratios()
    try admit(volume, ratios)
    defer { self.pool.settleDisk(volume.id) }
    try await services.store.write { database in
      try Self.check(volume, database)
      try layer.insert(database)
    }
    do {
      try await makeFile(of: layer, over: nil)
      try await keep(volume, [layer])
    } catch {
      await drop(layer)
      throw APIError(host: error)
    }
    await tell("created", volume)
    return Self.path(pool: pool, volume: volume.name)
  }

  /// A volume that was made is there from here on, with its snapshots.
  func keep(
    _ volume: VolumeRecord, _ layers: [LayerRecord], snapshots: [VolumeSnapshotRecord] = []
  ) async throws {
    try await services.store.write { database in
      try Self.check(volume, database)
      try LayerRecord.keep(layers, database)
      try volume.insert(database)
      for snapshot in snapshots { try snapshot.insert(database) }
    }
  }

  /// Sets disk space aside for what a volume is to be, until ``HostPool/settleDisk(_:)``.
  func admit(_ volume: VolumeRecord, old: Int64 = 0, _ ratios: OvercommitRatios) throws {
    try pool.promiseDisk(
      volume.size, old: old, to: volume.id, name: volume.name, others: storedDisks(), capacity, ratios)
  }

  /// Throws where a volume cannot be kept: its name is taken, or its project would have more than it may.
  static func check(_ volume: VolumeRecord, _ database: Database) throws {
    guard let project = try ProjectRecord.fetchOne(database, key: volume.project) else {
      throw APIError.notFound("there is no project `\(volume.project)`")
    }
    if try !StoragePoolRecord.exists(database, key: volume.pool) {
      throw APIError.notFound("there is no storage pool `\(volume.pool)`")
    }
    let other = try VolumeRecord.find(
      database, project: volume.project, pool: volume.pool, name: volume.name)
    if let other, other.id != volume.id {
      throw APIError.conflict("the storage pool `\(volume.pool)` has a volume `\(volume.name)` already")
    }
    try InstanceQuota.check(project, adding: volume, database)
  }

  // MARK: - Change

  /// Sets what a volume is. It may become larger, also while a machine has it.
  func changeVolume(
    _ name: String, in pool: String, project: String, _ edit: @Sendable (inout VolumeRecord) throws -> Void
  ) async throws {
    let volume = try await volume(name, in: pool, project: project)
    try await exclusively(volume, "changed", whileUsed: true) {
      let old = try await self.volume(name, in: pool, project: project)
      var new = old
      try edit(&new)
      new.config = new.config.filter { !$0.value.isEmpty }
      if new.config["size"] == nil { new.config["size"] = old.config["size"] }
      let settings = try VolumeSettings(new.config)
      new.size = max(old.size, settings.size.map { Int64(clamping: $0) & ~511 } ?? 0)
      if let size = settings.size, Int64(clamping: size) & ~511 < old.size {
        throw APIError.invalid(
          "a volume cannot become smaller, and `\(name)` has \(ByteSize(bytes: UInt64(clamping: old.size)))",
          wayOut: "make another one and copy within a guest")
      }
      if old.isShared, !new.isShared, try self.users(of: old).count > 1 {
        throw APIError.conflict(
          "several instances have the volume `\(name)` attached", wayOut: "detach it from all but one first")
      }
      if new.size > old.size { try await self.grow(old, to: new) }
      let changed = new
      try await self.services.store.write { database in
        guard var now = try VolumeRecord.fetchOne(database, key: old.id) else {
          throw Self.noVolume(name, in: pool)
        }
        (now.description, now.config) = (changed.description, changed.config)
        try now.update(database)
      }
    }
    await tell("updated", volume)
  }

  private func grow(_ old: VolumeRecord, to new: VolumeRecord) async throws {
    try await checkPool(old.pool)
    let ratios = try await ratios()
    try admit(new, old: old.size, ratios)
    defer { pool.settleDisk(new.id) }
    try await services.store.write { try Self.check(new, $0) }
    if let user = try runningUser(of: old) { return try await growRunning(old, of: user, to: new.size) }
    guard let layer = try await services.store.read({ try LayerRecord.fetchOne($0, key: old.layer) }) else {
      throw APIError(.failed, "the disk of the volume is gone")
    }
    let size = new.size
    if layer.format == .raw, !pools.isMirrored(layer.pool) {
      let path = path(of: layer)
      try await offThread("grow") { try LayerFile.growRaw(path, to: UInt64(clamping: size)) }
      try await services.store.write { try old.resize(to: size, $0) }
    } else {
      try await leaveOffMerging(of: [layer.id])
      guard let top = try await makeLayer(over: layer, size: UInt64(clamping: size)) else { return }
      try await services.store.write { try Self.set(top, size, of: new.id, $0) }
      await seal(layer)
    }
  }

  /// Makes a layer a volume's own.
  static func set(_ layer: LayerRecord, _ size: Int64, of volume: String, _ database: Database) throws {
    try database.execute(
      sql: "UPDATE layers SET state = 'ready' WHERE id = ? AND state IN ('making', 'handed')",
      arguments: [layer.id])
    try database.execute(
      sql: "UPDATE volumes SET layer = ?, size = ? WHERE id = ?", arguments: [layer.id, size, volume])
  }

  func renameVolume(_ name: String, in pool: String, project: String, to post: StorageVolumePost) async throws
  {
    if let other = post.pool, !other.isEmpty, other != pool {
      throw APIError(
        .unprocessable, "a volume stays in its storage pool", wayOut: "export and import it there")
    }
    try ObjectName.check(post.name, of: "volume")
    let volume = try await volume(name, in: pool, project: project)
    try await exclusively(volume, "renamed", whileUsed: true) {
      try await self.services.store.write { database in
        if let user = try VolumeUse.users(of: volume, database).first {
          throw VolumeUse.attached(volume, to: user)
        }
        guard var now = try VolumeRecord.fetchOne(database, key: volume.id) else {
          throw Self.noVolume(name, in: pool)
        }
        now.name = post.name
        try Self.check(now, database)
        try now.update(database)
      }
    }
    var renamed = volume
    renamed.name = post.name
    await tell("renamed", renamed, ["old_name": .string(name)])
  }

  func deleteVolume(_ name: String, in pool: String, project: String) async throws {
    let volume = try await volume(name, in: pool, project: project)
    try await checkPool(pool)
    try await exclusively(volume, "deleted", whileUsed: true) {
      await self.removeBackupFiles(of: volume)
      try await self.services.store.write { database in
        if let user = try VolumeUse.users(of: volume, database).first {
          throw VolumeUse.attached(volume, to: user)
        }
        try volume.delete(database)
      }
      await self.collectLayers()
    }
    await tell("deleted", volume)
  }

  // MARK: - One thing at a time

  /// Does something to a volume that nothing else may be done to meanwhile; unless `whileUsed`, while no machine has it.
  func exclusively<Value: Sendable>(
    _ volume: VolumeRecord, _ what: String, whileUsed: Bool = false,
    _ body: @Sendable () async throws -> Value
  ) async throws -> Value {
    await leaveCommit(volume.id)
    try checkIdle(volume.id, volume.name)
    if !whileUsed, let user = try runningUser(of: volume) {
      throw APIError.conflict(
        "the instance `\(user.name)` runs, and has the volume `\(volume.name)`", wayOut: "stop it first")
    }
    busyVolumes[volume.id] = what
    defer {
      busyVolumes[volume.id] = nil
      Task { await mergeLayers() }
    }
    return try await body()
  }

  private func checkIdle(_ id: String, _ name: String) throws {
    if let other = busyVolumes[id] {
      throw APIError.conflict("the volume `\(name)` is being \(other)", wayOut: "try again when that is done")
    }
  }

  /// An instance whose machine has a volume, or is about to.
  func runningUser(of volume: VolumeRecord) throws -> InstanceRecord? {
    let ids = idsInUse
    return try users(of: volume).first { ids.contains($0.id) }
  }

  nonisolated func users(of volume: VolumeRecord) throws -> [InstanceRecord] {
    try services.store.readNow { try VolumeUse.users(of: volume, $0) }
  }

  /// The disks of the volumes that an instance's devices name, for its machine. Only within
  /// ``exclusively(_:_:_:)``, so that nothing that changes a volume begins meanwhile.
  func attachedDisks(_ record: InstanceRecord, _ settings: InstanceSettings) async throws -> [InstancePlan
    .Volume]
  {
    var disks: [InstancePlan.Volume] = []
    for device in settings.volumes where !pools.isServer(device.pool) {
      let volume = try await volume(device.source, in: device.pool, project: record.project)
      await leaveOffRebuilding(of: volume.id)
      try checkIdle(volume.id, volume.name)
      try await checkPool(volume.pool)
      let chain = try await services.store.read { try LayerRecord.chain($0, from: volume.layer) }
      try await leaveOffMerging(of: Set(chain.map(\.id)))
      await sealBeneath(volume.layer)
      let now = try await services.store.read { try LayerRecord.chain($0, from: volume.layer) }
      guard let files = files(now) else { throw APIError(.failed, "the disk of the volume is gone") }
      if !device.isReadOnly { try checkMirror(files, record, pool: volume.pool) }
      disks.append(.init(disk: files, serial: device.serial, isReadOnly: device.isReadOnly))
    }
    return disks
  }

  /// Throws where a machine that runs would have others than it has.
  func checkVolumes(_ record: InstanceRecord, _ old: InstanceSettings?, _ new: InstanceSettings?) throws {
    guard machines[record.id] != nil, let new, new.volumes != old?.volumes ?? [] else { return }
    throw APIError.conflict(
      "the instance `\(record.name)` runs, and volumes are attached and detached while it does not",
      wayOut: "stop it first")
  }

  func tell(_ action: String, _ volume: VolumeRecord, _ context: [String: JSONValue] = [:]) async {
    await services.events.lifecycle(
      "storage-volume-\(action)", source: Self.path(pool: volume.pool, volume: volume.name),
      project: volume.project, context: context)
  }
}
