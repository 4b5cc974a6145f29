package import ArgumentParser
import DiskImages
import Foundation
internal import VolaryHost

/// `volary image import`: makes an image of files that are there already.
package struct ImageImportCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Make an image of a disk, an OVA, or a kernel and a disk of your own.",
    usage: """
      volary image import FILE NAME [--format FORMAT]
      volary image import NAME [FOLDER] [--kernel FILE] [--initrd FILE] [--disk FILE]
      """,
    discussion: """
      FILE is a disk image (\(DiskSource.formatNames)), an OVA or an OVF descriptor with its files beside it. Its disk \
      is copied, and an amd64 machine starts what is on it by UEFI firmware. Without --format a disk's format is \
      told from its contents.

      FOLDER is one of the image store's or like one, with the files kernel, initrd and disk.raw, or options name \
      them: a kernel, an initial RAM disk and a root disk (raw), which are copied.
      """)

  @OptionGroup var image: ImageOptions

  @Argument(
    help: ArgumentHelp(
      "What is imported, or its name: the file and the name may come in either order.",
      valueName: "file or folder"),
    completion: .file())
  var folder: String?

  @Option(help: "The kernel: a raw Image for riscv64, a bzImage for amd64.") var kernel: String?
  @Option(help: "The initial RAM disk.") var initrd: String?
  @Option(help: "The root disk, raw.") var disk: String?
  @Option(help: ArgumentHelp("The format of a disk image.", valueName: "format")) var format: String?
  @Option(help: ArgumentHelp("The image that it was made on, when it is a layer.", valueName: "file"))
  var backing: String?
  @Flag(name: .shortAndLong, help: "Take the place of an image of that name.") var force = false
  @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      if let (file, name) = fileAndName {
        try importDisk(file, as: name)
      } else {
        try importKernel()
      }
    }
  }

  private func importKernel() throws {
    guard format == nil, backing == nil else {
      throw ImageError(
        .usage, "--format and --backing are for a disk image: name its file, and a name for the image")
    }
    if let folder, kernel == nil, !Self.isThere(folder) {
      throw ImageError(
        .notFound, "there is neither a file '\(image.name)' nor a file or folder '\(folder)' to import")
    }
    guard let kernel = file(kernel, ImageStore.kernelFile) else {
      throw ImageError(
        .usage,
        "an image needs a disk image's file, or a kernel: give --kernel FILE or a folder that holds one")
    }
    let (name, architecture) = try image.parsed { _ in KernelImage.architecture(of: kernel) }
    let stored = try ImageImport(
      store: ImageStore(), name: name, architecture: architecture, kernel: kernel,
      initrd: file(initrd, ImageStore.initrdFile), disk: file(disk, ImageStore.diskFile), replaces: force
    ).run(waiting: Self.waiting)
    say(stored)
  }

  private func importDisk(_ file: String, as text: String) throws {
    guard kernel == nil, initrd == nil, disk == nil else {
      throw ImageError(.usage, "\(file) is imported by itself: leave out --kernel, --initrd and --disk")
    }
    let architecture = try image.architecture.map { try GuestArchitecture(parsing: $0) } ?? .amd64
    let importing = try DiskImport(
      store: ImageStore(), name: ImageName(text), architecture: architecture, replaces: force)
    let machine: DiskImport.Machine
    if OVFPackage.isPackage(file) {
      machine = try DiskImport.Machine(OVFPackage(file), path: file)
      if machine.firmware == .bios, !quiet {
        ImageConvertCommand.say(
          "\(file) describes a machine with a BIOS; here UEFI firmware starts it, for which its disk needs a boot loader"
        )
      }
    } else {
      let source = try DiskSource(
        file, format: format.map { try DiskSource.format(named: $0) }, backing: backing)
      if source.isTold, !quiet { ImageConvertCommand.say("\(file) is read as \(source.format.rawValue)") }
      machine = DiskImport.Machine(source)
    }
    let progress = ByteProgress(isQuiet: quiet)
    defer { progress.clear() }
    let stored = try importing.run(machine, waiting: Self.waiting) { progress.show($0, $1) }
    progress.clear()
    say(stored)
  }

  private static func waiting() { ImageConvertCommand.say("waiting for a build in the image store to end") }

  private func say(_ stored: StoredImage) {
    let record = stored.record
    ImageConvertCommand.say(
      "imported \(record.name) for \(record.architecture.rawValue): \(ByteCount.text(record.storedSize))")
  }

  /// The disk image or package and the image's name, if a file is named: in this order, or in the other, in which
  /// folders are named too.
  private var fileAndName: (file: String, name: String)? {
    guard let folder else { return nil }
    if Self.isFile(image.name) && (!Self.isThere(folder) || (try? ImageName(folder)) != nil) {
      return (image.name, folder)
    }
    return Self.isFile(folder) ? (folder, image.name) : nil
  }

  private static func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  private static func isFile(_ path: String) -> Bool {
    var isFolder: ObjCBool = false
    return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && !isFolder.boolValue
  }

  /// The file that an option names, or else the one of the folder if it is there.
  private func file(_ option: String?, _ name: String) -> URL? {
    if let option { return URL(fileURLWithPath: option) }
    guard let folder else { return nil }
    let file = URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent(name)
    return FileManager.default.fileExists(atPath: file.path) ? file : nil
  }
}
