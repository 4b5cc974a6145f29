import Foundation

/// A root file system on its way from packages to a disk.
///
/// An ordinary user's programs run under fakeroot, which remembers owners and modes by inode in
/// `state`. So nothing may be removed from the tree outside it: a new file could get a removed one's.
struct RootTree {
  private let work: URL
  private let isRoot = geteuid() == 0

  init(work: URL) { self.work = work }

  var folder: URL { work.appendingPathComponent("root", isDirectory: true) }
  private var control: URL { work.appendingPathComponent("control", isDirectory: true) }
  private var state: String { work.appendingPathComponent("fakeroot").path }

  /// Unpacks every package of a folder; runs nothing of them.
  func unpack(packages: URL, progress: @escaping @Sendable (Double) -> Void) throws {
    let script = work.appendingPathComponent("unpack-root")
    try Data(PackageResources.unpack_root).write(to: script)
    let total = try FileManager.default.contentsOfDirectory(atPath: packages.path)
      .filter { $0.hasSuffix(".deb") }.count
    let count = Counter()
    let command = ["sh", script.path, packages.path, work.path]
    let (program, arguments) = asRoot(command, options: ["-s", state])
    // File names are UTF-8; in the C locale tar would escape them.
    try HostTool.run(
      program, arguments, environment: ["LC_ALL": "C.UTF-8"], doing: "unpacking the packages"
    ) { _ in progress(Double(count.next()) / Double(max(total, 1))) }
  }

  /// What was unpacked.
  func packages() throws -> [UnpackedPackage] {
    try FileManager.default.contentsOfDirectory(atPath: control.path).sorted().map {
      try UnpackedPackage(folder: control.appendingPathComponent($0, isDirectory: true))
    }
  }

  /// Adds files that no package holds, owned by root.
  func add(_ files: [(path: String, contents: Data, mode: Int)]) throws {
    let manager = FileManager.default
    for (path, contents, mode) in files {
      let file = folder.appendingPathComponent(path)
      try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try contents.write(to: file)
      try manager.setAttributes([.posixPermissions: mode], ofItemAtPath: file.path)
    }
  }

  /// Writes the tree as an ext4 file system into a sparse file of `size` bytes, without mounting it.
  ///
  /// Features that kernels before 6.6 lack, or that the guest would finish in the background, are off.
  func writeDisk(_ disk: URL, size: Int64) throws {
    let (program, arguments) = asRoot(
      [
        "mke2fs", "-q", "-F", "-t", "ext4", "-L", "volary", "-m", "1", "-J", "size=32",
        "-O", "^metadata_csum_seed,^orphan_file", "-E", "lazy_itable_init=0,lazy_journal_init=1",
        "-d", folder.path, disk.path, "\(size / 1024)k",
      ], options: ["-i", state])
    try HostTool.run(program, arguments, doing: "writing the root disk")
  }

  /// Checks a root disk that nobody has mounted, and gives unused blocks back to the host.
  static func checkDisk(_ disk: URL) throws {
    try HostTool.run("e2fsck", ["-f", "-n", disk.path], doing: "checking the root disk")
    try HostTool.run("e2fsck", ["-f", "-p", "-E", "discard", disk.path], doing: "trimming the root disk")
  }

  private func asRoot(_ command: [String], options: [String]) -> (program: String, arguments: [String]) {
    isRoot ? (command[0], Array(command.dropFirst())) : ("fakeroot", options + ["--"] + command)
  }
}
