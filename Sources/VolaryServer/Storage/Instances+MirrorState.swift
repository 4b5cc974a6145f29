internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// What there is to say of disks of which a side is missing.
extension Instances {
  /// Of an instance's disks.
  struct MirrorTrouble: Equatable, Sendable {
    /// Of the first disk that lacks something.
    let pool: String
    let reason: String
    let message: String
    let since: Timestamp

    var condition: Condition {
      Condition(type: "DiskDegraded", status: true, reason: reason, message: message, since: since)
    }
  }

  /// A disk of an instance's in a mirrored pool.
  private struct MirroredDisk {
    let name: String
    let serial: String
    let pool: String
    let layers: [LayerRecord]
  }

  /// A machine says that a disk has other sides than it had.
  func take(_ status: MirrorStatus, of id: String) async {
    guard let mirrors = machines[id]?.mirrors, mirrors.count <= MachineConfiguration.Limits.disks else {
      return
    }
    machines[id]?.mirrors.removeAll { $0.serial == status.serial }
    machines[id]?.mirrors.append(status)
    await refreshMirrors(of: id)
  }

  /// Asks a machine that was started or taken over, and has what it lacks be copied if that is possible.
  func noteMirrors(_ record: InstanceRecord) async {
    let disks = (try? await mirroredDisks(of: record)) ?? []
    if disks.isEmpty { return }
    if let machine = machines[record.id], case .status(let status)? = try? await machine.link.call(.status) {
      machines[record.id]?.mirrors = status.mirrors
    }
    await refreshMirrors(of: record.id)
    for pool in Set(disks.map(\.pool)) { Task { await self.repairIfNeeded(pool) } }
  }

  func refreshMirrors(in pool: String) async {
    let users = try? await services.store.read { database in
      let own = try InstanceRecord.filter(InstanceRecord.CodingKeys.pool == pool).fetchAll(database).map(\.id)
      let volumes = try VolumeRecord.filter(VolumeRecord.CodingKeys.pool == pool).fetchAll(database)
      return Set(own + (try volumes.flatMap { try VolumeUse.users(of: $0, database).map(\.id) }))
    }
    for id in users ?? [] { await refreshMirrors(of: id) }
  }

  /// Looks at the disks of an instance, and tells of what has changed.
  func refreshMirrors(of id: String) async {
    guard let record = try? await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }),
      let disks = try? await mirroredDisks(of: record)
    else {
      mirrorTroubles[id] = nil
      return
    }
    let (old, statuses) = (mirrorTroubles[id], machines[id]?.mirrors ?? [])
    let isRunning = machines[id] != nil
    var found: MirrorTrouble?
    for disk in disks where found == nil {
      found = trouble(
        disk, isRunning ? statuses.first { $0.serial == disk.serial } : nil, since: old?.since ?? .now)
    }
    mirrorTroubles[id] = found
    if let found, found.reason != old?.reason {
      services.logger.warning("\(record.name): \(found.message)")
      await tell(
        "disk-degraded", record, ["reason": .string(found.reason), "message": .string(found.message)])
    } else if found == nil, old != nil {
      services.logger.notice("\(record.name): its disks have both sides again")
      await tell("disk-repaired", record)
    }
  }

  private func mirroredDisks(of record: InstanceRecord) async throws -> [MirroredDisk] {
    let pools = pools
    return try await services.store.read { database in
      var disks: [MirroredDisk] = []
      if pools.isMirrored(record.pool), let layer = record.layer {
        disks.append(
          MirroredDisk(
            name: "its root disk", serial: InstancePlan.diskSerial, pool: record.pool,
            layers: try LayerRecord.chain(database, from: layer)))
      }
      for volume in try VolumeUse.volumes(of: record, database) where pools.isMirrored(volume.pool) {
        guard let device = Self.device(of: volume, in: record) else { continue }
        disks.append(
          MirroredDisk(
            name: "the volume `\(volume.name)`", serial: device.serial, pool: volume.pool,
            layers: try LayerRecord.chain(database, from: volume.layer)))
      }
      return disks
    }
  }

  private func trouble(_ disk: MirroredDisk, _ status: MirrorStatus?, since: Timestamp) -> MirrorTrouble? {
    let sources = StoragePools.places.map { pools.source(disk.pool, side: $0) }
    func make(_ reason: String, _ message: String) -> MirrorTrouble {
      MirrorTrouble(pool: disk.pool, reason: reason, message: message, since: since)
    }
    let wayOut = "bring it back and run 'volary storage repair \(disk.pool)'"
    let sides = status?.sides ?? recordedSides(of: disk)
    if let side = sides.firstIndex(of: .missing) {
      return make(
        "SideMissing",
        "\(disk.name) is on \(sources[1 - side]) alone, without \(sources[side]): \(wayOut)")
    }
    if let side = sides.firstIndex(of: .rebuilding) {
      return make(
        "SideRebuilding", "what \(sources[side]) lacks of \(disk.name) is being copied to it")
    }
    let beneath = disk.layers.dropFirst()
    if let side = StoragePools.places.first(where: { side in
      beneath.contains { !wholePlaces(of: $0).contains(side) }
    }) {
      return make(
        "SideBehind", "\(sources[side]) lacks what \(disk.name) stands on: \(wayOut)")
    }
    return nil
  }

  /// As the metadata have it, of a disk that no machine has.
  private func recordedSides(of disk: MirroredDisk) -> [MirrorStatus.Side] {
    guard let top = disk.layers.first, let facts = try? mirrorFolder(top.id).read() else {
      return [.current, .current]
    }
    // A side that is not there is not used at the next start.
    return StoragePools.places.map { side in
      pools.sideProblem(of: disk.pool, side) == nil ? facts.sides[side] : .missing
    }
  }

  /// Throws where a mirrored disk would be written on one side, and nobody would know of it.
  func checkMirror(_ disk: DiskChain?, _ record: InstanceRecord, pool: String? = nil) throws {
    guard pools.isMirrored(pool ?? record.pool) else { return }
    if let disk, disk.mirror != nil { return }
    if disk == nil, record.layer == nil { return }
    throw APIError.conflict(
      "no side of the storage pool `\(pool ?? record.pool)` that is there has all of the disk of `\(record.name)`",
      wayOut: "bring the other back; `volary storage show \(pool ?? record.pool)` names it")
  }
}
