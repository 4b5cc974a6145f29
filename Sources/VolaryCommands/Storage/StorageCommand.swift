internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary storage`.
struct StorageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "storage", abstract: "Look at storage pools, and make more of them.",
    subcommands: [
      List.self, Info.self, Show.self, Create.self, Delete.self, Set.self, Unset.self, StorageRepair.self,
      VolumeCommand.self,
    ])

  static func path(_ name: String) -> String { "/1.0/storage-pools/\(APIEndpoint.escaped(name))" }

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List storage pools.", aliases: ["ls"])

    @OptionGroup var format: FormatOption

    func run() throws {
      let all = try Daemon.run { client in
        var all: [Row] = []
        let pools = try await client.get(
          "/1.0/storage-pools", query: [("recursion", "1")], as: [StoragePoolObject].self)
        for pool in pools {
          // One that is not there tells nothing.
          let resources: StoragePoolResources? = try? await client.get(
            StorageCommand.path(pool.name) + "/resources")
          all.append(Row(pool: pool, resources: resources))
        }
        return all
      }
      let table = TextTable(
        titles: ["NAME", "DRIVER", "SOURCE", "USED", "TOTAL", "PROMISED", "USED BY", "STATE"], objects: all,
        encoder: APICoding.prettyEncoder
      ) { row in
        let space = row.resources?.space
        return [row.pool.name, row.pool.driver, row.pool.config["source"] ?? ""]
          + [space?.used, space?.total, space?.promised].map { $0.map(ByteCount.text) ?? "-" }
          + ["\(row.pool.usedBy.count)", row.pool.status.uppercased()]
      }
      try format.show(table)
    }
  }

  private struct Row: Encodable, Sendable {
    let pool: StoragePoolObject
    let resources: StoragePoolResources?

    func encode(to encoder: any Encoder) throws { try pool.encode(to: encoder) }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show how much there is in a storage pool, and what is in it.")

    @Argument(completion: StorageCompletion.names) var name: String

    func run() throws {
      let path = StorageCommand.path(name)
      let shown: [String: JSONValue] = try Daemon.run { client in
        let pool: StoragePoolObject = try await client.get(path)
        var shown = ["used_by": try JSONValue(encoding: pool.usedBy), "status": .string(pool.status)]
        if !pool.conditions.isEmpty { shown["conditions"] = try JSONValue(encoding: pool.conditions) }
        // A server does not say how much room it has.
        if pool.driver == "nbd" {
          shown["driver"] = .string(pool.driver)
          shown["source"] = .string(pool.config["source"] ?? "")
          shown["volumes"] = try await client.get(path + "/volumes/custom", query: [("recursion", "1")])
        } else {
          shown["resources"] = try await client.get(path + "/resources")
        }
        return shown
      }
      try YAMLText.show(shown)
    }
  }

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show a storage pool.")

    @Argument(completion: StorageCompletion.names) var name: String

    func run() throws {
      let path = StorageCommand.path(name)
      let pool: StoragePoolObject = try Daemon.run { try await $0.get(path) }
      try YAMLText.show(pool)
    }
  }

  struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a storage pool: volary storage create fast dir source=/mnt/ssd",
      discussion: """
        Of the driver dir it is a directory, and one of the daemon's own without a source. Of the driver nbd it is a \
        server, which several hosts may have; its exports are the disks in it:
        volary storage create central nbd source=nbd://store:10809

        With --mirror each disk is in two directories, so that \
        either may be lost: volary storage create safe --path /mnt/a --mirror /mnt/b
        """)

    @Argument var name: String
    @Argument(help: "dir or nbd.") var driver = "dir"
    @Argument(help: "key=value of its configuration.") var settings: [String] = []
    @Option(help: "The directory that it is in.") var path: String?
    @Option(help: "A second directory, on another disk, that has everything too.") var mirror: String?
    @Option(help: "What it is for.") var description: String?

    func run() throws {
      var config = try Settings.read(settings)
      if let path { config["source"] = path }
      if let mirror { config["volary.mirror"] = mirror }
      let body = StoragePoolsPost(name: name, driver: driver, description: description, config: config)
      try Daemon.run { _ = try await $0.post("/1.0/storage-pools", body) }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete storage pools in which nothing is.", aliases: ["rm"])

    @Argument(completion: StorageCompletion.names) var names: [String]

    func run() throws {
      let paths = names.map(StorageCommand.path)
      try Daemon.run { client in for path in paths { _ = try await client.delete(path) } }
    }
  }

  struct Set: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set keys: volary storage set fast user.note=x")

    @Argument(completion: StorageCompletion.names) var name: String
    @Argument(help: "key=value, once or more.") var settings: [String]

    func run() throws { try StorageCommand.change(name, try Settings.read(settings)) }
  }

  struct Unset: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take keys away.")

    @Argument(completion: StorageCompletion.names) var name: String
    @Argument var keys: [String]

    func run() throws {
      try StorageCommand.change(
        name, Dictionary(keys.map { ($0, "") }, uniquingKeysWith: { first, _ in first }))
    }
  }

  private static func change(_ name: String, _ config: [String: String]) throws {
    let path = path(name)
    try Daemon.run { client in _ = try await client.patch(path, StoragePoolPut(config: config)) }
  }
}

/// Names of storage pools, for shells.
enum StorageCompletion {
  static let names = CompletionKind.custom { (_: [String], _: Int, prefix: String) in
    let paths: [String]? = try? Daemon.ifThere { try await $0.get("/1.0/storage-pools") }
    return (paths ?? []).map { String($0.dropFirst("/1.0/storage-pools/".count)) }.filter {
      $0.hasPrefix(prefix)
    }
  }
}
