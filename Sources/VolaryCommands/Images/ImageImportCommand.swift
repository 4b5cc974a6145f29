package import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary image import`: makes an image of files that are there already.
package struct ImageImportCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Make an image of a kernel and a disk of your own.",
    discussion: """
      The files are copied: a kernel, an initial RAM disk and a root disk \
      (raw). FOLDER is one of the image store's or like one, with the files kernel, initrd and disk.raw.
      """)

  @OptionGroup var image: ImageOptions

  @Argument(help: "A folder with the files kernel, initrd and disk.raw; the last two may be absent.")
  var folder: String?

  @Option(help: "The kernel: a raw Image for riscv64, a bzImage for amd64.") var kernel: String?
  @Option(help: "The initial RAM disk.") var initrd: String?
  @Option(help: "The root disk, raw.") var disk: String?
  @Flag(name: .shortAndLong, help: "Take the place of an image of that name.") var force = false

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      guard let kernel = file(kernel, ImageStore.kernelFile) else {
        throw ImageError(.usage, "an image needs a kernel: give --kernel FILE or a folder that holds one")
      }
      let (name, architecture) = try image.parsed { _ in KernelImage.architecture(of: kernel) }
      let stored = try ImageImport(
        store: ImageStore(), name: name, architecture: architecture, kernel: kernel,
        initrd: file(initrd, ImageStore.initrdFile), disk: file(disk, ImageStore.diskFile), replaces: force
      ).run {
        FileHandle.standardError.write(Data("waiting for a build in the image store to end\n".utf8))
      }
      let size = ByteCount.text(stored.record.storedSize)
      FileHandle.standardError.write(Data("imported \(name) for \(architecture.rawValue): \(size)\n".utf8))
    }
  }

  /// The file that an option names, or else the one of the folder if it is there.
  private func file(_ option: String?, _ name: String) -> URL? {
    if let option { return URL(fileURLWithPath: option) }
    guard let folder else { return nil }
    let file = URL(fileURLWithPath: folder, isDirectory: true).appendingPathComponent(name)
    return FileManager.default.fileExists(atPath: file.path) ? file : nil
  }
}
