internal import Foundation
internal import GRDB
internal import HostSystem
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Disks in layers (docs/decisions/0014): what a machine writes is a file over others that nobody writes any more.
extension Instances {
  /// Layers that a disk may be made of, the one that is written among them.
  static let mostLayers = MachineConfiguration.Limits.layers + 1

  /// The file of a layer; of a mirrored one, on a side that has it whole.
  nonisolated func path(of layer: LayerRecord) -> String {
    pools.layer(layer.id, in: layer.pool, side: places(of: layer).first ?? 0)
  }

  /// The files of layers, nearest first.
  nonisolated func files(_ layers: [LayerRecord]) -> DiskChain? {
    let size = UInt64(clamping: layers.first?.size ?? 0)
    if let pool = layers.first?.pool, pools.isMirrored(pool) { return mirroredFiles(layers, size: size) }
    return DiskChain(layers: layers.map { .init(path: path(of: $0), format: $0.format) }, size: size)
  }

  /// The files of an instance's disk; nil when it has none.
  func disk(of record: InstanceRecord) async throws -> DiskChain? {
    guard let top = record.layer else { return folder(of: record).oldDisk }
    return files(try await services.store.read { try LayerRecord.chain($0, from: top) })
  }

  // MARK: - Making

  /// Makes an empty layer over another, for as many bytes or `size`, if that is more. It is ``LayerRecord/State/making``
  /// until somebody keeps it. Nil when the other has been dropped.
  func makeLayer(over parent: LayerRecord, size: UInt64? = nil) async throws -> LayerRecord? {
    let size = max(parent.size, size.map { Int64(clamping: $0) & ~511 } ?? 0)
    let new = LayerRecord(
      id: LayerRecord.makeID(), pool: parent.pool, parent: parent.id, format: .qcow2, size: size)
    let isParentThere = try await services.store.write { database in
      guard try LayerRecord.fetchOne(database, key: parent.id)?.state == .ready else { return false }
      guard try LayerRecord.chain(database, from: parent.id).count < Self.mostLayers else {
        throw APIError.conflict(
          "the disk stands on \(Self.mostLayers - 1) snapshots and copies, and there are no more",
          wayOut: "delete snapshots that are not needed; what they held is put together soon after")
      }
      try new.insert(database)
      return true
    }
    guard isParentThere else { return nil }
    do { try await makeFile(of: new, over: parent) } catch {
      await drop(new)
      throw APIError(host: error)
    }
    return new
  }

  /// An image's disk as a layer of a pool, brought in with its first use there.
  private func layer(of image: StoredImage, _ disk: URL, in pool: String) async throws -> LayerRecord {
    guard let key = LayerFile.identity(of: disk.path) else {
      throw APIError.notFound("the image's disk \(disk.path) is not there")
    }
    let place = "\(pool)/\(key)"
    if let arrival = arrivals[place] { return try await arrival.value }
    let known = try await services.store.read { database in
      try LayerRecord.filter(
        LayerRecord.CodingKeys.pool == pool && LayerRecord.CodingKeys.image == key
          && LayerRecord.CodingKeys.state == LayerRecord.State.ready.rawValue
      ).fetchOne(database)
    }
    if let known { return known }
    if let arrival = arrivals[place] { return try await arrival.value }
    let task = Task { try await self.bring(disk.path, key, in: pool) }
    arrivals[place] = task
    defer { arrivals[place] = nil }
    return try await task.value
  }

  private func bring(_ disk: String, _ key: String, in pool: String) async throws -> LayerRecord {
    var new = LayerRecord(id: LayerRecord.makeID(), pool: pool, format: .raw, size: 0, image: key)
    let row = new
    try await services.store.write { try row.insert($0) }
    let there =
      pools.isMirrored(pool) ? StoragePools.places.filter { pools.sideProblem(of: pool, $0) == nil } : [0]
    let paths = there.map { self.path(of: row, side: $0) }
    do {
      new.size = try await offThread("image") {
        for path in paths { try LayerFile.bring(disk, as: path) }
        return try Descriptor.open(paths.first ?? disk, O_RDONLY).size() & ~511
      }
      if pools.isMirrored(pool) { new.sides = there.reduce(0) { $0 | 1 << $1 } }
      new.state = .ready
      let ready = new
      try await services.store.write { try ready.update($0) }
    } catch {
      await drop(new)
      throw APIError(host: error)
    }
    return new
  }

