internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary snapshot`.
struct SnapshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot", abstract: "Keep what instances are at one moment, and go back to it.",
    discussion: """
      volary snapshot create web before-upgrade
      volary snapshot restore web before-upgrade
      volary copy web/before-upgrade other
      """, subcommands: [Create.self, List.self, Show.self, Restore.self, Delete.self, Rename.self])

  private static func path(_ instance: String, _ snapshot: String? = nil) -> String {
    "/1.0/instances/\(APIEndpoint.escaped(instance))/snapshots"
      + (snapshot.map { "/\(APIEndpoint.escaped($0))" } ?? "")
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a snapshot; the instance may run.", aliases: ["add"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The snapshot's name; one is made up without.") var snapshot: String?
    @Flag(help: "Keep memory and devices too.") var stateful = false
    @Option(
      help: ArgumentHelp(
        "When it is deleted by itself: 30M, 12H, 3d, 4w, 6m, 1y, or several: \"1d 12H\".",
        valueName: "time"))
    var expiry: String?
    @Flag(help: "Keep it until somebody deletes it, whatever the instance's snapshots.expiry says.")
    var noExpiry = false
    @Option(help: "What it is for.") var description: String?
    @OptionGroup var project: ProjectOption

    func validate() throws {
      if noExpiry, expiry != nil { throw ValidationError("--expiry and --no-expiry exclude each other.") }
      if let expiry, TimeSpan(expiry) == nil {
        throw ValidationError("'\(expiry)' is no time such as 3d or \"1d 12H\".")
      }
    }

    func run() throws {
      let expiresAt =
        noExpiry
        ? Timestamp.never : expiry.flatMap(TimeSpan.init).map { Timestamp.now.advanced(seconds: $0.seconds) }
      let post = SnapshotsPost(
        name: snapshot, stateful: stateful, expiresAt: expiresAt, description: description)
      let (path, query) = (SnapshotCommand.path(instance), project.query)
      let operation = try Daemon.run { client in
        try await client.follow(try await client.post(path, query: query, post))
      }
      let name = operation.madeName("instances_snapshots")
      FileHandle.standardError.write(Data("\(instance)/\(name) is made\n".utf8))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List an instance's snapshots, oldest first.", aliases: ["ls"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @OptionGroup var format: FormatOption
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (SnapshotCommand.path(instance), project.query)
      let all = try Daemon.run {
        try await $0.get(path, query: query + [("recursion", "1")], as: [SnapshotObject].self)
      }
      let table = TextTable(
        titles: ["NAME", "TAKEN AT", "EXPIRES AT", "STATEFUL", "SIZE", "DESCRIPTION"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { snapshot in
        [
          snapshot.name, snapshot.createdAt.description,
          snapshot.expiresAt == .never ? "" : snapshot.expiresAt.description,
          snapshot.stateful ? "YES" : "NO", ByteCount.text(snapshot.size), snapshot.description,
        ]
      }
      try format.show(table)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a snapshot.")

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The snapshot.", completion: SnapshotCompletion.names) var snapshot: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (SnapshotCommand.path(instance, snapshot), project.query)
      let object: SnapshotObject = try Daemon.run { try await $0.get(path, query: query) }
      try YAMLText.show(object)
    }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make an instance again what it was; what it became since is lost.",
      discussion: "One that runs is ended without being asked, and started again then.")

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The snapshot.", completion: SnapshotCompletion.names) var snapshot: String
    @Flag(help: "Go on with memory and devices as they were.") var stateful = false
    @OptionGroup var project: ProjectOption

    func run() throws {
      let path = "/1.0/instances/\(APIEndpoint.escaped(instance))"
      let (query, put) = (project.query, InstancePut(restore: snapshot, stateful: stateful))
      try Daemon.run { client in _ = try await client.follow(try await client.put(path, query: query, put)) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete snapshots; the instance, and copies of them, stay as they are.", aliases: ["rm"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The snapshots.", completion: SnapshotCompletion.names) var snapshots: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (paths, query) = (snapshots.map { SnapshotCommand.path(instance, $0) }, project.query)
      try Daemon.run { client in
        for path in paths { try await client.follow(try await client.delete(path, query: query)) }
      }
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a snapshot another name.")

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The snapshot.", completion: SnapshotCompletion.names) var snapshot: String
    @Argument var newName: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (SnapshotCommand.path(instance, snapshot), project.query)
      let post = SnapshotPost(name: newName)
      try Daemon.run { client in _ = try await client.post(path, query: query, post) }
    }
  }
}

/// Names of snapshots, for shells: of the instance that stands before.
enum SnapshotCompletion {
  static let names = CompletionKind.custom { (words: [String], index: Int, prefix: String) in
    guard index > 0, index <= words.count else { return [] }
    let path = "/1.0/instances/\(APIEndpoint.escaped(words[index - 1]))/snapshots"
    let project = ProcessInfo.processInfo.environment["VOLARY_PROJECT"] ?? "default"
    let paths: [String]? = try? Daemon.ifThere { try await $0.get(path, query: [("project", project)]) }
    return (paths ?? []).compactMap { $0.split(separator: "/").last.map(String.init) }.filter {
      $0.hasPrefix(prefix)
    }
  }
}
