internal import Foundation
internal import Glibc
internal import HostSystem

/// A layer's file in a storage pool. Whoever makes one has it on stable storage, with its name, when this returns.
package enum LayerFile {
  /// Makes a qcow2 file that holds nothing yet over what is beneath, which has the name `backing` in the same folder.
  /// `size` is in bytes; what is behind the end of a smaller one beneath reads as zeros.
  package static func create(
    _ path: String, size: UInt64, over backing: (name: String, format: DiskChain.Format)
  ) throws(VolaryError) {
    let bytes = EmptyQCOW2(size: size, backing: backing.name, format: backing.format).bytes
    try making(path) { (file) throws(Errno) in
      try file.writeAll(bytes[...], at: 0)
    }
  }

  /// Makes a raw layer of no bytes yet, or of `size`, all of them zero.
  package static func createRaw(_ path: String, size: UInt64 = 0) throws(VolaryError) {
    try making(path) { (file) throws(Errno) in
      try file.truncate(to: Int64(clamping: size))
    }
  }

  /// Makes a raw layer of an image's disk: the same file by another name where that is possible, since nobody ever writes
  /// to an image; else a copy, which shares its blocks where the file system can.
  package static func bring(_ source: String, as path: String) throws(VolaryError) {
    try makeFolder(of: path)
    if link(source, path) == 0 { return try synchronizeFolder(of: path) }
    try making(path) { (file) throws(Errno) in
      try file.copyContent(of: try Descriptor.open(source, O_RDONLY))
    }
  }

  /// Makes a layer's file what another is, on another side of a pool: whole, or not there. Nobody writes to the other.
  package static func copy(_ source: String, as path: String) throws(VolaryError) {
    try makeFolder(of: path)
    let new = path + ".copy"
    unlink(new)
    do throws(Errno) {
      let file = try Descriptor.open(new, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      do throws(Errno) {
        try file.copyContent(of: try Descriptor.open(source, O_RDONLY))
        try file.synchronize()
        guard Glibc.rename(new, path) == 0 else { throw Errno(errno) }
      } catch {
        unlink(new)
        throw error
      }
    } catch {
      throw VolaryError(
        VolaryError.Code(error), "cannot copy \(source) to \(path): \(error)",
        wayOut: error == .noSpace ? ImageStore.roomAdvice : nil)
    }
    try synchronizeFolder(of: path)
  }

  /// Gives a file that lies elsewhere in the same file system the name of a layer; it keeps its own.
  package static func adopt(_ source: String, as path: String) throws(VolaryError) {
    try makeFolder(of: path)
    guard link(source, path) == 0 || errno == EEXIST else {
      throw VolaryError("cannot make \(source) the layer \(path): \(Errno(errno))")
    }
    try synchronizeFolder(of: path)
  }

  /// Which file it is, of those that are never changed: one that takes its place is another. Nil when there is none.
  package static func identity(of path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    return "\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec)"
  }

  /// Has a file that ``create(_:size:over:)`` made name another one beneath it, whose name is as long. For other programs
  /// alone: who stands on what is not read from files here.
  package static func name(_ path: String, as backing: DiskChain.Layer) throws(VolaryError) {
    let name = Array((backing.path as NSString).lastPathComponent.utf8)
    do throws(Errno) {
      let file = try Descriptor.open(path, O_RDWR)
      var head = try file.read(4096, at: 0)
      guard head.count == 4096, EmptyQCOW2.name(&head, name, backing.format) else { throw .invalid }
      try file.writeAll(head[...], at: 0)
      try file.synchronize()
    } catch { throw VolaryError("the disk \(path) cannot be told what it stands on: \(error)") }
  }

  /// Has nobody write to it by mistake.
  package static func protect(_ path: String) {
    var status = stat()
    // By its other name it is an image's.
    if stat(path, &status) == 0, status.st_nlink == 1 { chmod(path, 0o400) }
  }

  /// Removes files; those that are gone already count as removed. Their names stay gone after a power cut.
  package static func remove(_ paths: [String]) throws(VolaryError) {
    for path in paths where unlink(path) != 0 && errno != ENOENT {
      throw VolaryError("cannot remove \(path): \(Errno(errno))")
    }
    if let last = paths.last, access((last as NSString).deletingLastPathComponent, F_OK) == 0 {
      try synchronizeFolder(of: last)
    }
  }

  /// Has a file take the place of another in the same folder.
  static func put(_ path: String, inPlaceOf place: String) throws(VolaryError) {
    guard Glibc.rename(path, place) == 0 else {
      throw VolaryError("cannot write \(place): \(Errno(errno))")
    }
    try synchronizeFolder(of: place)
  }

  /// Whether nothing has been written to a qcow2 file that ``create(_:size:over:)`` made: its first table has no entry.
  /// Nobody has it open to write.
  package static func isEmpty(_ path: String) -> Bool {
    guard let file = try? Descriptor.open(path, O_RDONLY), let header = try? file.read(48, at: 0),
      header.count == 48
    else { return false }
    func number(_ offset: Int, _ count: Int) -> UInt64 {
      header[offset..<offset + count].reduce(0) { $0 << 8 | UInt64($1) }
    }
    let count = Int(number(36, 4)) * 8
    guard count <= 32 << 20, let table = try? file.read(count, at: number(40, 8)), table.count == count
    else { return false }
    return table.allSatisfy { $0 == 0 }
  }

  /// Bytes that it takes on the host.
  package static func storedBytes(_ path: String) -> Int64 {
    ImageStore.sizes(of: URL(fileURLWithPath: path))?.stored ?? 0
  }

  /// Makes a raw layer larger; one that is as large already stays as it is. No machine has it.
  package static func growRaw(_ path: String, to size: UInt64) throws(VolaryError) {
    do throws(Errno) {
      let file = try Descriptor.open(path, O_RDWR)
      if try file.size() < Int64(clamping: size) & ~511 {
        try file.truncate(to: Int64(clamping: size) & ~511)
        try file.synchronize()
      }
    } catch { throw VolaryError(.init(error), "cannot make the disk \(path) larger: \(error)") }
  }

  // MARK: - Steps

  private static func making(
    _ path: String, _ fill: (Descriptor) throws(Errno) -> Void
  ) throws(VolaryError) {
    try makeFolder(of: path)
    do throws(Errno) {
      let file = try Descriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      do throws(Errno) {
        try fill(file)
        try file.synchronize()
      } catch {
        unlink(path)
        throw error
      }
    } catch {
      throw VolaryError(
        VolaryError.Code(error), "cannot make the disk \(path): \(error)",
        wayOut: error == .noSpace ? ImageStore.roomAdvice : nil)
    }
    try synchronizeFolder(of: path)
  }

  /// The pool's folder of layers is made with the first; what it is in has to be there.
  private static func makeFolder(of path: String) throws(VolaryError) {
    let folder = (path as NSString).deletingLastPathComponent
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
      throw VolaryError("cannot make the folder \(folder): \(Errno(errno))")
    }
  }

  private static func synchronizeFolder(of path: String) throws(VolaryError) {
    let folder = (path as NSString).deletingLastPathComponent
    do throws(Errno) { try Descriptor.open(folder, O_RDONLY | O_DIRECTORY).synchronize() } catch {
      throw VolaryError(.init(error), "cannot write \(folder): \(error)")
    }
  }
}
