internal import Foundation
internal import GRDB
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// What an instance's disk is at one moment.
extension Instances {
  /// Has the layer that an instance's machine writes never be written again, and gives the instance another. `also` is
  /// kept in the same step, with that layer, or nil where there is no disk. With `place`, the machine, which runs, is
  /// kept there too, memory and devices included. Only within ``exclusively(_:_:_:)``.
  @discardableResult
  func freeze(
    _ record: InstanceRecord, in place: Keeping.Place? = nil,
    also: @escaping @Sendable (Database, _ layer: String?) throws -> Void = { _, _ in }
  ) async throws -> KeptMachine.Opened? {
    try await checkPool(record.pool)
    if place != nil,
      try services.store.readNow({
        try !VolumeUse.volumes(of: record, $0).isEmpty || ExportUse.hasAny(record, $0)
      })
    {
      throw APIError(
        .unprocessable, "`\(record.name)` has volumes, which are not kept with its memory",
        wayOut: "leave the memory out, or detach them first")
    }
    guard let top = try await topLayer(of: record) else {
      var opened: KeptMachine.Opened?
      if let place {
        let keeping = try await beginKeeping(record.id, in: place, Checkpoint(), [])
        opened = try await finishKeeping(keeping, of: record.id)
      }
      try await services.store.write { try also($0, nil) }
      return opened
    }
    let isRunning = machines[record.id] != nil
    if !isRunning, let beneath = try await whatIsBeneathEmpty(top) {
      // Nothing has been written since the last time.
      try await services.store.write { try also($0, beneath) }
      return nil
    }
    guard let next = try await makeLayer(over: top) else {
      throw APIError(.failed, "the disk of `\(record.name)` is gone")
    }
    var keeping: Keeping?
    if isRunning { keeping = try await handOver(next, record, place) }
    if let keeping {
      // The disk's part is done; what is to come can take a while.
      try await services.store.write { try Self.keep(next, as: record.id, $0) }
      await seal(top)
      let opened = try await finishKeeping(keeping, of: record.id)
      try await services.store.write { try also($0, top.id) }
      return opened
    }
    do {
      try await services.store.write { database in
        try Self.keep(next, as: record.id, database)
        try also(database, top.id)
      }
    } catch {
      // A machine that has it goes on with it.
      if isRunning {
        try await services.store.write { try Self.keep(next, as: record.id, $0) }
      } else {
        await drop(next)
      }
      throw error
    }
    await seal(top)
    return nil
  }

  /// The layer that an instance writes. A disk from before there were layers becomes one.
  private func topLayer(of record: InstanceRecord) async throws -> LayerRecord? {
    if let id = record.layer {
      return try await services.store.read { try LayerRecord.fetchOne($0, key: id) }
    }
    let folder = folder(of: record)
    guard let disk = folder.oldDisk else { return nil }
    let new = LayerRecord(
      id: LayerRecord.makeID(), pool: record.pool, format: .raw, size: Int64(clamping: disk.size) & ~511)
    try await services.store.write { try new.insert($0) }
    let path = path(of: new)
    do {
      try await offThread("layer") { try LayerFile.adopt(disk.top.path, as: path) }
      try await services.store.write { try Self.keep(new, as: record.id, $0) }
    } catch {
      await drop(new)
      throw APIError(host: error)
    }
    folder.removeOldDisk()
    return try await services.store.read { try LayerRecord.fetchOne($0, key: new.id) }
  }

  /// The layer beneath one that holds nothing and makes the disk no larger; nil for any other.
  func whatIsBeneathEmpty(_ top: LayerRecord) async throws -> String? {
    guard top.format == .qcow2, let id = top.parent,
      let beneath = try await services.store.read({ try LayerRecord.fetchOne($0, key: id) }),
      beneath.size == top.size
    else { return nil }
    let path = path(of: top)
    return try await offThread("layer") { LayerFile.isEmpty(path) } ? id : nil
  }

  // MARK: - Machines that run

  /// Has a machine go on in another file. Whether it has is known when this returns; when it throws, it has not, or the
  /// layer waits for ``settleHanded(_:isRunning:)``.
  private func handOver(
    _ next: LayerRecord, _ record: InstanceRecord, _ place: Keeping.Place?
  ) async throws -> Keeping? {
    guard let machine = machines[record.id], let chain = try await filesToHandOver(next) else { return nil }
    do {
      var descriptors: [Descriptor] = []
      // Its machine locks them.
      let disk = try OpenedDisk(chain, of: record.name, locks: false).disk(behind: &descriptors)
      if let place {
        return try await beginKeeping(record.id, in: place, Checkpoint(disks: [disk]), descriptors)
      }
      try await machine.link.checkpoint(Checkpoint(disks: [disk]), descriptors: descriptors)
    } catch ControlError.closed where place == nil {
      // It has ended meanwhile. What it wrote last may be in either.
    } catch ControlError.timedOut {
      throw APIError(
        .timedOut, "the machine of `\(record.name)` has not said in time whether its disk could be kept")
    } catch {
      await drop(next)
      throw APIError(host: error)
    }
    return nil
  }

  /// The files of a disk that a machine is about to go on in, which is written down before it is asked.
  func filesToHandOver(_ next: LayerRecord) async throws -> DiskChain? {
    files(
      try await services.store.write { database in
        try database.execute(sql: "UPDATE layers SET state = 'handed' WHERE id = ?", arguments: [next.id])
        return try LayerRecord.chain(database, from: next.id)
      })
  }

  /// Of a layer that was handed to a machine by a daemon that did not learn what became of it. A machine that runs has
  /// it locked if it took it; without a machine it is the instance's own in any case: what the disk holds is in it and
  /// beneath it, whichever was written last.
  func settleHanded(_ id: String, isRunning: Bool) async {
    do {
      let handed = try await services.store.read { database in
        try LayerRecord.fetchOne(
          database,
          sql: """
            SELECT layers.* FROM layers JOIN instances ON layers.parent = instances.layer
              WHERE instances.id = ? AND layers.state = 'handed'
            """, arguments: [id])
      }
      try await settleHandedVolumes(of: id, isRunning: isRunning)
      guard let handed else { return }
      if isRunning, try await !isLocked(handed) { return await drop(handed) }
      try await services.store.write { try Self.keep(handed, as: id, $0) }
      if let parent = handed.parent,
        let layer = try await services.store.read({ try LayerRecord.fetchOne($0, key: parent) })
      {
        await seal(layer)
      }
    } catch { services.logger.error("the disk of the instance \(id) is in doubt: \(APIError(host: error))") }
  }

  /// Whether a machine has a layer to write.
  func isLocked(_ layer: LayerRecord) async throws -> Bool {
    let path = path(of: layer)
    return try await offThread("layer") {
      do throws(Errno) {
        try Descriptor.open(path, O_RDONLY).lock(exclusive: false, patiently: false)
        return false
      } catch { return true }
    }
  }
}
