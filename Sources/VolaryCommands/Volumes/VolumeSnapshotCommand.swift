internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary storage volume snapshot`.
struct VolumeSnapshotCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot", abstract: "Keep what volumes are at one moment, and go back to it.",
    subcommands: [Create.self, List.self, Restore.self, Delete.self, Rename.self])

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a snapshot; an instance that has the volume may run.", aliases: ["add"])
    @OptionGroup var place: VolumeCommand.Place
    @Argument(help: "The snapshot's name; one is made up without.") var snapshot: String?
    @Option(help: "What it is for.") var description: String?

    func run() throws {
      let (path, query) = (place.path + "/snapshots", place.query)
      let body = SnapshotsPost(name: snapshot, description: description)
      let operation = try Daemon.run { client in
        try await client.follow(try await client.post(path, query: query, body))
      }
      let made = operation.madeName("storage_volume_snapshots")
      FileHandle.standardError.write(Data("\(place.volume)/\(made) is made\n".utf8))
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List a volume's snapshots, oldest first.", aliases: ["ls"])
    @OptionGroup var place: VolumeCommand.Place
    @OptionGroup var format: FormatOption

    func run() throws {
      let (path, query) = (place.path + "/snapshots", place.query + [("recursion", "1")])
      let all = try Daemon.run {
        try await $0.get(path, query: query, as: [StorageVolumeSnapshotObject].self)
      }
      let table = TextTable(
        titles: ["NAME", "TAKEN AT", "EXPIRES AT", "DESCRIPTION"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { snapshot in
        [
          snapshot.name.split(separator: "/").last.map(String.init) ?? "", snapshot.createdAt.description,
          snapshot.expiresAt == .never ? "" : snapshot.expiresAt.description, snapshot.description,
        ]
      }
      try format.show(table)
    }
  }

  struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a volume again what it was; what it became since is lost. No instance that has it runs."
    )
    @OptionGroup var place: VolumeCommand.Place
    @Argument(help: "The snapshot.") var snapshot: String

    func run() throws {
      let (path, query, body) = (place.path, place.query, StorageVolumePut(restore: snapshot))
      try Daemon.run { _ = try await $0.put(path, query: query, body) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete snapshots of a volume.", aliases: ["rm"])
    @OptionGroup var place: VolumeCommand.Place
    @Argument(help: "The snapshots.") var snapshots: [String]

    func run() throws {
      let (paths, query) = (
        snapshots.map { "\(place.path)/snapshots/\(APIEndpoint.escaped($0))" }, place.query
      )
      try Daemon.run { client in
        for path in paths { try await client.follow(try await client.delete(path, query: query)) }
      }
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a snapshot of a volume another name.")
    @OptionGroup var place: VolumeCommand.Place
    @Argument(help: "The snapshot.") var snapshot: String
    @Argument var newName: String

    func run() throws {
      let path = "\(place.path)/snapshots/\(APIEndpoint.escaped(snapshot))"
      let (query, body) = (place.query, SnapshotPost(name: newName))
      try Daemon.run { _ = try await $0.post(path, query: query, body) }
    }
  }
}
