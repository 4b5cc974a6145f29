internal import Foundation
internal import GRDB
internal import Glibc
internal import Logging
internal import MachineControl
internal import Synchronization
internal import VolaryAPI
internal import VolaryHost

/// Sides of mirrored pools that come back, or are replaced: they get what they lack while machines run.
extension Instances {
  /// Whose disk it is.
  enum DiskOwner: Hashable, Sendable {
    case instance(String)
    case volume(String)

    var id: String {
      switch self {
      case .instance(let id), .volume(let id): id
      }
    }
  }

  /// A disk that is rebuilt without a machine, and is left off when one is to have it.
  final class Rebuild: Sendable {
    let isCancelled = Atomic(false)
  }

  // MARK: - Requests

  /// Has the sides of a pool have the same again. With `replace`, an empty directory takes the place of a side that is
  /// not there.
  func repair(
    _ name: String, replace: Bool, project: String, by identity: Identity?
  ) async throws -> OperationObject {
    guard let record = try await services.store.read({ try StoragePoolRecord.fetchOne($0, key: name) }) else {
      throw APIError.notFound(
        "there is no storage pool `\(name.prefix(100))`",
        wayOut: "`volary storage list` shows those that there are")
    }
    guard record.mirror != nil else {
      throw APIError.conflict(
        "the storage pool `\(name)` is in one place", wayOut: "a mirrored one is made with --mirror")
    }
    if repairs.contains(name) {
      throw APIError.conflict(
        "the storage pool `\(name)` is being repaired", wayOut: "`volary operation list` shows how far it is")
    }
    if replace { try await replaceSide(of: record) }
    for side in StoragePools.places {
      guard let problem = pools.sideProblem(of: name, side) else { continue }
      throw APIError.conflict(
        "a side of the storage pool `\(name)` is not there: \(problem)",
        wayOut: "mount it again; in the place of one that is lost for good, an empty directory is taken with "
          + "'volary storage repair --replace \(name)'")
    }
    repairs.insert(name)
    do {
      return try await services.operations.create(
        "Repairing storage pool", project: project,
        resources: ["storage_pools": ["/1.0/storage-pools/\(APIEndpoint.escaped(name))"]], mayCancel: true,
        requestor: identity
      ) { context in
        do {
          try await self.repair(name, context)
          await self.endRepair(name)
        } catch {
          await self.endRepair(name)
          throw error
        }
        return [:]
      }
    } catch {
      repairs.remove(name)
      throw error
    }
  }

  private func endRepair(_ pool: String) async {
    repairs.remove(pool)
    await refreshMirrors(in: pool)
    await mergeLayers()
  }

  /// Repairs a pool of which something lacks something, if both sides are there; nobody has asked for it.
  func repairIfNeeded(_ pool: String) async {
    guard pools.isMirrored(pool), !repairs.contains(pool),
      StoragePools.places.allSatisfy({ pools.sideProblem(of: pool, $0) == nil })
    else { return }
    await refreshMirrors(in: pool)
    let isNeeded = mirrorTroubles.values.contains { $0.pool == pool }
    let lacking = (try? await services.store.read { try Self.lacking(in: pool, $0).isEmpty }) == false
    guard isNeeded || lacking else { return }
    do { _ = try await repair(pool, replace: false, project: "default", by: nil) } catch {
      services.logger.error("the storage pool \(pool) is not repaired: \(APIError(host: error).message)")
    }
  }

  /// Takes an empty directory in the place of the side that is not there.
  private func replaceSide(of record: StoragePoolRecord) async throws {
    let missing = StoragePools.places.filter { pools.sideProblem(of: record.name, $0) != nil }
    guard missing.count == 1, let side = missing.first else {
      throw APIError.conflict(
        missing.isEmpty
          ? "both sides of the storage pool `\(record.name)` are there"
          : "no side of the storage pool `\(record.name)` is there, and one has to have the disks",
        wayOut: missing.isEmpty ? "leave --replace out" : "bring one of them back")
    }
    var new = record
    let mark = UUID().uuidString.lowercased()
    if side == 0 { new.mark = mark } else { new.mirrorMark = mark }
    let (all, pool, changed) = (pools, record.name, new)
    let source = all.sources(of: record)[side]
    try await offThread("pool") { try all.claim(source, mark, isOwn: false) }
    try await services.store.write { database in
      try changed.update(database)
      try database.execute(
        sql: "UPDATE layers SET sides = sides & ? WHERE pool = ?",
        arguments: [LayerRecord.allSides & ~(1 << side), pool])
    }
    try all.load(services.store)
    services.logger.notice("\(source) takes the place of a side of the storage pool \(pool)")
  }

