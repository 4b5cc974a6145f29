internal import ArgumentParser
internal import VolaryAPI

/// `volary storage repair`.
struct StorageRepair: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "repair",
    abstract: "Have both sides of a mirrored storage pool have the same again.",
    discussion: """
      What a side lacks that was away is copied to it, while machines run. A side that is lost for good is replaced: \
      mount an empty disk in its place, and give --replace.
      """)

  @Argument(completion: StorageCompletion.names) var name: String
  @Flag(help: "An empty directory takes the place of the side that is not there.") var replace = false

  func run() throws {
    try Daemon.run { client in
      let reply = try await client.post(
        StorageCommand.path(name) + "/repair", StoragePoolRepairPost(replace: replace))
      _ = try await client.follow(reply)
    }
  }
}
