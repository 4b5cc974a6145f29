internal import Foundation
internal import Glibc
internal import HostSystem

/// Where an instance's files are: a folder of its own, which goes with it.
package struct InstanceFolder: Equatable, Sendable {
  package let path: String
  /// The folder that the disk is in, if it is elsewhere; it goes with the instance too.
  package let diskFolder: String?

  package init(_ path: String, diskFolder: String? = nil) {
    self.path = path
    self.diskFolder = diskFolder
  }

  /// The root disk, raw and with holes.
  package var disk: String { (diskFolder ?? path) + "/disk.raw" }
  /// The image's kernel and initial RAM disk, which have to fit what is on the disk: the image may go.
  package var kernel: String { path + "/kernel" }
  package var initrd: String { path + "/initrd" }
  /// Where the machine's process takes a controller's connection.
  package var control: String { path + "/control" }

  /// Lends a path to ``control`` that is short enough for a socket's address (unix(7)), wherever the folder is.
  package func withControlPath<Value, Failure: Error>(
    _ body: (String) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    guard control.utf8.count > UnixSocket.longestPath,
      let folder = try? Descriptor.open(path, O_RDONLY | O_DIRECTORY)
    else { return try body(control) }
    defer { withExtendedLifetime(folder) {} }
    return try body("/proc/self/fd/\(folder.raw)/control")
  }
  /// How the machine ended (`EndRecord`).
  package var end: String { path + "/end" }
  /// The last of what the guest wrote on its console (`ConsoleRing`).
  package var console: String { path + "/console" }
  /// What the processes of the machine said since it was started.
  package var log: String { path + "/log" }

  /// Makes the folder and fills it from an image: the disk is a copy, sparse, or shares the image's blocks where the
  /// file system can; kernel and initial RAM disk are the image's own files by another name where that is possible.
  /// Leaves nothing behind when it fails.
  package func make(from image: StoredImage, diskSize: UInt64?) throws {
    guard let imageKernel = image.kernel else {
      throw VolaryError(
        "the image \(image.record.name) starts by firmware, which instances do not have yet",
        wayOut: "'volary run \(image.record.name)' starts a machine from it")
    }
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    do {
      if let diskFolder {
        // What it is in has to be there: an empty mount point is not filled.
        try FileManager.default.createDirectory(
          atPath: diskFolder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
      }
      try Self.share(imageKernel.path, as: kernel)
      if let file = image.initrd { try Self.share(file.path, as: initrd) }
      if let file = image.disk { try Self.copyDisk(file.path, to: disk, size: diskSize) }
    } catch {
      remove()
      throw error
    }
  }

  package func remove() {
    for folder in [diskFolder, path].compactMap({ $0 }) {
      ImageStore.removeTree(URL(fileURLWithPath: folder, isDirectory: true))
    }
  }

  /// Bytes that the disk takes on the host.
  package var storedBytes: Int64 { ImageStore.sizes(of: URL(fileURLWithPath: disk))?.stored ?? 0 }
  /// Bytes that the guest sees of the disk.
  package var diskBytes: Int64 { ImageStore.sizes(of: URL(fileURLWithPath: disk))?.length ?? 0 }

  /// A file that nobody writes to under another name.
  private static func share(_ file: String, as other: String) throws {
    if (try? FileManager.default.linkItem(atPath: file, toPath: other)) != nil { return }
    try FileManager.default.copyItem(atPath: file, toPath: other)
  }

  /// A raw disk's copy, made to be of `size` bytes: whole sectors, and no fewer than there were.
  private static func copyDisk(_ source: String, to target: String, size: UInt64?) throws(VolaryError) {
    do throws(Errno) {
      let from = try Descriptor.open(source, O_RDONLY)
      let to = try Descriptor.open(target, O_RDWR | O_CREAT | O_EXCL)
      try to.copyContent(of: from)
      let length = try from.size()
      if let size, size > UInt64(length) { try to.truncate(to: Int64(size & ~511)) }
      // What the guest finds has to be what the image has, also after a power cut.
      try to.synchronize()
    } catch {
      throw VolaryError(
        VolaryError.Code(error), "cannot make the disk \(target): \(error)",
        wayOut: error == .noSpace ? ImageStore.roomAdvice : nil)
    }
  }
}

extension InstanceFolder {
  /// Makes the disk larger; one that is as large already stays as it is. No machine has it.
  package func growDisk(to size: UInt64) throws(VolaryError) {
    guard access(disk, F_OK) == 0 else { return }
    do throws(Errno) {
      let file = try Descriptor.open(disk, O_RDWR)
      if try file.size() < Int64(clamping: size) & ~511 {
        try file.truncate(to: Int64(clamping: size) & ~511)
      }
    } catch { throw VolaryError("cannot make the disk \(disk) larger: \(error)") }
  }
}
