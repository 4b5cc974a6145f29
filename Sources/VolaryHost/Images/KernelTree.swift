import Foundation

/// A Debian kernel package, unpacked beside the root file system: it is not among the image's
/// packages, because what it depends on (initramfs tools, udev) would triple them.
package struct KernelTree {
  let folder: URL
  /// As `uname -r` says it.
  let release: String
  let image: URL
  let dependencies: ModuleDependencies

  private static let modulesFolder = "usr/lib/modules"

  /// Unpacks a package and lets depmod(8) find out what its modules depend on.
  init(unpacking package: URL, into folder: URL) throws {
    self.folder = folder
    try HostTool.run("dpkg-deb", ["-x", package.path, folder.path], doing: "unpacking the kernel")
    let files = FileManager.default
    try Self.mergeUsr(folder)
    let modules = folder.appendingPathComponent(Self.modulesFolder)
    guard let release = try? files.contentsOfDirectory(atPath: modules.path).first,
      let image = ["vmlinux", "vmlinuz"].map({ folder.appendingPathComponent("boot/\($0)-\(release)") })
        .first(where: { files.fileExists(atPath: $0.path) })
    else {
      throw ImageError("the kernel package \(package.lastPathComponent) holds no kernel with modules")
    }
    self.release = release
    self.image = image
    try HostTool.run("depmod", ["-b", folder.path, release], doing: "indexing the kernel's modules")
    let index = modules.appendingPathComponent("\(release)/modules.dep")
    dependencies = ModuleDependencies(parsing: String(decoding: try Data(contentsOf: index), as: UTF8.self))
  }

  /// Makes `lib` a link to `usr/lib`; until Debian 12 kernel packages have a folder of that name.
  private static func mergeUsr(_ folder: URL) throws {
    let files = FileManager.default
    let (old, new) = (folder.appendingPathComponent("lib"), folder.appendingPathComponent("usr/lib"))
    if files.fileExists(atPath: old.path) {
      try files.createDirectory(at: new, withIntermediateDirectories: true)
      for name in try files.contentsOfDirectory(atPath: old.path) {
        try files.moveItem(at: old.appendingPathComponent(name), to: new.appendingPathComponent(name))
      }
      try files.removeItem(at: old)
    }
    try files.createSymbolicLink(atPath: old.path, withDestinationPath: "usr/lib")
  }

  /// Copies the modules of a list of folders and files (Guest/module-list), and what they
  /// need, into a root file system, and indexes them there.
  func install(modulesIn list: [String], into root: URL) throws {
    let files = FileManager.default
    let source = folder.appendingPathComponent("\(Self.modulesFolder)/\(release)")
    let target = root.appendingPathComponent("\(Self.modulesFolder)/\(release)")
    try files.createDirectory(at: target, withIntermediateDirectories: true)
    let kept = dependencies.paths.filter { Self.isListed($0, in: list) }
    for path in dependencies.insertionOrder(kept) {
      let file = target.appendingPathComponent(path)
      try files.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try files.copyItem(at: source.appendingPathComponent(path), to: file)
    }
    for name in ["modules.order", "modules.builtin", "modules.builtin.modinfo"]
    where files.fileExists(atPath: source.appendingPathComponent(name).path) {
      try files.copyItem(at: source.appendingPathComponent(name), to: target.appendingPathComponent(name))
    }
    try HostTool.run("depmod", ["-b", root.path, release], doing: "indexing the image's modules")
  }

  /// Whether a path such as `kernel/fs/ext4/ext4.ko.xz` is one of, or below, the list's entries.
  package static func isListed(_ path: String, in list: [String]) -> Bool {
    let path = path.hasPrefix("kernel/") ? path.dropFirst("kernel/".count) : path[...]
    return list.contains { path.hasPrefix($0) && ["/", "."].contains(path.dropFirst($0.count).first) }
  }

  /// A module's contents, uncompressed.
  func contents(ofModule path: String) throws -> Data {
    let file = folder.appendingPathComponent("\(Self.modulesFolder)/\(release)/\(path)")
    guard path.hasSuffix(".xz") else { return try Data(contentsOf: file) }
    let plain = folder.appendingPathComponent("module.ko")
    try HostTool.run(
      "sh", ["-c", "exec xz -dc <\"$1\" >\"$2\"", "sh", file.path, plain.path], doing: "unpacking \(path)")
    return try Data(contentsOf: plain)
  }
}
