internal import DiskImages
internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Disks that servers have, as volumes of pools of the driver `nbd`.
extension Instances {
  /// Nil for a pool of another driver.
  private func server(_ pool: String, for project: String) async throws -> (StoragePoolRecord, NBDLocation)? {
    let found = try await services.store.read { try StorageRoutes.find($0, pool) }
    guard let location = StorageServers.location(of: found) else { return nil }
    try StorageServers.check(found, for: project)
    return (found, location)
  }

  /// Disks that a server lists, and those that instances have or of which something is known here; nil for a pool of
  /// another driver.
  func exports(in pool: String, project: String) async throws -> [StorageVolumeObject]? {
    guard let (record, location) = try await server(pool, for: project) else { return nil }
    let listed = try await offThread("exports") { () throws -> [NBDListing.Export] in
      do { return try NBDListing.exports(of: location) ?? [] } catch { throw Self.unreachable(pool, error) }
    }
    return try await services.store.read { database in
      let known = try ExportRecord.filter(ExportRecord.CodingKeys.pool == pool).fetchAll(database).map(\.name)
      let used = try ExportUse.users(of: pool, database).flatMap { $0.1.map(\.source) }
      let sizes = Dictionary(listed.map { ($0.name, $0.size) }, uniquingKeysWith: { first, _ in first })
      return try Set(sizes.keys).union(known).union(used).sorted().map { name in
        try Self.object(name, sizes[name] ?? nil, in: record, project: project, database)
      }
    }
  }

  /// One disk that a server has; nil for a pool of another driver.
  func export(_ name: String, in pool: String, project: String) async throws -> StorageVolumeObject? {
    guard let (record, location) = try await server(pool, for: project) else { return nil }
    let told = try await offThread("export") { () throws -> NBDListing.Export in
      do { return try NBDListing.export(location.export(named: name)) } catch {
        throw Self.noExport(name, pool, error)
      }
    }
    return try await services.store.read { database in
      try Self.object(name, told.size, in: record, project: project, database)
    }
  }

  private static func object(
    _ name: String, _ size: UInt64?, in pool: StoragePoolRecord, project: String, _ database: Database
  ) throws -> StorageVolumeObject {
    let known = try ExportRecord.find(database, pool: pool.name, name: name)
    var config = known.config
    config["size"] = size.map { "\($0)" }
    // What is in another project is nobody's affair here.
    let users = try ExportUse.users(of: pool.name, database).filter { record, devices in
      record.project == project && devices.contains { $0.source == name }
    }
    return StorageVolumeObject(
      name: name, type: "custom", pool: pool.name, project: project, description: known.description,
      config: config, createdAt: pool.createdAt, usedBy: users.map { StorageRoutes.path(of: $0.0) })
  }

  private static func unreachable(_ pool: String, _ error: any Error) -> APIError {
    APIError(
      .conflict, "the server of the storage pool `\(pool)` cannot be asked: \(error)",
      wayOut: "see whether it runs and is reached from here; `volary storage show \(pool)` says where it is")
  }

  private static func noExport(_ name: String, _ pool: String, _ error: any Error) -> APIError {
    .notFound(
      "the server of `\(pool.prefix(100))` gives no disk `\(name.prefix(100))`: \(error)",
      wayOut: "`volary storage volume list \(pool.prefix(100))` shows those that it lists")
  }

  /// Sets what is known of a server's disk. False for a pool of another driver.
  func changeExport(
    _ name: String, in pool: String, project: String, _ edit: @Sendable (inout ExportRecord) -> Void
  ) async throws -> Bool {
    guard let shown = try await export(name, in: pool, project: project) else { return false }
    let old = try await services.store.read { try ExportRecord.find($0, pool: pool, name: name) }
    var new = old
    edit(&new)
    new.config = new.config.filter { !$0.value.isEmpty }
    // It is shown, and then comes back.
    if new.config["size"] == shown.config["size"] { new.config["size"] = nil }
    let format = try ExportSettings(new.config).format
    let changed = new
    let inUse = idsInUse
    try await services.store.write { database in
      let users = try ExportUse.users(of: pool, database).filter { $0.1.contains { $0.source == name } }
      let isOther = try format != ExportSettings(old.config).format
      if isOther, let user = users.first(where: { inUse.contains($0.0.id) }) {
        throw APIError.conflict(
          "the instance `\(user.0.name)` runs, and has the disk `\(name)`", wayOut: "stop it first")
      }
      let writers = users.filter { $0.1.contains { $0.source == name && !$0.isReadOnly } }
      if !ExportSettings.isShared(changed.config), !writers.isEmpty, users.count > 1 {
        throw APIError.conflict(
          "several instances have the disk `\(name)` attached", wayOut: "detach it from all but one first")
      }
      try changed.save(database)
    }
    return true
  }

  // MARK: - Machines

  /// The disks on servers that an instance's devices name, for its machine.
  func serverDisks(_ record: InstanceRecord, _ settings: InstanceSettings) throws -> [ServerDisk] {
    try services.store.readNow { database in
      try settings.volumes.compactMap { device in
        guard let pool = try ExportUse.pool(of: device, database) else { return nil }
        // A pool may have been taken from its project since.
        try ExportUse.check(device, of: record, pool, database)
        let export = try ExportRecord.find(database, pool: pool.name, name: device.source)
        return ServerDisk(
          try Self.location(of: device, in: pool), format: try ExportSettings(export.config).format,
          isReadOnly: device.isReadOnly, serial: device.serial)
      }
    }
  }

  private static func location(of device: VolumeDevice, in pool: StoragePoolRecord) throws -> NBDLocation {
    do { return try StorageServers.location(pool.config).export(named: device.source) } catch {
      throw APIError.invalid("the disk `\(device.source)` of `\(pool.name)`: \(error)")
    }
  }
}
