internal import Foundation
internal import GRDB
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// Disks in pools that are in two places at once (docs/decisions/0018). What a machine writes is a pair of files with
/// metadata of its own, which alone say what is on which side; of what is not written any more, the layer's row does.
extension Instances {
  nonisolated func mirrorFolder(_ layer: String) -> MirrorFolder {
    MirrorFolder("\(services.dataDirectory)/mirrors/\(layer)")
  }

  /// The sides that are there and have a layer whole.
  nonisolated func places(of layer: LayerRecord) -> [Int] {
    guard pools.isMirrored(layer.pool) else { return [0] }
    return wholePlaces(of: layer).filter { pools.sideProblem(of: layer.pool, $0) == nil }
  }

  /// The sides that have a layer whole, whether they are there or not.
  nonisolated func wholePlaces(of layer: LayerRecord) -> [Int] {
    guard let facts = try? mirrorFolder(layer.id).read() else {
      return StoragePools.places.filter { layer.sides & 1 << $0 != 0 }
    }
    return facts.current.sorted()
  }

  nonisolated func path(of layer: LayerRecord, side: Int) -> String {
    pools.layer(layer.id, in: layer.pool, side: side)
  }

  // MARK: - Chains

  /// The files of a mirrored disk, with both sides where both may be used. Nil when no side has it.
  nonisolated func mirroredFiles(_ layers: [LayerRecord], size: UInt64) -> DiskChain? {
    guard let top = layers.first else { return nil }
    let folder = mirrorFolder(top.id)
    guard folder.isThere else {
      // It is not written any more.
      let found = places(of: top).lazy.compactMap { self.sideLayers(layers, $0, strictly: false) }.first
      return found.flatMap { DiskChain(layers: $0, size: size) }
    }
    guard let facts = try? folder.read() else { return nil }
    let there = StoragePools.places.filter { pools.sideProblem(of: top.pool, $0) == nil }
    let genuine = there.filter { facts.files[$0].isThere(path(of: top, side: $0)) }
    // Files that are others than they were are taken where both are, or the only one: somebody has moved the pool.
    let moved = facts.current.isDisjoint(with: genuine) && facts.current.isSubset(of: there)
    let own = (moved ? there : genuine).first { facts.current.contains($0) }
    guard let own, let files = sideLayers(layers, own, strictly: false) else { return nil }
    var other: DiskChain.Mirror.Side?
    if genuine.contains(1 - own), facts.sides[1 - own] != .missing,
      let files = sideLayers(layers, 1 - own, strictly: true)
    {
      other = .init(label(top, 1 - own, facts), layers: files)
    }
    return DiskChain(
      layers: files, size: size,
      mirror: .init(metadata: folder.metadata, own: label(top, own, facts), other: other))
  }

  nonisolated func label(
    _ layer: LayerRecord, _ place: Int, _ facts: MirrorFolder.Facts
  ) -> DiskChain.Mirror.Label {
    let file = facts.files[place]
    return .init(
      place: UInt8(place), high: file.high, low: file.low, name: path(of: layer, side: place))
  }

  /// The files of a disk on one side. What is beneath may come from the other where this one lacks it, unless `strictly`.
  nonisolated func sideLayers(
    _ layers: [LayerRecord], _ place: Int, strictly: Bool
  ) -> [DiskChain.Layer]? {
    var files: [DiskChain.Layer] = []
    for (index, layer) in layers.enumerated() {
      var place = place
      if index > 0 {
        let places = places(of: layer)
        if !places.contains(place) {
          guard !strictly, let other = places.first else { return nil }
          place = other
        }
      }
      files.append(.init(path: path(of: layer, side: place), format: layer.format))
    }
    return files
  }

  // MARK: - Making

  /// Makes the file of a layer that is to be written: empty, over another or over none. In a mirrored pool on each side
  /// that has what it stands on, with the pair's metadata.
  func makeFile(of layer: LayerRecord, over parent: LayerRecord?) async throws {
    guard pools.isMirrored(layer.pool) else {
      let path = path(of: layer)
      return try await offThread("layer") { try Self.makeFile(path, layer, over: parent) }
    }
    var places = Set(StoragePools.places.filter { pools.sideProblem(of: layer.pool, $0) == nil })
    if let parent {
      await settle(parent)
      for beneath in try await services.store.read({ try LayerRecord.chain($0, from: parent.id) }) {
        places.formIntersection(self.places(of: beneath))
      }
    }
    let paths = StoragePools.places.map { path(of: layer, side: $0) }
    let (wanted, folder) = (places.sorted(), mirrorFolder(layer.id))
    let made = try await offThread("layer") {
      var made: [Int] = []
      var failure: (any Error)?
      for place in wanted {
        do {
          try Self.makeFile(paths[place], layer, over: parent)
          made.append(place)
        } catch { failure = error }
      }
      // A side that fails is not to keep the other from going on; one that is full is to be told of.
      if let failure, made.isEmpty || (failure as? VolaryError)?.wayOut != nil { throw failure }
      guard !made.isEmpty else {
        throw APIError.conflict(
          "no side of the storage pool `\(layer.pool)` has what the disk stands on",
          wayOut: "bring back the side that is not there; 'volary storage info \(layer.pool)' names it")
      }
      try folder.make(
        size: UInt64(clamping: layer.size), paths: paths,
        isThere: StoragePools.places.map { made.contains($0) })
      return made
    }
    try await note(made, of: layer)
  }

