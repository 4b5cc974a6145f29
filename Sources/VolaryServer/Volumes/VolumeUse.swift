internal import GRDB
internal import VolaryAPI

/// Which instances have which volumes.
enum VolumeUse {
  /// The volumes that an instance's devices name.
  static func volumes(of record: InstanceRecord, _ database: Database) throws -> [VolumeRecord] {
    try record.devices.values.compactMap { device in
      guard device["type"] == "disk", let pool = device["pool"], let source = device["source"] else {
        return nil
      }
      return try VolumeRecord.find(database, project: record.project, pool: pool, name: source)
    }
  }

  /// The instances that have a volume, by name.
  static func users(of volume: VolumeRecord, _ database: Database) throws -> [InstanceRecord] {
    // Names are plain; what a wildcard finds too is looked at.
    try InstanceRecord.filter(
      InstanceRecord.CodingKeys.project == volume.project
        && InstanceRecord.CodingKeys.devices.like("%\"source\":\"\(volume.name)\"%")
    ).order(InstanceRecord.CodingKeys.name).fetchAll(database).filter { record in
      record.devices.values.contains {
        $0["type"] == "disk" && $0["pool"] == volume.pool && $0["source"] == volume.name
      }
    }
  }

  /// Throws unless an instance may have the volumes that its devices name.
  static func check(_ record: InstanceRecord, _ settings: InstanceSettings, _ database: Database) throws {
    for device in settings.volumes {
      if let pool = try ExportUse.pool(of: device, database) {
        try ExportUse.check(device, of: record, pool, database)
        continue
      }
      guard
        let volume = try VolumeRecord.find(
          database, project: record.project, pool: device.pool, name: device.source)
      else { throw Instances.noVolume(device.source, in: device.pool) }
      if volume.isShared { continue }
      if let other = try users(of: volume, database).first(where: { $0.id != record.id }) {
        throw attached(volume, to: other)
      }
    }
  }

  static func attached(_ volume: VolumeRecord, to user: InstanceRecord) -> APIError {
    .conflict(
      "the volume `\(volume.name)` is attached to the instance `\(user.name)`",
      wayOut: "detach it there first: volary storage volume detach \(volume.pool) \(volume.name) \(user.name)"
    )
  }
}
