internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Disks that become larger while machines have them.
extension Instances {
  /// For how long something else that is done to an instance is waited for.
  private static let patienceForOthers = 50

  /// Has a running machine's disk be as large as it is configured by now, and tells its guest. What keeps it from that
  /// is shown until the next start, which makes it larger too.
  func holdDiskSize(_ record: InstanceRecord) async {
    guard machines[record.id] != nil, let size = (try? settings(of: record))?.diskSize else { return }
    for _ in 0..<Self.patienceForOthers where busy[record.id] != nil {
      try? await Task.sleep(for: .milliseconds(100))
    }
    do {
      try await exclusively(record, "resized") {
        try await self.growRunningDisk(of: self.current(record.id), to: Int64(clamping: size) & ~511)
      }
      machines[record.id]?.sizeTrouble = nil
    } catch {
      let failure = APIError(host: error)
      services.logger.warning("\(record.name): its disk keeps its size: \(failure.message)")
      machines[record.id]?.sizeTrouble = Condition(
        type: "RestartNeeded", status: true, reason: "DiskNotResized",
        message: "its disk becomes larger at its next start: \(failure.message)")
    }
  }

  private func growRunningDisk(of record: InstanceRecord, to size: Int64) async throws {
    guard let machine = machines[record.id] else { return }
    guard let id = record.layer,
      let layer = try await services.store.read({ try LayerRecord.fetchOne($0, key: id) })
    else { throw APIError.conflict("the disk is one of an earlier version's") }
    if layer.size >= size { return }
    try await machine.link.call(.resizeDisk(InstancePlan.diskSerial, UInt64(size)))
    try await services.store.write { try LayerRecord.resize(id, to: size, $0) }
  }

  /// Has a machine make the disk of a volume larger that it runs with.
  func growRunning(_ volume: VolumeRecord, of user: InstanceRecord, to size: Int64) async throws {
    guard let device = Self.device(of: volume, in: user), let machine = machines[user.id] else {
      throw APIError.conflict(
        "the instance `\(user.name)` is being \(busy[user.id] ?? "changed"), and has the volume `\(volume.name)`",
        wayOut: "try again when that is done")
    }
    do {
      try await exclusively(user, "resized") {
        _ = try await machine.link.call(.resizeDisk(device.serial, UInt64(clamping: size)))
      }
    } catch { throw APIError(host: error) }
    try await services.store.write { try volume.resize(to: size, $0) }
  }
}

extension LayerRecord {
  /// Notes that a layer has become larger in its place.
  static func resize(_ id: String, to size: Int64, _ database: Database) throws {
    try database.execute(
      sql: "UPDATE layers SET size = ? WHERE id = ? AND size < ?", arguments: [size, id, size])
  }
}

extension VolumeRecord {
  /// Notes that a volume's own layer has become larger in its place, and the volume with it.
  func resize(to size: Int64, _ database: Database) throws {
    try LayerRecord.resize(layer, to: size, database)
    try database.execute(sql: "UPDATE volumes SET size = ? WHERE id = ?", arguments: [size, id])
  }
}