  // MARK: - Repair

  private func repair(_ pool: String, _ context: OperationContext) async throws {
    context.progress("looking at what there is")
    await sealLeftovers()
    try await forgetLostFiles(in: pool)
    var failures = try await copyLacking(in: pool, context)
    for (owner, name) in try await owners(in: pool) {
      do { try await rebuild(owner, name, context) } catch is CancellationError {
        throw CancellationError()
      } catch { failures.append("\(name): \(APIError(host: error).message)") }
      await refreshMirrors(in: pool)
    }
    // What was kept meanwhile.
    for failure in try await copyLacking(in: pool, context) where !failures.contains(failure) {
      failures.append(failure)
    }
    await collectLayers()
    await refreshMirrors(in: pool)
    if !failures.isEmpty {
      throw APIError(
        .failed, failures.joined(separator: "; "), wayOut: "see to it, and repair the pool again")
    }
    services.logger.notice("both sides of the storage pool \(pool) have everything")
    await services.events.lifecycle(
      "storage-pool-repaired", source: "/1.0/storage-pools/\(APIEndpoint.escaped(pool))", project: nil)
  }

  /// The disks of a pool that are written.
  private func owners(in pool: String) async throws -> [(DiskOwner, String)] {
    try await services.store.read { database in
      let instances = try InstanceRecord.filter(InstanceRecord.CodingKeys.pool == pool).fetchAll(database)
      let volumes = try VolumeRecord.filter(VolumeRecord.CodingKeys.pool == pool).fetchAll(database)
      return instances.filter { $0.layer != nil }.map { (.instance($0.id), $0.name) }
        + volumes.map { (.volume($0.id), $0.name) }
    }
  }

  /// Layers that are not written any more, and that a side lacks.
  static func lacking(in pool: String, _ database: Database) throws -> [LayerRecord] {
    try LayerRecord.fetchAll(
      database,
      sql: """
        SELECT * FROM layers WHERE pool = ? AND state = 'ready' AND sides <> ?
          AND NOT EXISTS (SELECT 1 FROM instances WHERE instances.layer = layers.id)
          AND NOT EXISTS (SELECT 1 FROM volumes WHERE volumes.layer = layers.id)
        """, arguments: [pool, LayerRecord.allSides])
  }

  /// Notes which files are not there that should be.
  func forgetLostFiles(in pool: String) async throws {
    let pools = pools
    for side in StoragePools.places {
      guard let there = try await offThread("mirror", { pools.presentLayers(in: pool, side: side) }) else {
        continue
      }
      let layers = try await services.store.read { database in
        try LayerRecord.filter(LayerRecord.CodingKeys.pool == pool).fetchAll(database)
      }
      let lost = layers.filter { $0.state == .ready && $0.sides & 1 << side != 0 && !there.contains($0.id) }
      for layer in lost {
        services.logger.warning("the layer \(path(of: layer, side: side)) is not there")
        try await services.store.write { database in
          try database.execute(
            sql: "UPDATE layers SET sides = sides & ? WHERE id = ?",
            arguments: [LayerRecord.allSides & ~(1 << side), layer.id])
        }
      }
    }
  }

  /// Copies whole files to the side that lacks them: all that nobody writes any more, or those of a disk. Returns why some
  /// were not.
  @discardableResult
  private func copyLacking(
    in pool: String, _ context: OperationContext, only: Set<String>? = nil
  ) async throws -> [String] {
    var failures: [String] = []
    let all = try await services.store.read { try Self.lacking(in: pool, $0) }
    let wanted = all.filter { only?.contains($0.id) ?? true }
    for (count, layer) in wanted.enumerated() where !mirrorFolder(layer.id).isThere {
      try context.checkCancellation()
      context.progress(
        "copying what is not written any more", done: Int64(count), total: Int64(wanted.count), unit: "layers"
      )
      do { try await copy(layer) } catch { failures.append(APIError(host: error).message) }
    }
    return failures
  }

