internal import Foundation
internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

extension Instances {
  // MARK: - Creation

  /// Checks what was asked for, and begins to make it.
  func create(_ post: InstancesPost, project: String, by identity: Identity) async throws -> OperationObject {
    if post.type == .container { throw APIError(.unprocessable, "containers are not there yet") }
    let image = try await findImage(post)
    let name = try await chooseName(post.name, project: project)
    guard let architecture = MachineConfiguration.Architecture(image.record.architecture) else {
      throw APIError.invalid("no engine runs guests for \(image.record.architecture.rawValue) yet")
    }
    var record = InstanceRecord(
      id: UUID().uuidString.lowercased(), project: project, name: name, description: post.description ?? "",
      architecture: architecture == .amd64 ? "x86_64" : "riscv64", config: post.config ?? [:],
      devices: post.devices ?? [:], profiles: post.profiles ?? [ProfileRecord.default],
      ephemeral: post.ephemeral ?? false, imageAlias: image.record.name)
    try profiles(of: record).check(record.profiles)
    let settings = try settings(of: record)
    if let size = settings.diskSize, let least = image.record.diskSize, size < UInt64(least) {
      throw APIError.invalid(
        "the root disk of \(ByteSize(bytes: size)) is smaller than the image's",
        wayOut: "give at least \(ByteSize(bytes: UInt64(least)))")
    }
    try Self.checkCloudInit(record, image)
    record.volatile[Volatile.imageDiskSize] = image.record.diskSize.map { "\($0)" }
    record.pool = settings.pool ?? StoragePoolRecord.default
    let (new, diskSize) = (record, settings.diskSize)
    return try await begin(
      record, settings, "Creating instance", starts: post.start ?? false, by: identity
    ) { context in try await self.make(new, image, diskSize, context) }
  }

  /// Keeps a new instance's row, and begins what makes it.
  func begin(
    _ record: InstanceRecord, _ settings: InstanceSettings, _ description: String, starts: Bool,
    by identity: Identity, _ make: @escaping @Sendable (OperationContext) async throws -> Void
  ) async throws -> OperationObject {
    var record = record
    record.bootAutostart = settings.autostart ?? false
    record.bootPriority = settings.priority
    record.volatile[Volatile.pending] = Pending.creation.rawValue
    try await checkNetwork(settings)
    try await checkPool(record.pool)
    Self.nameCard(&record, settings)
    let new = record
    try admitDisk(new, settings, try await ratios())
    defer { pool.settleDisk(new.id) }
    try await services.store.write { database in
      guard let project = try ProjectRecord.fetchOne(database, key: new.project) else {
        throw APIError.notFound("there is no project `\(new.project)`")
      }
      if try !StoragePoolRecord.exists(database, key: new.pool) {
        throw APIError.notFound("there is no storage pool `\(new.pool)`")
      }
      let profiles = try ProfileSet(database, project: new.project)
      try profiles.check(new.profiles)
      try VolumeUse.check(new, settings, database)
      try InstanceQuota.check(project, adding: new, settings, profiles, database)
      if try InstanceRecord.find(database, project: new.project, name: new.name) != nil {
        throw APIError.conflict("there is an instance `\(new.name)` already")
      }
      try new.insert(database)
    }
    do {
      return try await services.operations.create(
        description, project: new.project, resources: ["instances": [Self.path(new)]], requestor: identity
      ) { context in
        try await make(context)
        if starts { try await self.start(new.id, context) }
        return [:]
      }
    } catch {
      try? await services.store.write { _ = try new.delete($0) }
      throw error
    }
  }

  /// What only cloud-init reads is for images that have it; what a profile says to all, others do not heed.
  private static func checkCloudInit(_ record: InstanceRecord, _ image: StoredImage) throws {
    guard let packages = image.record.packages, packages["cloud-init"] == nil,
      let key = ["user-data", "vendor-data", "network-config"].map({ "cloud-init.\($0)" })
        .first(where: { record.config[$0]?.isEmpty == false })
    else { return }
    throw APIError(
      .unprocessable, "the image \(image.record.name) has no cloud-init, which reads `\(key)`",
      wayOut: "build one with `volary image build --package cloud-init --package systemd-sysv --package udev`"
    )
  }

