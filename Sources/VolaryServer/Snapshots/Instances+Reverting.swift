internal import GRDB
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// An instance that becomes again what it was, memory included, while its machine's process goes on.
extension Instances {
  /// Layers from which on a snapshot is gone back to by another process: beneath a machine that runs few layers are put
  /// together, and its end is when the others can be.
  private static let deep = mostLayers / 2

  /// Has the machine of an instance become what a snapshot holds. False when that machine cannot, and another has to be
  /// started for it: then it runs as it did, or has ended. Only within ``exclusively(_:_:_:)``.
  ///
  /// The row is the snapshot's before the machine is asked, so that whatever ends in the midst, a machine that did not
  /// go back is known by the disk that it has (``hasReverted(_:)``).
  func revert(_ id: String, to snapshotID: String) async throws -> Bool {
    guard let machine = machines[id], let opened = await openFitting(id, snapshotID, machine) else {
      return false
    }
    try await putBack(id, snapshotID, .running)
    do {
      let record = try await current(id)
      try await leaveOffMerging(for: record)
      var descriptors = [opened.state] + opened.memory
      var reversion = Reversion(restoration: .init(state: 0, memory: Array(1..<descriptors.count)))
      if let chain = try await disk(of: record) {
        // Its machine locks them.
        let disk = try OpenedDisk(chain, of: record.name, locks: false).disk(behind: &descriptors)
        reversion.disks = [disk]
      }
      try await machine.link.revert(reversion, descriptors: descriptors)
    } catch {
      services.logger.notice(
        "a machine cannot go back where it is, and another is started: \(error)",
        metadata: ["instance": "\(id)"])
      machines[id]?.staysAtEnd = true
      try await end(id, seconds: 0, force: true)
      return false
    }
    try await noteReverted(id)
    return true
  }

  /// What a snapshot holds of a machine, if it is of one that is as that which runs.
  private func openFitting(
    _ id: String, _ snapshotID: String, _ machine: RunningMachine
  ) async -> KeptMachine.Opened? {
    guard let record = try? await current(id), !pools.isMirrored(record.pool),
      let snapshot = try? await services.store.read({ try SnapshotRecord.fetchOne($0, key: snapshotID) }),
      snapshot.stateful, (try? await depth(of: snapshot)).map({ $0 < Self.deep }) == true
    else { return nil }
    var intended = record
    Self.become(&intended, snapshot)
    guard let settings = try? settings(of: intended), settings.network.keepsNoPorts,
      record.volatile[Volatile.started].flatMap(StartedWith.init(text:))
        == StartedWith(intended, profiles(of: intended)),
      (try? services.store.readNow({ try VolumeUse.volumes(of: record, $0).isEmpty })) == true
    else { return nil }
    let kept = kept(snapshot)
    guard let opened = try? await offThread("keep", { try kept.open() }),
      opened.build == KeptMachine.Build(cpus: machine.cpus, memory: machine.memory)
    else { return nil }
    return opened
  }

  /// How many layers a snapshot's disk is made of.
  private func depth(of snapshot: SnapshotRecord) async throws -> Int {
    try await services.store.read { database in
      try snapshot.layer.map { try LayerRecord.chain(database, from: $0).count } ?? 0
    }
  }

  private func noteReverted(_ id: String) async throws {
    machines[id]?.isPaused = false
    machines[id]?.fullDisks = [:]
    machines[id]?.trouble = nil
    machines[id]?.report = nil
    settle(id)
    let record = try await update(id) {
      $0.volatile[Volatile.reverting] = nil
      $0.lastUsedAt = .now
    }
    Task {
      await self.holdLimits(record)
      await self.holdMemory(record)
      await self.collectLayers()
    }
  }

  /// Whether a machine that runs, and was asked to become what a snapshot holds by a daemon that did not learn what came
  /// of it, has the disk of that.
  func hasReverted(_ record: InstanceRecord) async -> Bool {
    guard let id = record.layer,
      let layer = try? await services.store.read({ try LayerRecord.fetchOne($0, key: id) })
    else { return false }
    return (try? await isLocked(layer)) ?? false
  }
}

extension InstancePlan.Network {
  /// Whether no port of the host's leads to the guest. One that does can be bound by a new process alone, and
  /// connections that the guest will know nothing of have to end.
  fileprivate var keepsNoPorts: Bool {
    if case .nat(let published) = self { published.isEmpty } else { true }
  }
}
