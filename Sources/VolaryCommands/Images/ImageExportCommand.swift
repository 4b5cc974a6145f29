package import ArgumentParser
import DiskImages
import Foundation
internal import VolaryHost

/// `volary image export`: writes an image of the store as a file.
package struct ImageExportCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write an image's disk as a file, or the image as an OVA.",
    discussion: """
      Formats are \(DiskSource.formatNames) and ova; without --format the target's ending says which, and without a \
      known one it is raw. An OVA holds a machine with a descriptor, digests and the disk, as other systems import it.
      """)

  @OptionGroup var image: ImageOptions

  @Argument(
    help: ArgumentHelp("The file to write; one of the image's name when not given.", valueName: "target"),
    completion: .file())
  var target: String?

  @Option(help: ArgumentHelp("What to write.", valueName: "format")) var format: String?
  @Option(help: "Virtual processors of an OVA's machine.") var cpus: Int?
  @Option(help: "Memory of an OVA's machine, such as 2GiB.") var memory: String?
  @Flag(help: "Take the place of a file that is there.") var force = false
  @Flag(name: .shortAndLong, help: "Show no progress.") var quiet = false

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      let (name, architecture) = try image.parsed { ImageStore().architecture(of: $0) }
      let kind =
        if let format { try ImageExport.Kind(named: format) } else {
          (target.map { URL(fileURLWithPath: $0).pathExtension.lowercased() })
            .flatMap { try? ImageExport.Kind(named: $0) } ?? .disk(.raw)
        }
      let stored = try ImageStore().find(name, architecture)
      let target = target ?? name.description.replacingOccurrences(of: "/", with: "-") + "." + kind.ending
      var export = ImageExport(stored)
      export.replaces = force
      if let cpus {
        guard (1...1024).contains(cpus) else { throw ImageError(.usage, "--cpus \(cpus): take 1 to 1024") }
        export.cpus = cpus
      }
      if let memory {
        guard let size = ByteCount.parse(memory), size >= 1 << 20 else {
          throw ImageError(.usage, "'\(memory)' is no amount of memory, such as 2GiB")
        }
        export.memory = UInt64(size)
      }
      if stored.record.kernelSize != nil {
        ImageConvertCommand.say(
          "\(name) is started by a kernel that is not on its disk: what takes \(target) needs one of its own")
      }
      let progress = ByteProgress(isQuiet: quiet)
      defer { progress.clear() }
      try export.run(as: kind, to: target) { progress.show($0, $1) }
      progress.clear()
      if !quiet { ImageConvertCommand.say("exported \(name) to \(target) as \(kind.ending)") }
    }
  }
}
