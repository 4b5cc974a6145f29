import Foundation

/// The initial RAM disk of an image: a shell, the modules that lead to the root disk, and
/// Guest/initramfs-init. Uncompressed, because unpacking is the guest's time.
enum Initramfs {
  /// Modules by what they are for: the first word of a line of the guest's `lib/modules/load`.
  ///
  /// The number after `virtio:` is the device's type (virtio 1.3, 5) in the kernel's notation. Those
  /// a kernel has built in are skipped. crc32c is what ext4 asks for by algorithm, not by symbol.
  static let modules: [(use: String, names: [String])] = [
    ("always", ["virtio_mmio", "virtio_pci"]),
    ("virtio:00000001", ["virtio_net"]),
    ("virtio:00000002", ["virtio_blk"]),
    ("virtio:00000003", ["virtio_console"]),
    ("virtio:00000004", ["virtio_rng"]),
    ("virtio:00000005", ["virtio_balloon"]),
    ("filesystem:ext4", ["crc32c_generic", "ext4"]),
  ]

  /// Builds the archive.
  ///
  /// - Parameters:
  ///   - shell: a static busybox for the guest.
  ///   - initScript: the first process.
  static func build(kernel: KernelTree, shell: Data, initScript: [UInt8]) throws -> [UInt8] {
    var archive = CpioArchive()
    for folder in ["bin", "dev", "proc", "sys", "root", "lib", "lib/modules"] { archive.addFolder(folder) }
    archive.addCharacterDevice("dev/console", major: 5, minor: 1)
    archive.addFile("bin/busybox", shell, mode: 0o755)
    archive.addLink("bin/sh", to: "busybox")
    archive.addFile("init", initScript, mode: 0o755)
    var table = ""
    var added: Set<String> = []
    for (use, names) in modules {
      let order = kernel.dependencies.insertionOrder(names.compactMap(kernel.dependencies.path(named:)))
      guard !order.isEmpty else { continue }
      table += ([use] + order.map(ModuleDependencies.name(ofPath:))).joined(separator: " ") + "\n"
      for path in order where added.insert(path).inserted {
        let name = ModuleDependencies.name(ofPath: path)
        let module = [UInt8](try kernel.contents(ofModule: path))
        archive.addFile("lib/modules/\(name).ko", ModuleStripper.strip(module) ?? module)
      }
    }
    archive.addFile("lib/modules/load", Array(table.utf8))
    archive.finish()
    return archive.bytes
  }
}
