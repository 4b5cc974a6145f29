internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

extension VolumeCommand {
  struct Attach: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Attach a volume to an instance that does not run.")
    @OptionGroup var place: Place
    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The device's name; the volume's without.") var device: String?
    @Flag(help: "Its guest may only read it.") var readonly = false

    func run() throws {
      let name = device ?? place.volume
      let path = "/1.0/instances/\(APIEndpoint.escaped(instance))"
      var disk = ["type": "disk", "pool": place.pool, "source": place.volume]
      if readonly { disk["readonly"] = "true" }
      let (query, added, instance, volume) = (place.query, disk, instance, place.path)
      try Daemon.run { client in
        // A server is asked for its disk when a machine starts: what it has not is told now.
        _ = try await client.get(volume, query: query, as: StorageVolumeObject.self)
        let reply = try await client.send("GET", path, query: query)
        let object: InstanceObject = try reply.metadata()
        if object.devices[name] != nil {
          throw VolaryError(.conflict, "`\(instance)` has a device `\(name)` already", wayOut: "name another")
        }
        _ = try await client.patch(path, query: query, InstancePut(devices: [name: added]), etag: reply.etag)
      }
    }
  }

  struct Detach: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take a volume from an instance that does not run; what is on it stays.")
    @OptionGroup var place: Place
    @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
    @Argument(help: "The device's name, where there are several.") var device: String?

    func run() throws {
      let path = "/1.0/instances/\(APIEndpoint.escaped(instance))"
      let (query, pool, volume) = (place.query, place.pool, place.volume)
      let (device, instance) = (device, instance)
      try Daemon.run { client in
        let reply = try await client.send("GET", path, query: query)
        let object: InstanceObject = try reply.metadata()
        let names = object.devices.filter { name, values in
          values["type"] == "disk" && values["pool"] == pool && values["source"] == volume
            && (device == nil || device == name)
        }.keys
        guard let name = names.first else {
          throw VolaryError(.notFound, "the volume `\(volume)` is not attached to `\(instance)`")
        }
        guard names.count == 1 else {
          throw VolaryError(
            .usage, "`\(volume)` is attached several times",
            wayOut: "name the device: \(names.sorted().joined(separator: ", "))")
        }
        _ = try await client.patch(path, query: query, InstancePut(devices: [name: [:]]), etag: reply.etag)
      }
    }
  }

  struct Copy: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a volume as another is, or as its snapshot was: … copy default data/snap0 other",
      discussion: "No data is copied: both share what is there.", aliases: ["cp"])
    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @Argument(help: "The volume, or one of its snapshots.") var volume: String
    @Argument(help: "The new volume's name.") var newName: String
    @Flag(help: "Leave its snapshots out.") var volumeOnly = false
    @Option(help: ArgumentHelp("The project of the new volume.", valueName: "name")) var targetProject:
      String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      let source = StorageVolumeSource(
        copying: volume, pool: pool, project: project.project, volumeOnly: volumeOnly)
      let body = StorageVolumesPost(name: newName, source: source)
      let (path, query) = (VolumeCommand.path(pool), [("project", targetProject ?? project.project)])
      try Daemon.run { client in _ = try await client.follow(try await client.post(path, query: query, body))
      }
    }
  }

  struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write a volume to a file that it can be made again from; its instance may run.")
    @OptionGroup var place: Place
    @Argument(help: "The file; - is standard output. NAME.tar.zst, or by its compression, without.")
    var file: String?
    @Flag(help: "Leave its snapshots out.") var volumeOnly = false
    @Option(help: ArgumentHelp("none, gzip or zstd.", valueName: "kind")) var compression = "zstd"
    @Flag(help: "Take the place of a file that is there.") var force = false

    func validate() throws {
      guard ["none", "gzip", "zstd"].contains(compression) else {
        throw ValidationError("'\(compression)' is no compression: there are none, gzip and zstd.")
      }
    }

    func run() throws {
      let ending = [".tar", ".tar.gz", ".tar.zst"][["none": 0, "gzip": 1][compression] ?? 2]
      try BackupTransfer(place.path + "/backups", place.query).export(
        BackupsPost(volumeOnly: volumeOnly, compressionAlgorithm: compression),
        to: file ?? place.volume + ending, replaces: force)
    }
  }

  struct Import: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make a volume of a file that 'volary storage volume export' wrote.")
    @Argument(help: "The storage pool.", completion: StorageCompletion.names) var pool: String
    @Argument(help: "The file; - is standard input.", completion: .file()) var file: String
    @Argument(help: "The volume's name; the one that it had without.") var name: String?
    @OptionGroup var project: ProjectOption

    func run() throws {
      let headers = name.map { [("X-Incus-name", $0)] } ?? []
      let operation = try BackupTransfer(VolumeCommand.path(pool), project.query).upload(
        file, headers: headers)
      let made = operation.madeName("storage_volumes")
      FileHandle.standardError.write(Data("\(made) is made\n".utf8))
    }
  }
}
