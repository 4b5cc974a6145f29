package import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary image build debian/13`: makes an image from the distribution's own packages.
package struct ImageBuildCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "build",
    abstract: "Make an image of a Debian release from the archive that this host's apt uses.",
    discussion: """
      The packages are verified by apt, unpacked on this host and configured in a machine; no program \
      of theirs runs on the host. Takes the place of an image of the same name.

      volary image build debian/13 --name build/13 --package gcc --package make
      """)

  @OptionGroup var image: ImageOptions

  @Option(
    name: .customLong("name"),
    help: ArgumentHelp("What to call the image; the release's name when not given.", valueName: "name"))
  var storedName: String?

  @Option(
    name: .customLong("package"),
    help: ArgumentHelp(
      "A package that it holds too, with all it depends on. May be repeated.", valueName: "package"))
  var packages: [String] = []

  @Option(
    name: .customLong("disk"), help: "The size of the root disk, such as 4GiB; unused parts take no room.")
  var diskSize = "4GiB"

  @Option(help: "The archive to use in place of the one that this host's apt uses.")
  var mirror: String?

  @Flag(help: "Do nothing when the image is there, and this Volary would put the same into it.")
  var ifMissing = false

  @Flag(name: .shortAndLong, help: "Show no progress.")
  var quiet = false

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      let (release, architecture) = try image.parsed { release in
        // Of those that there is a recipe for.
        let known = DebianRelease.named(release)?.architectures ?? []
        return known.count == 1 ? known[0] : nil
      }
      let name = try storedName.map { try ImageName($0) } ?? release
      let packages = try packages.map { try DebianPackageName($0) }
      guard let size = ByteCount.parse(diskSize), size >= 1 << 30, size <= 16 << 40 else {
        throw ImageError(.usage, "'\(diskSize)' is no size for a disk: from 1GiB to 16TiB")
      }
      let present = ifMissing ? try? ImageStore().find(name, architecture) : nil
      if present?.record.recipe == ImageRecipe.fingerprint { return }
      let progress = BuildProgress(phases: DebianImageBuilder.phases, quiet: quiet)
      let builder = try DebianImageBuilder(
        store: ImageStore(), release: release, name: name, packages: packages, architecture: architecture,
        runner: MachineRunners.find(), progress: progress, diskSize: size / 4096 * 4096, mirror: mirror)
      let stop = Interruption.watch { builder.store.removeLeftovers() }
      defer { stop.cancel() }
      let stored = try builder.build()
      let seconds = Int(stored.record.buildSeconds ?? 0)
      progress.note(
        "\(name) for \(architecture.rawValue): \(ByteCount.text(stored.record.storedSize)) in \(seconds) s")
    }
  }
}