  nonisolated static func makeFile(
    _ path: String, _ layer: LayerRecord, over parent: LayerRecord?
  ) throws(VolaryError) {
    let size = UInt64(clamping: layer.size)
    if let parent {
      try LayerFile.create(path, size: size, over: (parent.id, parent.format))
    } else {
      try LayerFile.createRaw(path, size: size)
    }
  }

  /// The sides on which a layer is whole, in its row.
  func note(_ places: [Int], of layer: LayerRecord) async throws {
    let sides = places.reduce(0) { $0 | 1 << $1 }
    try await services.store.write { database in
      try database.execute(
        sql: "UPDATE layers SET sides = ? WHERE id = ?", arguments: [sides, layer.id])
    }
  }

  /// Has a layer that was made on one side, and is not written any more, be on the other too, if that is there.
  func makeOther(of layer: LayerRecord) async throws {
    guard pools.isMirrored(layer.pool) else { return }
    let there = StoragePools.places.filter { pools.sideProblem(of: layer.pool, $0) == nil }
    guard let first = there.first else { return }
    var made = [first]
    if let second = there.dropFirst().first {
      let (from, to) = (path(of: layer, side: first), path(of: layer, side: second))
      do {
        try await offThread("layer") { try LayerFile.copy(from, as: to) }
        made.append(second)
      } catch { services.logger.error("\(APIError(host: error).message); the disk is on one side alone") }
    }
    try await note(made, of: layer)
  }

  // MARK: - No longer written

  /// Has nobody write by mistake to a layer that nobody has written since it was made.
  func protect(_ layer: LayerRecord) {
    let sides = pools.isMirrored(layer.pool) ? Array(StoragePools.places) : [0]
    for side in sides { LayerFile.protect(path(of: layer, side: side)) }
  }

  /// Has nobody write a layer any more: whoever had it is done, and something stands on it or is about to.
  func seal(_ layer: LayerRecord) async {
    guard pools.isMirrored(layer.pool) else { return LayerFile.protect(path(of: layer)) }
    let folder = mirrorFolder(layer.id)
    guard folder.isThere else { return }
    await settle(layer)
    // Where that could not be done, the metadata stay, and say what is on which side.
    guard let facts = try? folder.read(), facts.isSettled || facts.current.count == 1 else { return }
    do {
      try await note(facts.current.sorted(), of: layer)
      try await offThread("layer") {
        for place in facts.current { LayerFile.protect(self.path(of: layer, side: place)) }
        folder.remove()
      }
    } catch { services.logger.error("the metadata of the layer \(layer.id) stay: \(error)") }
  }

  /// Makes both sides of what a machine wrote the same, so that either can be read alone. Nothing where a machine has it,
  /// which does so itself.
  private func settle(_ layer: LayerRecord) async {
    guard let facts = try? mirrorFolder(layer.id).read(), facts.current.count == 2, facts.marked > 0,
      let chain = try? await services.store.read({ try LayerRecord.chain($0, from: layer.id) }),
      let files = files(chain)
    else { return }
    do { try await offThread("mirror") { try MirrorRepair.settle(files) } } catch {
      services.logger.debug("the sides of the layer \(layer.id) are not compared now: \(error)")
    }
  }

  /// Seals what a disk stands on, where that has yet to be done, before somebody reads it.
  func sealBeneath(_ top: String) async {
    let chain = (try? await services.store.read { try LayerRecord.chain($0, from: top) }) ?? []
    for layer in chain.dropFirst() where mirrorFolder(layer.id).isThere { await seal(layer) }
  }

  /// Ends what an earlier daemon, or a machine, did not: metadata of layers that nobody writes any more.
  func sealLeftovers() async {
    let folder = "\(services.dataDirectory)/mirrors"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names {
      let found = try? await services.store.read { database -> (layer: LayerRecord?, isWritten: Bool) in
        guard let layer = try LayerRecord.fetchOne(database, key: name) else { return (nil, false) }
        return (layer, try layer.state != .ready || Self.isWritten(layer.id, database))
      }
      guard let found else { continue }
      if let layer = found.layer {
        if !found.isWritten { await seal(layer) }
      } else if UUID(uuidString: name) != nil {
        mirrorFolder(name).remove()
      }
    }
  }

  /// Whether a layer is an instance's or a volume's own.
  static func isWritten(_ layer: String, _ database: Database) throws -> Bool {
    try InstanceRecord.filter(InstanceRecord.CodingKeys.layer == layer).fetchCount(database) > 0
      || VolumeRecord.filter(VolumeRecord.CodingKeys.layer == layer).fetchCount(database) > 0
  }
}
