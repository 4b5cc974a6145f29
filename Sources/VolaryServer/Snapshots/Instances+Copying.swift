internal import AgentProtocol
internal import Foundation
internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// Instances that are made as others are, or were. No data is copied: both stand on the same layers.
extension Instances {
  /// What is copied.
  private struct Original: Sendable {
    let record: InstanceRecord
    /// Nil for the instance as it is.
    let snapshot: SnapshotRecord?
  }

  /// Checks what was asked for, and begins to make it.
  func copy(_ post: InstancesPost, project: String, by identity: Identity) async throws -> OperationObject {
    if post.source.refresh == true {
      throw APIError(
        .unprocessable, "a copy cannot be brought up to date", wayOut: "delete it and copy again")
    }
    let original = try await findOriginal(post.source, project: project, by: identity)
    let source = original.record
    let name = try await chooseName(post.name, project: project)
    let then = original.snapshot
    let own = { (config: [String: String]) in
      config.filter { !$0.key.hasPrefix("volatile.") && !$0.key.hasPrefix("image.") }
    }
    // What is given stands over what is copied, key by key (Incus does so too).
    var record = InstanceRecord(
      id: UUID().uuidString.lowercased(), project: project, name: name,
      description: post.description ?? source.description, architecture: source.architecture,
      config: own(then?.config ?? source.config).merging(own(post.config ?? [:])) { _, given in given }
        .filter { !$0.value.isEmpty },
      devices: (then?.devices ?? source.devices).merging(post.devices ?? [:]) { _, given in given },
      profiles: post.profiles ?? then?.profiles ?? source.profiles, ephemeral: post.ephemeral ?? false,
      imageFingerprint: source.imageFingerprint, imageAlias: source.imageAlias)
    try profiles(of: record).check(record.profiles)
    if post.source.fork == true { leaveOutPorts(&record, given: post.devices ?? [:]) }
    let settings = try settings(of: record)
    record.volatile[Volatile.imageDiskSize] = source.volatile[Volatile.imageDiskSize]
    record.pool = source.pool
    if let wanted = settings.pool, wanted != source.pool {
      throw APIError(
        .unprocessable, "a copy lies in the storage pool of what is copied, which is `\(source.pool)`",
        wayOut: "leave the pool of its root disk at `\(source.pool)`, with -d root,pool=\(source.pool)")
    }
    try await checkSize(of: record, settings, original)
    let snapshots = then == nil && post.source.instanceOnly != true
    let (new, diskSize) = (record, settings.diskSize)
    if post.source.fork == true {
      guard then == nil, machines[source.id] != nil else {
        throw APIError.conflict(
          "only an instance that runs can be forked, and `\(post.source.source ?? "")` does not",
          wayOut: "`volary copy` copies what is on its disk")
      }
      return try await begin(record, settings, "Forking instance", starts: false, by: identity) { context in
        try await self.fork(new, of: source, diskSize, context)
      }
    }
    return try await begin(
      record, settings, "Copying instance", starts: post.start ?? false, by: identity
    ) { context in try await self.make(new, like: original, snapshots: snapshots, diskSize, context) }
  }

  /// Two machines that run cannot have one port of the host's: a fork has those that were asked for.
  private func leaveOutPorts(_ record: inout InstanceRecord, given: [String: [String: String]]) {
    for (name, device) in profiles(of: record).devices(of: record)
    where device["type"] == "proxy" && given[name] == nil {
      record.devices[name] = ["type": "none"]
    }
  }

  private func findOriginal(
    _ wanted: InstanceSource, project: String, by identity: Identity
  ) async throws -> Original {
    guard let text = wanted.source, !text.isEmpty else {
      throw APIError.invalid("a copy needs to know of what", wayOut: "name it as `source`")
    }
    let place = wanted.project.flatMap { $0.isEmpty ? nil : $0 } ?? project
    guard identity.reaches(project: place) else {
      throw APIError.denied("you are not of the project `\(place)`")
    }
    let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
    let record = try await find(parts.first ?? "", project: place)
    guard parts.count == 2 else { return Original(record: record, snapshot: nil) }
    let snapshot = try await services.store.read {
      try SnapshotRecord.find($0, of: record.id, name: parts[1])
    }
    guard let snapshot else { throw Self.noSnapshot(parts[1], of: record.name) }
    return Original(record: record, snapshot: snapshot)
  }

  /// Throws for a copy whose disk would be smaller than what is copied.
  private func checkSize(
    of record: InstanceRecord, _ settings: InstanceSettings, _ original: Original
  ) async throws {
    let layer = original.snapshot == nil ? original.record.layer : original.snapshot?.layer
    let size: UInt64?
    if let layer {
      size = try await services.store.read { try LayerRecord.fetchOne($0, key: layer) }
        .map { UInt64(clamping: $0.size) }
    } else {
      size = original.snapshot == nil ? folder(of: original.record).oldDisk?.size : nil
    }
    guard let size, UInt64(clamping: InstanceQuota.disk(settings, record)) < size else { return }
    throw APIError.invalid(
      "the root disk would be smaller than that of `\(original.record.name)`",
      wayOut: "give it at least \(ByteSize(bytes: size)), with -d root,size=")
  }

