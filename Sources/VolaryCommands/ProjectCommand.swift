internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary project`.
struct ProjectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "project", abstract: "Make projects, and limit what is in them.",
    subcommands: [List.self, Create.self, Show.self, Set.self, Delete.self])

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List projects.", aliases: ["ls"])

    @OptionGroup var format: FormatOption

    func run() throws {
      let projects: [ProjectObject] = try Daemon.run {
        try await $0.get("/1.0/projects", query: [("recursion", "1")])
      }
      let table = TextTable(
        titles: ["NAME", "DESCRIPTION", "LIMITS", "USED BY"], objects: projects,
        encoder: APICoding.prettyEncoder
      ) { project in
        let limits = project.config.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [project.name, project.description, limits.joined(separator: " "), "\(project.usedBy.count)"]
      }
      try format.show(table)
    }
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a project: volary project create lab -c limits.memory=8GiB")

    @Argument var name: String
    @Option(help: "What it is for.") var description: String?
    @Option(name: .shortAndLong, help: "key=value; again for more.") var config: [String] = []

    func run() throws {
      let body = ProjectsPost(name: name, description: description, config: try Settings.read(config))
      try Daemon.run { _ = try await $0.post("/1.0/projects", body) }
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a project.")

    @Argument var name: String

    func run() throws {
      let path = ProjectCommand.path(name)
      let project: ProjectObject = try Daemon.run { try await $0.get(path) }
      try YAMLText.show(project)
    }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set keys; one with an empty value is taken away: volary project set lab limits.instances=10")

    @Argument var name: String
    @Argument(help: "key=value, once or more.") var settings: [String]

    func run() throws {
      let (path, body) = (ProjectCommand.path(name), ProjectPut(config: try Settings.read(settings)))
      try Daemon.run { _ = try await $0.patch(path, body) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete projects in which nothing is.", aliases: ["rm"])

    @Argument var names: [String]

    func run() throws {
      let paths = names.map(ProjectCommand.path)
      try Daemon.run { client in for path in paths { _ = try await client.delete(path) } }
    }
  }

  private static func path(_ name: String) -> String { "/1.0/projects/\(APIEndpoint.escaped(name))" }
}

/// How a list is shown.
struct FormatOption: ParsableArguments {
  @Option(
    name: .shortAndLong,
    help: "table, compact, json, yaml or csv; without it, a table on a terminal and compact elsewhere.")
  var format: String?

  func validate() throws {
    if ListFormat.named(format) == nil {
      throw ValidationError("unknown format '\(format ?? "")'; known are \(ListFormat.names)")
    }
  }

  func show(_ table: TextTable<some Encodable & SendableMetatype>) throws {
    guard let format = ListFormat.named(format) else { return }
    print(try table.text(format), terminator: "")
  }
}