  private func findImage(_ post: InstancesPost) async throws -> StoredImage {
    if post.source.type == "image", let fingerprint = post.source.fingerprint, !fingerprint.isEmpty {
      let images = images
      return try await offThread("image") { try images.find(fingerprint: fingerprint).stored }
    }
    guard post.source.type == "image", let alias = post.source.alias, !alias.isEmpty else {
      throw APIError.invalid(
        "an instance is made from an image, or is a copy of another",
        wayOut: "name one: {\"type\": \"image\", \"alias\": \"debian/13\"}")
    }
    let images = images
    let wanted = post.architecture.flatMap { $0.isEmpty ? nil : $0 }
    return try await offThread("image") {
      do {
        let name = try ImageName(alias)
        let architecture =
          try wanted.map { try GuestArchitecture(parsing: $0 == "x86_64" ? "amd64" : $0) }
          ?? images.architecture(of: name) ?? .usual
        return try images.find(name, architecture)
      } catch { throw APIError(host: error) }
    }
  }

  /// Makes an instance's disk over the image's, and what else it has. What fails leaves no instance.
  private func make(
    _ record: InstanceRecord, _ image: StoredImage, _ diskSize: UInt64?, _ context: OperationContext
  ) async throws {
    let folder = folder(of: record)
    do {
      try await exclusively(record, "created") {
        context.progress("making the disk")
        try await offThread("make") {
          do { try folder.make(kernel: image.kernel?.path, initrd: image.initrd?.path) } catch {
            throw APIError(host: error)
          }
        }
        try await self.keepNew(record, try await self.makeDisk(from: image, in: record.pool, size: diskSize))
      }
    } catch {
      await discard(record)
      throw error
    }
    await tell("created", record)
  }

  /// An instance that was made is there from here on. Its disk goes when it cannot be kept. A fork's guest takes its card
  /// for that of the instance that it comes of, until it is told.
  func keepNew(
    _ record: InstanceRecord, _ disk: LayerRecord?, snapshots: [SnapshotRecord] = [],
    layers: [LayerRecord] = [], forkedFrom original: InstanceRecord? = nil
  ) async throws {
    do {
      let address = try original.map { try hardwareAddress(of: $0) }
      try await services.store.write { database in
        guard var made = try InstanceRecord.fetchOne(database, key: record.id) else {
          throw APIError.notFound("the instance is gone")
        }
        made.volatile[Volatile.pending] = nil
        made.volatile[Volatile.forked] = address
        try made.update(database)
        if let disk { try Self.keep(disk, as: record.id, database) }
        try LayerRecord.keep(layers, database)
        for snapshot in snapshots { try SnapshotRecord(snapshot, of: record.id).insert(database) }
      }
    } catch {
      if let disk { await drop(disk) }
      throw error
    }
  }

  func chooseName(_ wanted: String?, project: String) async throws -> String {
    if let wanted, !wanted.isEmpty {
      try InstanceName.check(wanted)
      return wanted
    }
    for _ in 0..<100 {
      let name = InstanceName.random()
      let isTaken = try await services.store.read {
        try InstanceRecord.find($0, project: project, name: name) != nil
      }
      if !isTaken { return name }
    }
    throw APIError.conflict("no free name was found", wayOut: "give one")
  }

  // MARK: - Change

  func rename(_ name: String, to new: String, project: String) async throws {
    try InstanceName.check(new)
    let record = try await find(name, project: project)
    try await exclusively(record, "renamed") {
      if await self.machines[record.id] != nil {
        throw APIError.conflict("the instance `\(name)` runs", wayOut: "stop it first")
      }
      try await self.services.store.write { database in
        if try InstanceRecord.find(database, project: project, name: new) != nil {
          throw APIError.conflict("there is an instance `\(new)` already")
        }
        var record = record
        record.name = new
        try record.update(database)
      }
    }
    await services.events.lifecycle(
      "instance-renamed", source: Self.path(new), project: project, context: ["old_name": .string(name)])
  }

