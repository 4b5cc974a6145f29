internal import DiskImages
internal import Glibc
internal import HostSystem

/// Makes layers of the disks in a backup. They are copied by what they hold, and not taken as they are: what a layer's
/// tables say was written here.
package enum DiskUnpacking {
  /// Makes the file of a layer: over `beneath`, nearest first, or whole by itself, as raw. `size` is what the index says
  /// of the disk, in bytes. `progress` says whether to go on.
  package static func run(
    _ source: FilePart, size: UInt64, to path: String, over beneath: [DiskChain.Layer], room: HostRoom,
    progress: @escaping (UInt64) -> Bool
  ) throws(VolaryError) {
    let disk = try open(source, size: size)
    do {
      if let next = beneath.first {
        let name = (next.path.split(separator: "/").last).map(String.init) ?? ""
        try LayerFile.create(path, size: size, over: (name, next.format))
        try copy(disk, to: path, over: beneath, room, progress)
      } else {
        try LayerFile.createRaw(path)
        try copy(disk, to: path, room, progress)
      }
    } catch let error as VolaryError { throw error } catch let error as Errno {
      throw error == .io
        ? VolaryError(.usage, "the disk \(source.name) is damaged") : BackupWriter.failure(error, path, room)
    } catch { throw VolaryError("cannot make the disk \(path): \(error)") }
  }

  private static func open(_ source: FilePart, size: UInt64) throws(VolaryError) -> QCOW2Image {
    do throws(DiskImageError) {
      let disk = try QCOW2Image(source)
      guard disk.size == size else {
        throw DiskImageError.damaged(
          name: source.name, format: .qcow2, reason: "it has another size than the index says")
      }
      return disk
    } catch {
      switch error {
      case .backingMissing(_, let named):
        throw VolaryError(
          .usage,
          "the disk \(source.name) wants to stand on \(named.prefix(100)), and a backup's stand on none")
      default: throw VolaryError(.usage, "\(error)")
      }
    }
  }

  private static func copy(
    _ disk: QCOW2Image, to path: String, over beneath: [DiskChain.Layer], _ room: HostRoom,
    _ progress: (UInt64) -> Bool
  ) throws {
    var under: (any DiskImage)?
    for layer in beneath.reversed() {
      under = try DiskImages.open(
        format: layer.format == .raw ? .raw : .qcow2, descriptor: try Descriptor.open(layer.path, O_RDONLY),
        name: layer.path, readOnly: true, base: under)
    }
    let file = try HostFile(try Descriptor.open(path, O_RDWR), name: path, readOnly: false)
    let upper = try QCOW2Image(file, backing: under)
    var failure: VolaryError?
    let isWhole = try LayerMerge.copy(from: disk, to: upper) { count in
      do throws(VolaryError) { try room.note(count) } catch { failure = error }
      return failure != nil || !progress(UInt64(count))
    }
    if let failure { throw failure }
    if !isWhole { throw VolaryError("cancelled") }
    try upper.close()
  }

  private static func copy(
    _ disk: QCOW2Image, to path: String, _ room: HostRoom, _ progress: (UInt64) -> Bool
  ) throws {
    let file = try HostFile(try Descriptor.open(path, O_RDWR), name: path, readOnly: false)
    let writer = try DiskImages.writer(format: .raw, file: file, size: disk.size)
    var (failure, before): (VolaryError?, UInt64) = (nil, 0)
    do throws(DiskCopy.Failure) {
      try DiskCopy.run(from: disk, to: writer) { done, _ in
        defer { before = done }
        do throws(VolaryError) { try room.note(Int(done - before)) } catch { failure = error }
        return failure == nil && progress(done - before)
      }
    } catch {
      if let failure { throw failure }
      switch error {
      case .reading(let number): throw number
      case .writing(let number): throw BackupWriter.failure(number, path, room)
      case .cancelled: throw VolaryError("cancelled")
      }
    }
  }
}