  private func make(
    _ record: InstanceRecord, like original: Original, snapshots: Bool, _ diskSize: UInt64?,
    _ context: OperationContext
  ) async throws {
    let (folder, other) = (folder(of: record), folder(of: original.record))
    do {
      try await exclusively(record, "created") {
        context.progress("making the disk")
        try await inTurn(original.record, "copied", context) {
          try await offThread("make") {
            do { try folder.make(like: other) } catch {
              throw APIError(host: error)
            }
          }
          let source = try await self.current(original.record.id)
          let (layer, kept) = try await self.hold(source, original.snapshot, snapshots: snapshots)
          guard let layer else { return try await self.keepNew(record, nil, snapshots: kept) }
          guard let disk = try await self.makeLayer(over: layer, size: diskSize) else {
            throw APIError.notFound("the disk of `\(source.name)` is gone")
          }
          try await self.keepNew(record, disk, snapshots: kept)
        }
      }
    } catch {
      await discard(record)
      throw error
    }
    await tell("created", record)
  }

  /// Makes an instance whose machine goes on from what another's is now, memory included. Both run afterwards.
  private func fork(
    _ record: InstanceRecord, of original: InstanceRecord, _ diskSize: UInt64?, _ context: OperationContext
  ) async throws {
    let (folder, other) = (folder(of: record), folder(of: original))
    do {
      let opened = try await exclusively(record, "created") {
        try await offThread("make") {
          do { try folder.make(like: other) } catch {
            throw APIError(host: error)
          }
        }
        return try await self.inTurn(original, "forked", context) {
          context.progress("keeping the machine")
          let source = try await self.current(original.id)
          let opened = try await self.freeze(source, in: .memory)
          let layer = try await self.layerBeneath(source)
          let disk =
            if let layer { try await self.makeLayer(over: layer, size: diskSize) } else {
              nil as LayerRecord?
            }
          try await self.keepNew(record, disk, forkedFrom: source)
          return opened
        }
      }
      await tell("created", record)
      try await start(record.id, context, from: opened)
    } catch {
      await discard(record)
      throw error
    }
  }

  /// What the guest of a fork is to be told; nil for those that were, and all others.
  func identityToTell(_ record: InstanceRecord) -> IdentityRequest? {
    guard let old = record.volatile[Volatile.forked] else { return nil }
    var addresses: (from: [UInt8], to: [UInt8]) = ([], [])
    if let from = Self.hardwareAddress(old), let to = Self.hardwareAddress(try? hardwareAddress(of: record)) {
      addresses = (from, to)
    }
    return IdentityRequest(
      hostName: Array(record.name.utf8), oldAddress: addresses.from, newAddress: addresses.to,
      seed: (0..<64).map { _ in UInt8.random(in: 0...255) })
  }

  /// What the disk of an instance stands on that was just frozen.
  private func layerBeneath(_ record: InstanceRecord) async throws -> LayerRecord? {
    try await services.store.read { database in
      let top = try InstanceRecord.fetchOne(database, key: record.id)?.layer
      return try top.map { try LayerRecord.chain(database, from: $0) }?.dropFirst().first
    }
  }

  /// The layer that a copy is to stand on, and the snapshots that it gets.
  private func hold(
    _ source: InstanceRecord, _ snapshot: SnapshotRecord?, snapshots: Bool
  ) async throws -> (LayerRecord?, [SnapshotRecord]) {
    if let snapshot {
      return try await services.store.read { database in
        guard let now = try SnapshotRecord.fetchOne(database, key: snapshot.id) else {
          throw APIError.notFound("the snapshot `\(snapshot.name)` was deleted meanwhile")
        }
        return (try now.layer.flatMap { try LayerRecord.fetchOne(database, key: $0) }, [])
      }
    }
    try await freeze(source)
    return try await services.store.read { database in
      let top = try InstanceRecord.fetchOne(database, key: source.id)?.layer
      let chain = try top.map { try LayerRecord.chain(database, from: $0) } ?? []
      let kept = snapshots ? try SnapshotRecord.all(database, of: source.id) : []
      // What it writes has nothing in it since it was frozen, whether it got that just now or before.
      return (chain.dropFirst().first, kept)
    }
  }

  /// As ``exclusively(_:_:_:)``, waiting for others that do the same.
  private func inTurn<Value: Sendable>(
    _ record: InstanceRecord, _ what: String, _ context: OperationContext,
    _ body: @Sendable () async throws -> Value
  ) async throws -> Value {
    while isBeing(record, what) {
      try context.checkCancellation()
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await exclusively(record, what, body)
  }
}
