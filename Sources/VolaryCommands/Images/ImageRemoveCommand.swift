package import ArgumentParser
internal import VolaryHost

/// `volary image rm`.
package struct ImageRemoveCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "rm", abstract: "Remove an image from this host.", aliases: ["remove", "delete"])

  @OptionGroup var image: ImageOptions

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      let (name, architecture) = try image.parsed { ImageStore().architecture(of: $0) }
      try ImageStore().remove(name, architecture)
    }
  }
}
