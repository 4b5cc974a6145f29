internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary backup`.
struct BackupCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Keep files beside instances that they can be made again from.",
    discussion: """
      volary backup create web nightly --expiry 2w
      volary backup export web nightly /mnt/web.tar.zst
      'volary export' does both at once, and keeps nothing.
      """, subcommands: [Create.self, List.self, Export.self, Delete.self, Rename.self])

  private static func path(_ instance: String, _ backup: String? = nil) -> String {
    "/1.0/instances/\(APIEndpoint.escaped(instance))/backups"
      + (backup.map { "/\(APIEndpoint.escaped($0))" } ?? "")
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a backup; the instance may run.", aliases: ["add"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The backup's name; one is made up without.") var backup: String?
    @OptionGroup var options: BackupOptions
    @Option(help: ArgumentHelp("When it is deleted by itself: 12H, 3d, 4w, or several.", valueName: "time"))
    var expiry: String?
    @OptionGroup var project: ProjectOption

    func validate() throws {
      if let expiry, TimeSpan(expiry) == nil { throw ValidationError("'\(expiry)' is no time such as 3d.") }
    }

    func run() throws {
      let expiresAt = expiry.flatMap(TimeSpan.init).map { Timestamp.now.advanced(seconds: $0.seconds) }
      let (name, only) = (backup, options.instanceOnly)
      let post = options.post { post in
        (post.name, post.instanceOnly, post.expiresAt) = (name, only, expiresAt)
      }
      let (path, query) = (BackupCommand.path(instance), project.query)
      let operation = try Daemon.run { client in
        try await client.follow(try await client.post(path, query: query, post))
      }
      let made = operation.madeName("backups")
      FileHandle.standardError.write(Data("\(made) is made\n".utf8))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List an instance's backups, oldest first.", aliases: ["ls"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @OptionGroup var format: FormatOption
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (BackupCommand.path(instance), project.query)
      let all = try Daemon.run {
        try await $0.get(path, query: query + [("recursion", "1")], as: [BackupObject].self)
      }
      let table = TextTable(
        titles: ["NAME", "MADE AT", "EXPIRES AT", "SNAPSHOTS", "SIZE"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { backup in
        [
          backup.name, backup.createdAt.description,
          backup.expiresAt == .never ? "" : backup.expiresAt.description,
          backup.instanceOnly == true ? "NO" : "YES", ByteCount.text(backup.size),
        ]
      }
      try format.show(table)
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Write a backup to a file.")

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The backup.") var backup: String
    @Argument(help: "The file; - is standard output.") var file: String
    @Flag(help: "Take the place of a file that is there.") var force = false
    @OptionGroup var project: ProjectOption

    func run() throws {
      try BackupTransfer(BackupCommand.path(instance), project.query).download(
        backup, to: file, replaces: force)
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Delete backups.", aliases: ["rm"])

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The backups.") var backups: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (paths, query) = (backups.map { BackupCommand.path(instance, $0) }, project.query)
      try Daemon.run { client in
        for path in paths { try await client.follow(try await client.delete(path, query: query)) }
      }
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a backup another name.")

    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The backup.") var backup: String
    @Argument var newName: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (path, query) = (BackupCommand.path(instance, backup), project.query)
      let post = BackupPost(name: newName)
      try Daemon.run { client in _ = try await client.post(path, query: query, post) }
    }
  }
}
