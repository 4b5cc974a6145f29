import Foundation

/// Builds an image of a Debian release from the archive that the host's own apt uses.
///
/// Packages are downloaded and verified by apt, unpacked on the host, and configured inside a machine,
/// because their scripts are programs of the guest's architecture; none of them runs on the host.
package struct DebianImageBuilder {
  package let store: ImageStore
  let name: ImageName
  package let architecture: GuestArchitecture
  let release: DebianRelease
  /// What the image holds besides the recipe's packages.
  let packages: [DebianPackageName]
  let runner: any MachineRunner
  let progress: BuildProgress
  /// Size of the root disk in bytes; the file is sparse.
  let diskSize: Int64
  /// The archive to use in place of the host's own.
  let mirror: String?

  /// - Parameters:
  ///   - release: the recipe's name, such as `debian/13`.
  ///   - name: what the image is to be called; the release's name when nil.
  package init(
    store: ImageStore, release: ImageName, name: ImageName? = nil, packages: [DebianPackageName] = [],
    architecture: GuestArchitecture, runner: any MachineRunner, progress: BuildProgress,
    diskSize: Int64 = 4 << 30, mirror: String? = nil
  ) throws(ImageError) {
    self.store = store
    self.name = name ?? release
    self.packages = packages
    self.architecture = architecture
    self.release = try DebianRelease.find(release, architecture)
    self.runner = runner
    self.progress = progress
    self.diskSize = diskSize
    self.mirror = mirror
  }

  package static let phases = 7
  /// Bytes that a build takes at its widest: downloads, trees and the disk together.
  static let roomNeeded: Int64 = 1 << 30

  /// Builds the image and puts it into the store; leaves nothing behind when it fails.
  package func build() throws -> StoredImage {
    let started = Date()
    let missing = HostPackage.missingForImages()
    guard missing.isEmpty else {
      let reasons = missing.map { "\($0.name) (needed to \($0.why))" }.joined(separator: ", ")
      throw ImageError("this host lacks \(reasons): \(HostPackage.advice(missing))")
    }
    let lock = try store.lock { progress.note("waiting for another build in \(store.folder.path) to end") }
    defer { withExtendedLifetime(lock) {} }
    store.removeLeftovers()
    defer { progress.end() }
    return try store.withStaging(room: Self.roomNeeded) { staging in
      var record = try build(in: staging)
      record.recipe = ImageRecipe.fingerprint
      record.buildSeconds = Date().timeIntervalSince(started).rounded()
      return try store.publish(staging, as: record)
    }
  }

  private func build(in staging: URL) throws -> ImageRecord {
    let work = staging.appendingPathComponent("work", isDirectory: true)
    try FileManager.default.createDirectory(at: work, withIntermediateDirectories: true)
    let kernelFile = staging.appendingPathComponent(ImageStore.kernelFile)
    let initrdFile = staging.appendingPathComponent(ImageStore.initrdFile)
    let diskFile = staging.appendingPathComponent(ImageStore.diskFile)

    progress.begin("reading the index")
    let archive = try mirror.map { HostArchive(uri: $0, securityURI: nil) } ?? HostArchive.find()
    let apt = try updatedWorkspace(work.appendingPathComponent("apt"), archive)

    progress.begin("downloading packages")
    // An archive reached by TLS needs the certificates in the guest too.
    let certificates = archive.uri.hasPrefix("https:") ? ["ca-certificates"] : []
    let wanted =
      ["?essential"] + Self.list(PackageResources.package_list) + certificates + release.additions
      + packages.map(\.description)
    try apt.download(wanted) { progress.update($0) }
    let extras = work.appendingPathComponent("extras")
    let kernelPackage = try kernelPackage(apt)
    try apt.download(only: [kernelPackage, "busybox-static"], into: extras)

    progress.begin("unpacking packages")
    let root = RootTree(work: work)
    try root.unpack(packages: apt.downloads) { progress.update($0) }
    let packages = try root.packages()
    try DpkgDatabase(root: root.folder).write(packages)

    progress.begin("preparing the kernel")
    let kernel = try KernelTree(
      unpacking: try Self.package(kernelPackage, in: extras), into: work.appendingPathComponent("kernel"))
    try kernel.install(modulesIn: Self.list(PackageResources.module_list), into: root.folder)
    try FileManager.default.copyItem(at: kernel.image, to: kernelFile)
    try KernelImage.check(kernelFile, is: architecture)
    let shell = try busybox(Self.package("busybox-static", in: extras), work)
    let initrd = try Initramfs.build(
      kernel: kernel, shell: shell, initScript: PackageResources.initramfs_init)
    try Data(initrd).write(to: initrdFile)

    progress.begin("writing the root disk")
    let settings = try GuestSettings(
      release: release, archive: archive, aptSettings: GuestSettings.hostAptSettings())
    try root.add(settings.files().map { ($0.path, Data($0.text.utf8), 0o644) })
    try root.add([
      ("usr/lib/volary/busybox", shell, 0o755),
      ("usr/lib/volary/init", Data(PackageResources.machine_init), 0o755),
      ("usr/lib/volary/configure", Data(PackageResources.configure_packages), 0o755),
    ])
    try root.writeDisk(diskFile, size: diskSize)

    progress.begin("configuring packages in a machine")
    try configure(kernelFile, initrdFile, diskFile, packageCount: packages.count, work)

    progress.begin("checking the root disk")
    try RootTree.checkDisk(diskFile)
    ImageStore.removeTree(work)
    return record(staging, kernel: kernel.release, packages: packages)
  }

  /// An apt with the release's index, and with that of its security updates where the archive has them.
  private func updatedWorkspace(_ folder: URL, _ archive: HostArchive) throws -> AptWorkspace {
    guard let keyring = HostPackage.keyrings.first(where: FileManager.default.fileExists(atPath:)) else {
      throw ImageError("the keys of the Debian archive are missing: install debian-archive-keyring")
    }
    let options = "deb [target=Packages signed-by=\(keyring)]"
    let main = "\(options) \(archive.uri) \(release.codename) main"
    guard let uri = archive.securityURI else { return try workspace(folder, [main]) }
    do {
      return try workspace(folder, [main, "\(options) \(uri) \(release.codename)-security main"])
    } catch let error as ImageError {
      // The guest's own apt catches up with them; a machine without them is better than none.
      let workspace = try workspace(folder, [main])
      let reason = error.log.first { $0.hasPrefix("E: ") } ?? error.log.first ?? error.message
      progress.note("building without \(uri) \(release.codename)-security: \(reason)")
      return workspace
    }
  }

  private func workspace(_ folder: URL, _ sources: [String]) throws -> AptWorkspace {
    let apt = try AptWorkspace(at: folder, architecture: architecture, sources: sources)
    try apt.update(codename: release.codename)
    return apt
  }

  private func kernelPackage(_ apt: AptWorkspace) throws -> String {
    let meta = release.kernelPackage(architecture)
    guard let name = try apt.field("Depends", of: meta).first(where: { $0.hasPrefix("linux-image-") }) else {
      throw ImageError("the archive's package \(meta) names no kernel")
    }
    return name
  }

  private func busybox(_ package: URL, _ work: URL) throws -> Data {
    let folder = work.appendingPathComponent("busybox")
    try HostTool.run("dpkg-deb", ["-x", package.path, folder.path], doing: "unpacking busybox")
    let path = ["usr/bin/busybox", "bin/busybox"].map(folder.appendingPathComponent)
      .first { FileManager.default.fileExists(atPath: $0.path) }
    guard let path else { throw ImageError("the package busybox-static holds no busybox") }
    return try Data(contentsOf: path)
  }

  private func configure(_ kernel: URL, _ initrd: URL, _ disk: URL, packageCount: Int, _ work: URL) throws {
    let jobInitrd = work.appendingPathComponent("initrd")
    try GuestJob(mode: .configure).write(initrd: initrd, to: jobInitrd)
    let console = ConsoleTail(setUpLines: packageCount, progress: progress)
    let code: Int32
    do {
      code = try runner.run(
        architecture, kernel: kernel.path, initrd: jobInitrd.path,
        append: "root=/dev/vda rw loglevel=4 panic=-1 volary.ip=none", disk: disk.path,
        memory: 512 << 20, cpus: 1, console: console.add)
    } catch {
      Interruption.waitIfEnding()
      throw ImageError("the machine that configures the packages failed: \(error)", log: console.last)
    }
    Interruption.waitIfEnding()
    guard code == 0 else {
      throw ImageError("configuring the packages in a machine ended with status \(code)", log: console.last)
    }
  }

  private func record(_ folder: URL, kernel: String, packages: [UnpackedPackage]) -> ImageRecord {
    let sizes = [ImageStore.kernelFile, ImageStore.initrdFile, ImageStore.diskFile].map {
      ImageStore.sizes(of: folder.appendingPathComponent($0)) ?? (0, 0)
    }
    return ImageRecord(
      name: name.description, architecture: architecture, createdAt: Date(),
      source: "Debian \(release.number) (\(release.codename))", kernelSize: sizes[0].length,
      initrdSize: sizes[1].length, diskSize: sizes[2].length, storedSize: sizes.map(\.stored).reduce(0, +),
      kernelRelease: kernel, packages: Dictionary(packages.map { ($0.name, $0.version) }) { a, _ in a })
  }

  /// The one file of a package in a folder of downloads.
  private static func package(_ name: String, in folder: URL) throws -> URL {
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    guard let file = files.first(where: { $0.hasPrefix(name + "_") && $0.hasSuffix(".deb") }) else {
      throw ImageError("the download of \(name) is missing from \(folder.path)")
    }
    return folder.appendingPathComponent(file)
  }

  /// A recipe's list: a word a line, comments after `#`.
  static func list(_ bytes: [UInt8]) -> [String] {
    String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let word = line.prefix { $0 != "#" }.trimmingCharacters(in: .whitespaces)
      return word.isEmpty ? nil : word
    }
  }
}
