internal import ArgumentParser
internal import Foundation
internal import VolaryAPI

/// `volary fork`.
struct ForkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fork", abstract: "Make another of a running instance, which runs on from the same moment.",
    discussion: """
      volary fork web other
      Memory is shared until one of both writes it, and so is the disk; nothing is copied. The new one's connections to
      the outside are gone, and published ports stay those of the first.
      """)

  @Argument(help: "The instance, which runs.", completion: InstanceCompletion.names)
  var source: String

  @Argument(help: "The new instance's name; one is made up without.")
  var name: String?

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Of the configuration; again for more.", valueName: "key=value"))
  var config: [String] = []

  @Flag(help: "Delete the new instance when it stops.")
  var ephemeral = false

  @OptionGroup var project: ProjectOption

  func run() throws {
    let query = project.query
    let post = InstancesPost(
      name: name, source: InstanceSource(forking: source, project: project.project),
      config: try Settings.read(config), ephemeral: ephemeral)
    let operation = try Daemon.run { client in
      try await client.follow(try await client.post("/1.0/instances", query: query, post))
    }
    let made = operation.madeName("instances")
    FileHandle.standardError.write(Data("\(made) runs\n".utf8))
  }
}
