internal import Foundation
internal import Glibc
internal import HostSystem

/// Where an instance's files are: a folder of its own, which goes with it.
package struct InstanceFolder: Equatable, Sendable {
  package let path: String
  /// The folder that the disk of an instance from before there were layers is in, if it is elsewhere; it goes with the
  /// instance too.
  package let diskFolder: String?

  package init(_ path: String, diskFolder: String? = nil) {
    self.path = path
    self.diskFolder = diskFolder
  }

  /// The root disk of such an instance, raw and with holes.
  package var disk: String { (diskFolder ?? path) + "/disk.raw" }
  /// The image's kernel and initial RAM disk, which have to fit what is on the disk: the image may go.
  package var kernel: String { path + "/kernel" }
  package var initrd: String { path + "/initrd" }
  /// What UEFI firmware keeps of an instance that has no kernel; empty before its first start.
  package var variables: String { path + "/variables" }
  /// These by their names in a backup. There may be no more than some.
  package var ownFiles: [String: String] { ["kernel": kernel, "initrd": initrd, "variables": variables] }
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

  /// A machine that was kept, under a name: a snapshot's identity, or `start`.
  package func kept(_ name: String) -> KeptMachine { KeptMachine("\(path)/kept/\(name)") }

  /// The names of those that there are, whole or not.
  package var keptNames: [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: path + "/kept")) ?? []
  }

  /// Makes the folder and fills it from an image, or from what another instance was made of: kernel and initial RAM
  /// disk are the same files by another name where that is possible. Without a kernel firmware starts it, whose variables
  /// are a copy of others' or still to be made. Leaves nothing behind when it fails.
  package func make(kernel source: String?, initrd other: String?, variables template: String? = nil) throws {
    try make {
      if let source {
        try Self.share(source, as: kernel)
      } else if let template {
        try FileManager.default.copyItem(atPath: template, toPath: variables)
      } else {
        _ = try Descriptor.open(variables, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
      }
      if let other, access(other, F_OK) == 0 { try Self.share(other, as: initrd) }
    }
  }

  /// Makes the folder of a copy, which has what starts the other, and variables of its own.
  package func make(like other: InstanceFolder) throws {
    try make(kernel: other.hasKernel ? other.kernel : nil, initrd: other.initrd, variables: other.variables)
  }

  /// Whether a kernel starts the instance, and not firmware.
  package var hasKernel: Bool { access(kernel, F_OK) == 0 }

  /// Makes the folder, which `fill` fills. Leaves nothing behind when that fails.
  package func make(_ fill: () throws -> Void) throws {
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    do { try fill() } catch {
      remove()
      throw error
    }
  }

  /// Takes such a disk's name away when it has another.
  package func removeOldDisk() {
    var status = stat()
    guard stat(disk, &status) == 0, status.st_nlink > 1 else { return }
    unlink(disk)
    if let diskFolder { rmdir(diskFolder) }
  }

  package func remove() {
    for folder in [diskFolder, path].compactMap({ $0 }) {
      ImageStore.removeTree(URL(fileURLWithPath: folder, isDirectory: true))
    }
  }

  /// The disk of an instance from before there were layers; nil when there is none.
  package var oldDisk: DiskChain? {
    ImageStore.sizes(of: URL(fileURLWithPath: disk)).flatMap {
      DiskChain(layers: [.init(path: disk, format: .raw)], size: UInt64(clamping: $0.length))
    }
  }

  /// A file that nobody writes to under another name.
  private static func share(_ file: String, as other: String) throws {
    if (try? FileManager.default.linkItem(atPath: file, toPath: other)) != nil { return }
    try FileManager.default.copyItem(atPath: file, toPath: other)
  }
}