  private func copy(_ layer: LayerRecord) async throws {
    guard let source = places(of: layer).first else {
      throw APIError(.failed, "no side that is there has the layer \(layer.id)")
    }
    let (from, to) = (path(of: layer, side: source), path(of: layer, side: 1 - source))
    copying.insert(layer.id)
    defer { copying.remove(layer.id) }
    try await leaveOffMerging(of: [layer.id])
    try await offThread("mirror") {
      try LayerFile.copy(from, as: to)
      LayerFile.protect(to)
    }
    let isKept = try await services.store.write { database in
      try database.execute(
        sql: "UPDATE layers SET sides = ? WHERE id = ? AND state = 'ready'",
        arguments: [LayerRecord.allSides, layer.id])
      return database.changesCount > 0
    }
    if !isKept { try await offThread("mirror") { try LayerFile.remove([to]) } }
  }

  // MARK: - Disks that are written

  /// What is known of a disk at one moment.
  private struct Outlook: Sendable {
    let chain: [LayerRecord]
    /// The instance whose machine has it to write, and what the disk is called there.
    let user: InstanceRecord?
    let serial: String
    var top: LayerRecord { chain[0] }
  }

  private func outlook(of owner: DiskOwner) async throws -> Outlook? {
    switch owner {
    case .instance(let id):
      guard let record = try await services.store.read({ try InstanceRecord.fetchOne($0, key: id) }),
        let layer = record.layer
      else { return nil }
      let chain = try await services.store.read { try LayerRecord.chain($0, from: layer) }
      if chain.isEmpty { return nil }
      return Outlook(
        chain: chain, user: machines[id] == nil ? nil : record, serial: InstancePlan.diskSerial)
    case .volume(let id):
      guard let volume = try await services.store.read({ try VolumeRecord.fetchOne($0, key: id) }) else {
        return nil
      }
      let chain = try await services.store.read { try LayerRecord.chain($0, from: volume.layer) }
      if chain.isEmpty { return nil }
      let user = try runningWriter(of: volume).flatMap { machines[$0.id] == nil ? nil : $0 }
      let device = user.flatMap { Self.device(of: volume, in: $0) }
      return Outlook(chain: chain, user: device == nil ? nil : user, serial: device?.serial ?? "")
    }
  }

  /// Rebuilds the side of a disk that lacks something. Machines may start and end meanwhile, and snapshots be made.
  private func rebuild(_ owner: DiskOwner, _ name: String, _ context: OperationContext) async throws {
    var failures = 0
    while let outlook = try await outlook(of: owner) {
      try context.checkCancellation()
      let beneath = Set(outlook.chain.dropFirst().map(\.id))
      do {
        if let failure = try await copyLacking(in: outlook.top.pool, context, only: beneath).first {
          throw APIError(.failed, failure)
        }
        if let user = outlook.user {
          guard let machine = machines[user.id], let status = try await mirror(outlook.serial, of: user.id)
          else {
            return
          }
          if status.isWhole { return }
          if status.sides.contains(.missing) {
            try await exclusively(user, "rebuilt") { try await self.attach(outlook, machine) }
          }
          if try await follow(outlook, owner, name, context) { return }
        } else if try await rebuildStopped(owner, outlook, name, context) {
          return
        }
      } catch let error as APIError where error.code == .conflict {
        // Something else is being done to it.
        failures += 1
        if failures > 600 { throw error }
        try await Task.sleep(for: .milliseconds(100))
      }
    }
  }

  /// How it stands with a disk of a machine; nil where it is no mirror.
  private func mirror(_ serial: String, of id: String) async throws -> MirrorStatus? {
    guard let machine = machines[id], case .status(let status) = try await machine.link.call(.status) else {
      return nil
    }
    machines[id]?.mirrors = status.mirrors
    return status.mirrors.first { $0.serial == serial }
  }

