internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Instances that are made again from backups.
extension Instances {
  /// Checks what came, and begins to make an instance of it. `name` and `pool` stand over what the backup says.
  func importInstance(
    _ upload: BackupUpload, name: String?, pool: String?, project: String, by identity: Identity
  ) async throws -> OperationObject {
    let index = upload.index
    guard let instance = index.instance, index.type == "virtual-machine" else {
      throw APIError.invalid(
        "this is a backup of a volume, and of no instance",
        wayOut: "`volary storage volume import` makes a volume of it")
    }
    guard ["riscv64", "x86_64"].contains(instance.architecture) else {
      throw APIError.invalid("no engine runs guests for `\(instance.architecture.prefix(40))` yet")
    }
    let name = name.flatMap { $0.isEmpty ? nil : $0 } ?? index.name
    try InstanceName.check(name)
    for snapshot in index.snapshots { try ObjectName.check(snapshot.name, of: "snapshot") }
    var record = InstanceRecord(
      id: UUID().uuidString.lowercased(), project: project, name: name, description: instance.description,
      architecture: instance.architecture, config: Self.own(instance.config), devices: instance.devices,
      profiles: instance.profiles, ephemeral: instance.ephemeral, imageAlias: instance.imageAlias)
    try profiles(of: record).check(record.profiles)
    let leftOut = try await leaveOutVolumes(of: &record)
    record.pool = try await choosePool(pool, index, try settings(of: record))
    record.volatile = try await freeAddresses(instance)
    if let size = index.disk.map({ index.disks[$0].size }) { try fitDisk(of: &record, size: size) }
    let (new, settings) = (record, try settings(of: record))
    return try await begin(new, settings, "Importing instance", starts: false, by: identity) { context in
      if !leftOut.isEmpty { context.set("volumes_left_out", .array(leftOut.map(JSONValue.string))) }
      try await self.make(new, from: upload, context)
    }
  }

  private static func own(_ config: [String: String]) -> [String: String] {
    config.filter { !$0.key.hasPrefix("volatile.") && !$0.key.hasPrefix("image.") }
  }

  /// Takes those devices away whose volumes are not here, or have gone to another instance: a backup does not hold them,
  /// and is to be of use beside what it is of. Returns their names.
  private func leaveOutVolumes(of record: inout InstanceRecord) async throws -> [String] {
    let devices = record.devices.compactMap { VolumeDevice(name: $0.key, $0.value) }
    let project = record.project
    let leftOut = try await services.store.read { database in
      try devices.filter { device in
        guard
          let volume = try VolumeRecord.find(
            database, project: project, pool: device.pool, name: device.source)
        else { return true }
        return try !volume.isShared && !VolumeUse.users(of: volume, database).isEmpty
      }.map(\.name).sorted()
    }
    for name in leftOut { record.devices[name] = nil }
    return leftOut
  }

  /// The pool that was asked for, else the one that it was in, else the one that its devices say.
  private func choosePool(
    _ wanted: String?, _ index: BackupIndex, _ settings: InstanceSettings
  ) async throws -> String {
    if let wanted, !wanted.isEmpty { return wanted }
    let isThere = try await services.store.read { try StoragePoolRecord.exists($0, key: index.pool) }
    return isThere ? index.pool : settings.pool ?? StoragePoolRecord.default
  }

  /// The addresses of its network cards, as far as no other has them.
  private func freeAddresses(_ instance: BackupIndex.Instance) async throws -> [String: String] {
    let taken = try await services.store.read { database in
      Set(try InstanceRecord.fetchAll(database).flatMap(\.volatile.values))
    }
    return instance.addresses.filter { key, value in
      key.hasPrefix("volatile.") && key.hasSuffix(".hwaddr") && key.utf8.count < 100
        && (try? InstanceSettings.hardwareAddress(key, value)) != nil && !taken.contains(value)
    }
  }

  /// Has its devices say where its disk is, and nothing smaller than it is.
  private func fitDisk(of record: inout InstanceRecord, size: Int64) throws {
    record.volatile[Volatile.imageDiskSize] = "\(size)"
    let settings = try settings(of: record)
    let isSmaller = settings.diskSize.map { $0 < UInt64(clamping: size) } ?? false
    guard isSmaller || settings.pool ?? record.pool != record.pool else { return }
    let devices = profiles(of: record).devices(of: record)
    let root = devices.first { $0.value["type"] == "disk" && $0.value["path"] == "/" }
    var device = root?.value ?? InstanceSettings.usualRoot
    device["pool"] = record.pool
    if isSmaller { device["size"] = "\(size)" }
    record.devices[root?.key ?? "root"] = device
  }

  // MARK: - Making