  /// A disk of its own over an image's, which no data is copied for. It is ``LayerRecord/State/making``.
  func makeDisk(from image: StoredImage, in pool: String, size: UInt64?) async throws -> LayerRecord? {
    guard let disk = image.disk else { return nil }
    // The image's layer may go with the last that stands on it before this one does.
    for _ in 0..<8 {
      let base = try await layer(of: image, disk, in: pool)
      if let made = try await makeLayer(over: base, size: size) { return made }
    }
    throw APIError(.failed, "the image's disk cannot be kept in the storage pool `\(pool)`")
  }

  // MARK: - Size

  /// Makes an instance's disk larger; one that is as large stays as it is. No machine has it.
  func growDisk(of record: InstanceRecord, to size: UInt64) async throws {
    let size = Int64(clamping: size) & ~511
    guard let id = record.layer else {
      if let disk = folder(of: record).oldDisk {
        try await offThread("grow") { try LayerFile.growRaw(disk.top.path, to: UInt64(size)) }
      }
      return
    }
    guard let layer = try await services.store.read({ try LayerRecord.fetchOne($0, key: id) }),
      layer.size < size
    else { return }
    let path = path(of: layer)
    switch layer.format {
    case .raw where !pools.isMirrored(layer.pool):
      try await offThread("grow") { try LayerFile.growRaw(path, to: UInt64(size)) }
      try await services.store.write { try LayerRecord.resize(id, to: size, $0) }
    case .raw, .qcow2:
      guard let larger = try await makeLayer(over: layer, size: UInt64(size)) else { return }
      try await services.store.write { try Self.keep(larger, as: record.id, $0) }
      await seal(layer)
    }
  }

  // MARK: - Keeping and dropping

  /// Makes a layer that was made an instance's own.
  static func keep(_ layer: LayerRecord, as instance: String, _ database: Database) throws {
    try database.execute(
      sql: "UPDATE layers SET state = 'ready' WHERE id = ? AND state IN ('making', 'handed')",
      arguments: [layer.id])
    try database.execute(
      sql: "UPDATE instances SET layer = ? WHERE id = ?", arguments: [layer.id, instance])
  }

  /// Has a layer go that nobody was given.
  func drop(_ layer: LayerRecord) async {
    do {
      try await services.store.write { database in
        try database.execute(sql: "UPDATE layers SET state = 'dropped' WHERE id = ?", arguments: [layer.id])
      }
    } catch { services.logger.error("the layer \(layer.id) stays until the daemon starts again: \(error)") }
    await collectLayers()
  }

  /// Removes what nobody needs any more, as far as its pool is there.
  func collectLayers() async {
    do {
      let dropped = try await services.store.write { database in
        try LayerRecord.drop(database)
        return try LayerRecord.filter(
          LayerRecord.CodingKeys.state == LayerRecord.State.dropped.rawValue
        ).fetchAll(database)
      }
      if dropped.isEmpty { return }
      let pools = pools
      let gone = try await offThread("layers") {
        var gone: Set<String> = []
        for (pool, layers) in Dictionary(grouping: dropped, by: \.pool) where pools.problem(of: pool) == nil {
          let sides = pools.isMirrored(pool) ? Array(StoragePools.places) : [0]
          let there = sides.filter { pools.sideProblem(of: pool, $0) == nil }
          for side in there { try LayerFile.remove(layers.map { pools.layer($0.id, in: pool, side: side) }) }
          if pools.isMirrored(pool) { for layer in layers { self.mirrorFolder(layer.id).remove() } }
          // What is on a side that is not there goes when it is back.
          if there.count == sides.count { gone.formUnion(layers.map(\.id)) }
        }
        return gone
      }
      try await services.store.write { try LayerRecord.forget($0, gone) }
      Task { await mergeLayers() }
    } catch { services.logger.error("layers that nobody needs cannot be removed: \(APIError(host: error))") }
  }
}