  /// The side that a disk lacks, with a file that the metadata know, or with an empty one.
  private func prepare(_ outlook: Outlook) async throws -> DiskChain.Mirror.Side {
    let (top, folder) = (outlook.top, mirrorFolder(outlook.top.id))
    guard let facts = try folder.read(), let place = facts.sides.firstIndex(where: { $0 != .current }) else {
      throw APIError.conflict("the disk has both sides")
    }
    let (path, parent) = (path(of: top, side: place), outlook.chain.dropFirst().first)
    try await offThread("mirror") {
      if facts.files[place].isThere(path) { return }
      // It was there once, and what is there now is something else.
      if facts.files[place].number != 0 { try folder.renew(place) }
      try LayerFile.remove([path])
      try Self.makeFile(path, top, over: parent)
      try folder.note(place, path)
    }
    guard let now = try folder.read(), let layers = sideLayers(outlook.chain, place, strictly: true) else {
      throw APIError(.failed, "a layer beneath the disk is not on both sides")
    }
    return .init(label(top, place, now), layers: layers)
  }

  private func attach(_ outlook: Outlook, _ machine: RunningMachine) async throws {
    let side = try await prepare(outlook)
    let name = outlook.user?.name ?? ""
    let opened = try await offThread("mirror") {
      do { return try OpenedDisk.side(side, of: name) } catch { throw APIError(host: error) }
    }
    try await machine.link.attach(opened.side, to: outlook.serial, descriptors: opened.files)
  }

  /// Waits until a machine has rebuilt a side. False when it has ended, or has another file now.
  private func follow(
    _ outlook: Outlook, _ owner: DiskOwner, _ name: String, _ context: OperationContext
  ) async throws -> Bool {
    while let user = outlook.user, machines[user.id] != nil {
      try context.checkCancellation()
      if try await self.outlook(of: owner)?.top.id != outlook.top.id { return false }
      guard let status = try? await mirror(outlook.serial, of: user.id) else { return false }
      if status.isWhole { return true }
      context.progress(
        "rebuilding \(name)", done: Int64(clamping: status.done), total: Int64(clamping: status.total),
        unit: "bytes")
      if let lost = status.sides.firstIndex(of: .missing) {
        // A snapshot may have come between.
        if try await self.outlook(of: owner)?.top.id != outlook.top.id { return false }
        throw APIError(
          .failed, "\(pools.source(outlook.top.pool, side: lost)) failed while the disk was rebuilt")
      }
      try await Task.sleep(for: .milliseconds(200))
    }
    return false
  }

  /// Rebuilds a disk that no machine has. False when it was left off, for a machine that is to have it.
  private func rebuildStopped(
    _ owner: DiskOwner, _ outlook: Outlook, _ name: String, _ context: OperationContext
  ) async throws -> Bool {
    guard let facts = try mirrorFolder(outlook.top.id).read() else {
      throw APIError(
        .failed, "what says which side of its disk is current is not there",
        wayOut: "copy \(path(of: outlook.top)) elsewhere and import it")
    }
    if facts.isSettled { return true }
    let rebuild = Rebuild()
    let work: @Sendable () async throws -> Bool = {
      guard let before = try await self.outlook(of: owner), before.top.id == outlook.top.id,
        before.user == nil
      else { return false }
      let files = self.files(outlook.chain)
      guard let files else { throw APIError(.failed, "no side that is there has the disk") }
      let isAlone = files.mirror?.other == nil
      let other = isAlone ? try await self.prepare(outlook) : nil
      return try await offThread("mirror") {
        do {
          return try MirrorRepair.rebuild(files, adding: other) { done, total in
            context.progress(
              "rebuilding \(name)", done: Int64(clamping: done), total: Int64(clamping: total), unit: "bytes")
            return rebuild.isCancelled.load(ordering: .relaxed) || context.isCancelled
          }
        } catch { throw APIError(host: error) }
      }
    }
    rebuilds[owner.id] = rebuild
    defer { if rebuilds[owner.id] === rebuild { rebuilds[owner.id] = nil } }
    switch owner {
    case .instance(let id): return try await exclusively(current(id), "rebuilt", work)
    case .volume(let id):
      guard let volume = try await services.store.read({ try VolumeRecord.fetchOne($0, key: id) }) else {
        return true
      }
      return try await exclusively(volume, "rebuilt", work)
    }
  }

  /// Has a disk that is rebuilt without a machine be left, for one that is about to start.
  func leaveOffRebuilding(of id: String) async {
    guard let rebuild = rebuilds[id] else { return }
    rebuild.isCancelled.store(true, ordering: .relaxed)
    while rebuilds[id] === rebuild { try? await Task.sleep(for: .milliseconds(5)) }
  }
}