  /// Sets configuration and devices. What the host gives a running machine changes at once; what it is made of, at its
  /// next start.
  func change(
    _ name: String, project: String, check: @escaping @Sendable (InstanceObject) throws -> Void,
    _ body: @escaping @Sendable (inout InstanceRecord) -> Void
  ) async throws {
    let record = try await find(name, project: project)
    try check(object(record))
    var intended = record
    body(&intended)
    let (old, new) = (try? settings(of: record), try? settings(of: intended))
    if let new, new.network != old?.network { try await checkNetwork(new) }
    try checkVolumes(record, old, new)
    let ratios = try await ratios()
    // Nothing may fail between what is set aside and what gives it back.
    if let old, let new { try admitDisk(intended, new, old: InstanceQuota.disk(old, record), ratios) }
    defer { pool.settleDisk(record.id) }
    let promise = pool[record.id]
    try admitMemory(intended, ratios)
    var isWritten = false
    defer { if !isWritten, let promise, machines[record.id] != nil { pool.adopt(promise, of: record.id) } }
    let changed = try await services.store.write { database in
      guard var record = try InstanceRecord.fetchOne(database, key: record.id),
        let project = try ProjectRecord.fetchOne(database, key: record.project)
      else { throw APIError.notFound("the instance `\(name)` is gone") }
      body(&record)
      let known = Self.known(of: record)
      record.config = record.config.filter { known[$0.key] == nil }
      let profiles = try ProfileSet(database, project: record.project)
      try profiles.check(record.profiles)
      let settings = try profiles.settings(of: record)
      try Self.check(record, settings)
      try VolumeUse.check(record, settings, database)
      try InstanceQuota.check(project, adding: record, settings, profiles, database)
      record.bootAutostart = settings.autostart ?? false
      record.bootPriority = settings.priority
      try record.update(database)
      return record
    }
    isWritten = true
    await holdLimits(changed)
    await holdMemory(changed)
    await holdDiskSize(changed)
    await tell("updated", changed)
  }

  /// Throws unless an instance that there is can become so.
  static func check(_ record: InstanceRecord, _ settings: InstanceSettings) throws(APIError) {
    if let pool = settings.pool, pool != record.pool {
      throw .invalid(
        "the root disk lies in the storage pool `\(record.pool)` and cannot be moved to `\(pool)`",
        wayOut:
          "leave the root disk's `pool` at `\(record.pool)`, in a device of the instance's own if need be")
    }
    if let size = settings.diskSize,
      let least = record.volatile[Volatile.imageDiskSize].flatMap({ UInt64($0) }), size < least
    {
      throw APIError.invalid(
        "the root disk cannot become smaller than its image's",
        wayOut: "give at least \(ByteSize(bytes: least))")
    }
  }

  // MARK: - Deletion

  func delete(_ name: String, project: String, by identity: Identity) async throws -> OperationObject {
    let record = try await find(name, project: project)
    if machines[record.id] != nil {
      throw APIError.conflict(
        "the instance `\(name)` runs", wayOut: "stop it first, or delete it with --force")
    }
    try await checkPool(record.pool)
    return try await services.operations.create(
      "Deleting instance", project: project, resources: ["instances": [Self.path(record)]],
      requestor: identity
    ) { _ in
      try await self.exclusively(record, "deleted") {
        if await self.machines[record.id] != nil {
          throw APIError.conflict("the instance `\(name)` was started meanwhile")
        }
        try await self.update(record.id) { $0.volatile[Volatile.pending] = Pending.deletion.rawValue }
        await self.discard(record)
      }
      await self.tell("deleted", record)
      return [:]
    }
  }

  /// Removes an instance's files, and then what the store knows of it.
  func discard(_ record: InstanceRecord) async {
    refusals[record.id] = nil
    if let problem = pools.problem(of: record.pool) {
      services.logger.error(
        "\(record.name) is to be removed and stays, because its storage pool is not there: \(problem)")
      return
    }
    let folder = folder(of: record)
    try? await offThread("delete") { folder.remove() }
    await removeBackupFiles(of: record)
    do { try await services.store.write { _ = try record.delete($0) } } catch {
      services.logger.error("the instance \(record.name) cannot be taken out of the store: \(error)")
    }
    await collectLayers()
  }
}
