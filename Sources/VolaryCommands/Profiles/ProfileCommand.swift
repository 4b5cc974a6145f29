internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary profile`.
struct ProfileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "profile", abstract: "Make profiles: configuration and devices that instances share.",
    subcommands: [
      List.self, Show.self, Create.self, Edit.self, Get.self, Set.self, Unset.self, Copy.self, Rename.self,
      Delete.self, Assign.self, Add.self, Remove.self,
    ])

  static func path(_ name: String) -> String { "/1.0/profiles/\(APIEndpoint.escaped(name))" }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List profiles.", aliases: ["ls"])

    @OptionGroup var format: FormatOption
    @OptionGroup var project: ProjectOption

    func run() throws {
      let query = project.query + [("recursion", "1")]
      let profiles: [ProfileObject] = try Daemon.run { try await $0.get("/1.0/profiles", query: query) }
      let table = TextTable(
        titles: ["NAME", "DESCRIPTION", "USED BY"], objects: profiles, encoder: APICoding.prettyEncoder
      ) { [$0.name, $0.description, "\($0.usedBy.count)"] }
      try format.show(table)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a profile.")

    @Argument(completion: ProfileCompletion.names) var name: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let profile = try ProfileCommand.read(name, project)
      try YAMLText.show(profile)
    }
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a profile: volary profile create big limits.cpu=4 -d root,size=50GiB")

    @Argument var name: String
    @Argument(help: "key=value of the configuration.") var settings: [String] = []
    @Option(
      name: .shortAndLong, parsing: .singleValue,
      help: "Of the configuration, key=value; again for more.")
    var config: [String] = []
    @Option(
      name: .shortAndLong, parsing: .singleValue,
      help: "Of a device, such as root,size=20GiB; again for more.")
    var device: [String] = []
    @Option(help: "What it is for.") var description: String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      let body = ProfilesPost(
        name: name, description: description, config: try Settings.read(settings + config),
        devices: try Settings.readDevices(device))
      let query = project.query
      try Daemon.run { _ = try await $0.post("/1.0/profiles", query: query, body) }
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show one key's value.")

    @Argument(completion: ProfileCompletion.names) var name: String
    @Argument var key: String
    @OptionGroup var project: ProjectOption

    func run() throws { print(try ProfileCommand.read(name, project).config[key] ?? "") }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set keys: volary profile set big limits.cpu=4")

    @Argument(completion: ProfileCompletion.names) var name: String
    @Argument(help: "key=value, once or more.") var settings: [String]
    @OptionGroup var project: ProjectOption

    func run() throws { try ProfileCommand.change(name, try Settings.read(settings), project) }
  }

  struct Unset: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take keys away.")

    @Argument(completion: ProfileCompletion.names) var name: String
    @Argument var keys: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      try ProfileCommand.change(
        name, Dictionary(keys.map { ($0, "") }, uniquingKeysWith: { first, _ in first }), project)
    }
  }

  struct Copy: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make a profile like another.", aliases: ["cp"])

    @Argument(completion: ProfileCompletion.names) var name: String
    @Argument var newName: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let profile = try ProfileCommand.read(name, project)
      let body = ProfilesPost(
        name: newName, description: profile.description, config: profile.config, devices: profile.devices)
      let query = project.query
      try Daemon.run { _ = try await $0.post("/1.0/profiles", query: query, body) }
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a profile another name.", aliases: ["mv"])

    @Argument(completion: ProfileCompletion.names) var name: String
    @Argument var newName: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query, body) = (ProfileCommand.path(name), project.query, ProfilePost(name: newName))
      try Daemon.run { _ = try await $0.post(path, query: query, body) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete profiles that no instance has.", aliases: ["rm"])

    @Argument(completion: ProfileCompletion.names) var names: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (paths, query) = (names.map(ProfileCommand.path), project.query)
      try Daemon.run { client in for path in paths { _ = try await client.delete(path, query: query) } }
    }
  }

  // MARK: -

  static func read(_ name: String, _ project: ProjectOption) throws -> ProfileObject {
    let (path, query) = (path(name), project.query)
    return try Daemon.run { try await $0.get(path, query: query) }
  }

  private static func change(_ name: String, _ config: [String: String], _ project: ProjectOption) throws {
    let (path, query) = (path(name), project.query)
    try Daemon.run { client in
      _ = try await client.patch(path, query: query, ProfilePut(config: config))
    }
    try tellOfRunning(name, project)
  }

  /// Names the instances that run with what the profile was before.
  static func tellOfRunning(_ name: String, _ project: ProjectOption) throws {
    let query = project.query + [("recursion", "1")]
    let all = try Daemon.run { client in
      try await client.get("/1.0/instances", query: query, as: [InstanceObject].self)
    }
    for instance in all where instance.profiles.contains(name) { instance.tellOfRestart() }
  }
}