  private func make(
    _ record: InstanceRecord, from upload: BackupUpload, _ context: OperationContext
  ) async throws {
    let folder = folder(of: record)
    do {
      try await exclusively(record, "created") {
        let room = HostRoom(try await self.exportsFolder(record.pool))
        let reader = try await self.unpack(upload, room, context)
        try await offThread("import") {
          try folder.make {
            let names = Set(upload.index.files.map(\.name))
            if names.isDisjoint(with: ["kernel", "variables"]) {
              throw VolaryError(.usage, "this is no sound backup: it holds nothing that starts the instance")
            }
            for (name, path) in folder.ownFiles where names.contains(name) {
              try reader.unpack(name, to: path, room: room)
            }
          }
        }
        let layers = try await self.unpackDisks(upload.index, reader, in: record.pool, room, context)
        do { try await self.keep(record, layers, upload.index) } catch {
          await self.drop(layers)
          throw error
        }
      }
    } catch {
      await discard(record)
      throw APIError(host: error)
    }
    await tell("created", record)
  }

  /// Keeps an instance that is all there, with its snapshots.
  private func keep(_ record: InstanceRecord, _ layers: [LayerRecord], _ index: BackupIndex) async throws {
    let snapshots = index.snapshots.map { snapshot in
      var then = record
      if let instance = snapshot.instance {
        (then.config, then.devices) = (Self.own(instance.config), instance.devices)
        (then.profiles, then.ephemeral) = (instance.profiles, instance.ephemeral)
      }
      return SnapshotRecord(
        of: then, name: snapshot.name, description: snapshot.description, createdAt: snapshot.createdAt,
        expiresAt: snapshot.expiresAt, layer: snapshot.disk.map { layers[$0].id })
    }
    let top = index.disk == nil ? nil : layers.last
    try await keepNew(record, top, snapshots: snapshots, layers: layers)
    for layer in layers.dropLast(top == nil ? 0 : 1) { protect(layer) }
  }

  func exportsFolder(_ pool: String) async throws -> String {
    let folder = pools.exports(in: pool)
    try await offThread("exports") { try Self.makeExports(folder) }
    return folder
  }

  func unpack(
    _ upload: BackupUpload, _ room: HostRoom, _ context: OperationContext
  ) async throws -> BackupReader {
    try await offThread("import") {
      let index = upload.index
      let total = index.files.reduce(0 as Int64) { $0.addingReportingOverflow($1.size).partialValue }
      var done: Int64 = 0
      return try BackupReader(
        upload.path, index: upload.indexBytes, index.members, unpackingTo: upload.unpacked, room: room
      ) { count in
        done += Int64(clamping: count)
        context.progress("unpacking the backup", done: done, total: total, unit: "bytes")
        return !context.isCancelled
      }
    }
  }

  /// Makes layers of a backup's disks, and one more over its own disk, which comes last. They are nobody's yet; nothing is
  /// left of them when this throws.
  func unpackDisks(
    _ index: BackupIndex, _ reader: BackupReader, in pool: String, _ room: HostRoom,
    _ context: OperationContext
  ) async throws -> [LayerRecord] {
    var made: [LayerRecord] = []
    do {
      for (place, disk) in index.disks.enumerated() {
        let under = disk.over.map { beneath(made[$0], made) } ?? []
        let layer = LayerRecord(
          id: LayerRecord.makeID(), pool: pool, parent: under.first?.id,
          format: under.isEmpty ? .raw : .qcow2, size: disk.size)
        try await services.store.write { try layer.insert($0) }
        made.append(layer)
        let (path, files) = (path(of: layer), self.files(under)?.layers ?? [])
        try await offThread("import") {
          var done: Int64 = 0
          try DiskUnpacking.run(
            try reader.file(disk.file), size: UInt64(clamping: disk.size), to: path, over: files, room: room
          ) { count in
            done += Int64(clamping: count)
            context.progress("making disk \(place + 1) of \(index.disks.count)", done: done, unit: "bytes")
            return !context.isCancelled
          }
        }
        try await makeOther(of: layer)
      }
      if let own = index.disk {
        let parent = made[own]
        let top = LayerRecord(
          id: LayerRecord.makeID(), pool: pool, parent: parent.id, format: .qcow2, size: parent.size)
        try await services.store.write { try top.insert($0) }
        made.append(top)
        try await makeFile(of: top, over: parent)
      }
    } catch {
      await drop(made)
      throw error
    }
    return made
  }

  /// A layer, and those of `all` that it stands on, nearest first.
  private func beneath(_ layer: LayerRecord, _ all: [LayerRecord]) -> [LayerRecord] {
    var chain = [layer]
    while let parent = chain.last?.parent, let next = all.first(where: { $0.id == parent }) {
      chain.append(next)
    }
    return chain
  }

  func drop(_ layers: [LayerRecord]) async {
    for layer in layers.reversed() { await drop(layer) }
  }
}
