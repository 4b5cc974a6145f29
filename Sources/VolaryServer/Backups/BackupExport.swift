internal import DiskImages
internal import Foundation
internal import Glibc
internal import HostSystem
internal import VolaryAPI
internal import VolaryHost

/// A backup that is about to be written: its files are open, so that nothing that happens to what it is of changes it.
final class BackupExport: Sendable {
  /// What is to be in it.
  struct Source: Sendable {
    struct Snapshot: Sendable {
      let name: String
      let description: String
      let createdAt: Timestamp
      let expiresAt: Timestamp?
      let instance: BackupIndex.Instance?
      let layer: String?

      init(_ snapshot: VolumeSnapshotRecord) {
        name = snapshot.name
        description = snapshot.description
        createdAt = snapshot.createdAt
        expiresAt = snapshot.expiresAt
        instance = nil
        layer = snapshot.layer
      }

      init(_ snapshot: SnapshotRecord) {
        name = snapshot.name
        description = snapshot.description
        createdAt = snapshot.createdAt
        expiresAt = snapshot.expiresAt
        instance = .init(snapshot)
        layer = snapshot.layer
      }
    }

    struct Layer: Sendable {
      let id: String
      let path: String
      let format: DiskChain.Format
    }

    let name: String
    let type: String
    let project: String
    let pool: String
    let instance: BackupIndex.Instance?
    var volume: BackupIndex.Volume?
    let snapshots: [Snapshot]
    /// Its own disk's layer, beneath the one that is written.
    let layer: String?
    /// Paths of what else is in it, by name; those that are not there are not.
    let files: [String: String]
    /// The layers of all disks, nearest first.
    let chains: [[Layer]]
  }

  private let source: Source
  private let selection: LayerSelection
  private let files: [(name: String, file: Descriptor, size: UInt64)]
  private let images: [String: any DiskImage]

  /// Opens all files.
  init(_ source: Source) throws {
    self.source = source
    selection = LayerSelection(source.chains.map { $0.map(\.id) })
    files = try source.files.sorted { $0.key < $1.key }.reversed().compactMap { name, path in
      guard access(path, F_OK) == 0 else { return nil }
      let file = try Descriptor.open(path, O_RDONLY)
      return (name, file, UInt64(clamping: try file.size()))
    }
    var images: [String: any DiskImage] = [:]
    for chain in source.chains {
      var beneath: (any DiskImage)?
      for layer in chain.reversed() {
        let image =
          try images[layer.id]
          ?? DiskImages.open(
            format: layer.format == .raw ? .raw : .qcow2,
            descriptor: try Descriptor.open(layer.path, O_RDONLY),
            name: layer.path, readOnly: true, base: beneath)
        images[layer.id] = image
        beneath = image
      }
    }
    self.images = images
  }

  /// Writes it, and returns the bytes of the file.
  func write(
    to path: String, _ compression: ArchiveCompression, _ room: HostRoom, _ context: OperationContext
  ) throws -> UInt64 {
    context.progress("looking through the disk")
    let disks = try selection.disks.enumerated().map { place, disk in
      let isOwn = source.layer.flatMap { selection[$0] } == place
      return (isOwn ? "disk.qcow2" : "disk-\(place).qcow2", try StreamedQCOW2(slice(disk, place)), disk)
    }
    let members =
      files.map { BackupIndex.File(name: $0.name, size: Int64(clamping: $0.size)) }
      + disks.map { BackupIndex.File(name: $0.0, size: Int64(clamping: $0.1.byteCount)) }
    let index = try index(disks.map { ($0.0, $0.2) }, members).encoded()
    let total = members.reduce(0) { $0 + $1.size }
    // Packed it may be much less.
    try room.check(compression == .none ? UInt64(clamping: total) : 0)
    var done: Int64 = 0
    let writer = try BackupWriter(
      path, compression, room: room, time: UInt64(clamping: time(nil))
    ) { count in
      done += Int64(clamping: count)
      context.progress("writing the backup", done: done, total: total, unit: "bytes")
      return !context.isCancelled
    }
    try writer.add(BackupArchive.indexName, size: UInt64(index.count), .bytes(index))
    for file in files { try writer.add(file.name, size: file.size, .file(file.file)) }
    for (name, disk, _) in disks { try writer.add(name, size: disk.byteCount, .disk(disk)) }
    return try writer.finish()
  }

  private func slice(_ disk: LayerSelection.Disk, _ place: Int) throws -> LayerSlice {
    var layers = disk.layers
    var next = disk.over
    while let over = next {
      layers += selection.disks[over].layers
      next = selection.disks[over].over
    }
    let found = layers.compactMap { images[$0] }
    guard found.count == layers.count else { throw APIError(.failed, "a layer of the disk is not there") }
    return LayerSlice(found, count: disk.layers.count)
  }

  private func index(
    _ disks: [(String, LayerSelection.Disk)], _ files: [BackupIndex.File]
  ) -> BackupIndex {
    let place = { (layer: String?) in layer.flatMap { self.selection[$0] } }
    var index = BackupIndex(
      name: source.name, type: source.type, project: source.project, pool: source.pool,
      snapshots: source.snapshots.map { snapshot in
        .init(
          name: snapshot.name, description: snapshot.description, createdAt: snapshot.createdAt,
          expiresAt: snapshot.expiresAt, instance: snapshot.instance, disk: place(snapshot.layer))
      },
      disks: disks.map { name, disk in
        .init(
          file: name, size: Int64(clamping: images[disk.layers.first ?? ""]?.size ?? 0), over: disk.over)
      }, disk: place(source.layer), files: files)
    index.instance = source.instance
    index.volume = source.volume
    return index
  }
}
