internal import GRDB
internal import VolaryAPI

/// Which instances have which of servers' disks, in all projects: a server knows no projects.
enum ExportUse {
  /// The pool of a device, if it is one of the driver `nbd`.
  static func pool(of device: VolumeDevice, _ database: Database) throws -> StoragePoolRecord? {
    let pool = try StoragePoolRecord.fetchOne(database, key: device.pool)
    return pool?.driver == StorageServers.driver ? pool : nil
  }

  /// Instances with devices in a pool, each with them.
  static func users(of pool: String, _ database: Database) throws -> [(InstanceRecord, [VolumeDevice])] {
    // Names of pools are plain; what a wildcard finds too is looked at.
    try InstanceRecord.filter(InstanceRecord.CodingKeys.devices.like("%\"pool\":\"\(pool)\"%"))
      .order(InstanceRecord.CodingKeys.project, InstanceRecord.CodingKeys.name).fetchAll(database)
      .compactMap { record in
        let devices = record.devices.compactMap { VolumeDevice(name: $0.key, $0.value) }
          .filter { $0.pool == pool }
        return devices.isEmpty ? nil : (record, devices)
      }
  }

  /// Whether an instance has a disk of a server's.
  static func hasAny(_ record: InstanceRecord, _ database: Database) throws -> Bool {
    try record.devices.contains { name, device in
      try VolumeDevice(name: name, device).flatMap { try pool(of: $0, database) } != nil
    }
  }

  /// Throws unless an instance may have a disk: several may read one, and one alone may write it, unless the disk is
  /// for several (`security.shared`).
  static func check(
    _ device: VolumeDevice, of record: InstanceRecord, _ pool: StoragePoolRecord, _ database: Database
  ) throws {
    try StorageServers.check(pool, for: record.project)
    let export = try ExportRecord.find(database, pool: pool.name, name: device.source)
    if ExportSettings.isShared(export.config) { return }
    for (other, devices) in try users(of: pool.name, database) where other.id != record.id {
      guard let theirs = devices.first(where: { $0.source == device.source }) else { continue }
      if theirs.isReadOnly, device.isReadOnly { continue }
      throw APIError.conflict(
        "the disk `\(device.source)` of `\(pool.name)` is attached to the instance `\(other.name)`"
          + (other.project == record.project ? "" : " of the project `\(other.project)`"),
        wayOut:
          "detach it there first, or attach it to both with readonly=true, or, for a file system of several "
          + "machines: volary storage volume set \(pool.name) \(device.source) security.shared=true")
    }
  }
}
