internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

struct ResizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize", abstract: "Make an instance's disk larger; it may run: volary resize web 40GiB",
    discussion: """
      The guest of a running machine sees the new size at once. What is on the disk stays as it is: the file \
      system of an image of Volary's grows at its next start, another's by its own tools (resize2fs, xfs_growfs).
      """)

  @Argument(help: "The instance.", completion: InstanceCompletion.names) var name: String
  @Argument(help: "How large it is to be, such as 40GiB.") var size: ByteSize
  @OptionGroup var project: ProjectOption

  func run() throws {
    let (name, size, query) = (name, size, project.query)
    let path = "/1.0/instances/\(APIEndpoint.escaped(name))"
    let trouble = try Daemon.run { client -> String? in
      let reply = try await client.send("GET", path, query: query)
      let object: InstanceObject = try reply.metadata()
      let state: InstanceStateObject = try await client.get(path + "/state", query: query)
      if let now = state.disk["root"]?.total, now > Int64(clamping: size.bytes) {
        throw VolaryError(
          .usage, "the disk of `\(name)` has \(ByteSize(bytes: UInt64(now))) and cannot become smaller",
          wayOut: "make another instance and copy what you need")
      }
      var root = object.devices["root"] ?? object.expandedDevices["root"] ?? Settings.rootDisk
      root["size"] = "\(size)"
      _ = try await client.patch(path, query: query, InstancePut(devices: ["root": root]), etag: reply.etag)
      let changed: InstanceObject = try await client.get(path, query: query)
      return changed.conditions.first { $0.reason == "DiskNotResized" }?.message
    }
    if let trouble { FileHandle.standardError.write(Data("volary: \(name): \(trouble)\n".utf8)) }
  }
}
