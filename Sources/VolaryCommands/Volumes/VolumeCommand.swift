internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary storage volume`.
struct VolumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Disks that are no instance's own, and are attached to instances.",
    discussion: """
      volary storage volume create default data size=20GiB
      volary storage volume attach default data web
      In a pool of the driver nbd the exports of its server are the volumes: they are made there, and attached here.
      In the guest it is a disk of its own, by the name /dev/disk/by-id/virtio-data; what is on it stays when the
      instance goes.
      """,
    subcommands: [
      Create.self, List.self, Show.self, Info.self, Set.self, Unset.self, Edit.self, Rename.self, Delete.self,
      Attach.self, Detach.self, Copy.self, VolumeSnapshotCommand.self, Export.self, Import.self,
    ])

  static func path(_ pool: String, _ volume: String? = nil) -> String {
    "/1.0/storage-pools/\(APIEndpoint.escaped(pool))/volumes/custom"
      + (volume.map { "/\(APIEndpoint.escaped($0))" } ?? "")
  }

  /// What each of them names.
  struct Place: ParsableArguments {
    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @Argument(help: "The volume.") var volume: String
    @OptionGroup var project: ProjectOption

    var path: String { VolumeCommand.path(pool, volume) }
    var query: [(String, String)] { project.query }
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a volume: … create default data size=20GiB")

    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @Argument(help: "Its name.") var name: String
    @Argument(help: "key=value: size (10GiB without), security.shared, snapshots.expiry, user.….")
    var settings: [String] = []
    @Option(help: "The content type, of which there is block.") var type = "block"
    @Option(help: "What it is for.") var description: String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      let body = StorageVolumesPost(
        name: name, description: description, contentType: type, config: try Settings.read(settings))
      let (path, query) = (VolumeCommand.path(pool), project.query)
      try Daemon.run { _ = try await $0.post(path, query: query, body) }
    }
  }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the disks in a storage pool, those of instances among them.", aliases: ["ls"])

    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @OptionGroup var format: FormatOption
    @OptionGroup var project: ProjectOption

    func run() throws {
      let path = "/1.0/storage-pools/\(APIEndpoint.escaped(pool))/volumes"
      let query = project.query + [("recursion", "1")]
      let all = try Daemon.run { try await $0.get(path, query: query, as: [StorageVolumeObject].self) }
      let table = TextTable(
        titles: ["TYPE", "NAME", "SIZE", "DESCRIPTION", "USED BY"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { volume in
        [
          volume.type, volume.name, ByteCount.parse(volume.config["size"] ?? "").map(ByteCount.text) ?? "",
          volume.description,
          volume.usedBy.compactMap { $0.split(separator: "?")[0].split(separator: "/").last.map(String.init) }
            .joined(separator: " "),
        ]
      }
      try format.show(table)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a volume.")
    @OptionGroup var place: Place

    func run() throws {
      let (path, query) = (place.path, place.query)
      let volume: StorageVolumeObject = try Daemon.run { try await $0.get(path, query: query) }
      try YAMLText.show(volume)
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show what a volume uses, and its snapshots and backups.")
    @OptionGroup var place: Place

    func run() throws {
      let (path, query) = (place.path, place.query)
      let shown: [String: JSONValue] = try Daemon.run { client in
        let volume: StorageVolumeObject = try await client.get(path, query: query)
        var shown: [String: JSONValue] = [
          "name": .string(volume.name), "content_type": .string(volume.contentType),
          "used_by": try JSONValue(encoding: volume.usedBy),
        ]
        shown["state"] = try await client.get(path + "/state", query: query)
        for part in ["snapshots", "backups"] {
          shown[part] = try await client.get("\(path)/\(part)", query: query + [("recursion", "1")])
        }
        return shown
      }
      try YAMLText.show(shown)
    }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set keys: … set default data size=40GiB. It becomes larger, and not smaller.")
    @OptionGroup var place: Place
    @Argument(help: "key=value, once or more.") var settings: [String]

    func run() throws {
      let (path, query) = (place.path, place.query)
      let body = StorageVolumePut(config: try Settings.read(settings))
      try Daemon.run { _ = try await $0.patch(path, query: query, body) }
    }
  }

  struct Unset: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take keys away.")
    @OptionGroup var place: Place
    @Argument var keys: [String]

    func run() throws {
      let (path, query) = (place.path, place.query)
      let body = StorageVolumePut(
        config: Dictionary(keys.map { ($0, "") }, uniquingKeysWith: { first, _ in first }))
      try Daemon.run { _ = try await $0.patch(path, query: query, body) }
    }
  }

  struct Edit: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Edit a volume as YAML in $EDITOR, or take it from standard input.")
    @OptionGroup var place: Place

    func run() throws {
      let (path, query) = (place.path, place.query)
      let reply = try Daemon.run { try await $0.send("GET", path, query: query) }
      let volume: StorageVolumeObject = try reply.metadata()
      let shown: [String: JSONValue] = [
        "description": .string(volume.description), "config": try JSONValue(encoding: volume.config),
      ]
      let etag = reply.etag
      try TextEditing.edit(try YAMLText.text(of: try APICoding.encode(shown)), name: "volume-\(place.volume)")
      {
        text in
        let document = try YAMLReader.read(text)
        let body = StorageVolumePut(
          description: document["description"]?.string ?? "",
          config: try ProfileCommand.Edit.strings(document["config"]))
        try Daemon.run { _ = try await $0.put(path, query: query, body, etag: etag) }
      }
    }
  }

  struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a volume another name.")
    @OptionGroup var place: Place
    @Argument var newName: String

    func run() throws {
      let (path, query, body) = (place.path, place.query, StorageVolumePost(name: newName))
      try Daemon.run { _ = try await $0.post(path, query: query, body) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete volumes, with all that is on them.", aliases: ["rm"])

    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @Argument(help: "The volumes.") var volumes: [String]
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (paths, query) = (volumes.map { VolumeCommand.path(pool, $0) }, project.query)
      try Daemon.run { client in for path in paths { _ = try await client.delete(path, query: query) } }
    }
  }
}
