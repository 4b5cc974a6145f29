internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary copy`.
struct CopyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "copy", abstract: "Make an instance as another is, or was.",
    discussion: """
      volary copy web other
      volary copy web/before-upgrade other --start
      No data is copied: both share what is there, and each keeps what it writes for itself. One that runs is copied
      as if its power had been cut at that moment.
      """, aliases: ["cp"])

  @Argument(help: "The instance, or one of its snapshots: web/snap0.", completion: InstanceCompletion.names)
  var source: String

  @Argument(help: "The new instance's name; one is made up without.")
  var name: String?

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Of the configuration; again for more.", valueName: "key=value"))
  var config: [String] = []

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Of a device, such as root,size=20GiB; again for more.", valueName: "device,key=value")
  )
  var device: [String] = []

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("A profile in place of its own; again for more.", valueName: "name"),
    completion: ProfileCompletion.names)
  var profile: [String] = []

  @Flag(help: "Leave its snapshots out.")
  var instanceOnly = false

  @Flag(help: "Delete the new instance when it stops.")
  var ephemeral = false

  @Flag(help: "Start it.")
  var start = false

  @Option(help: ArgumentHelp("The project of the new instance.", valueName: "name"))
  var targetProject: String?

  @OptionGroup var project: ProjectOption

  func run() throws {
    let query = [("project", targetProject ?? project.project)]
    let inherited = try device.isEmpty ? [:] : devices()
    var post = InstancesPost(
      name: name,
      source: InstanceSource(copying: source, project: project.project, instanceOnly: instanceOnly),
      config: try Settings.read(config), devices: try Settings.readDevices(device, inherited),
      ephemeral: ephemeral, start: start)
    if !profile.isEmpty { post.profiles = profile }
    let wanted = post
    let operation = try Daemon.run { client in
      try await client.follow(try await client.post("/1.0/instances", query: query, wanted))
    }
    let made = operation.madeName("instances")
    FileHandle.standardError.write(Data("\(made) \(start ? "runs" : "is made")\n".utf8))
  }

  /// A device that is given in part is the source's with that changed.
  private func devices() throws -> [String: [String: String]] {
    let parts = source.split(separator: "/", maxSplits: 1).map { APIEndpoint.escaped(String($0)) }
    let path = "/1.0/instances/" + parts.joined(separator: "/snapshots/")
    let query = project.query
    let object = try Daemon.run { try await $0.get(path, query: query, as: JSONValue.self) }
    let devices = try APICoding.encode(object["expanded_devices"] ?? .object([:]))
    return try APICoding.decode([String: [String: String]].self, from: devices)
  }
}
