package import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary image`: the images kept on this host.
package struct ImageCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Build, list, import, export and remove images, and convert disks.",
    subcommands: [
      ImageBuildCommand.self, ImageListCommand.self, ImageRemoveCommand.self, ImageImportCommand.self,
      ImageConvertCommand.self, ImageExportCommand.self, ImageInfoCommand.self,
    ])

  package init() {}

  /// Runs a verb; an error becomes one message on standard error and the exit code of its kind.
  static func reporting(_ body: () throws -> Void) throws {
    do {
      try body()
    } catch let error as ExitCode {
      throw error
    } catch {
      let code = (error as? ImageError)?.code ?? .failed
      let text = (error as? ImageError)?.description ?? error.localizedDescription
      FileHandle.standardError.write(Data("volary: \(text)\n".utf8))
      throw ExitCode(code.rawValue)
    }
  }
}

/// The options by which every verb names an image.
struct ImageOptions: ParsableArguments {
  @Argument(help: "The image's name, such as debian/13.")
  var name: String

  @Option(
    name: .customLong("arch"),
    help: ArgumentHelp(
      "The guest's architecture: riscv64, amd64 or arm64; when not given, the one that there is, or that runs best "
        + "here.", valueName: "arch"))
  var architecture: String?

  /// The name, and the architecture: the one that was asked for, or else what `usual` says.
  func parsed(
    usual: (ImageName) -> GuestArchitecture? = { _ in nil }
  ) throws(ImageError) -> (name: ImageName, architecture: GuestArchitecture) {
    let name = try ImageName(name)
    if let architecture { return (name, try GuestArchitecture(parsing: architecture)) }
    return (name, usual(name) ?? .usual)
  }
}
