internal import ArgumentParser
internal import Foundation
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// `volary launch`.
struct LaunchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "launch", abstract: "Make an instance from an image and start it.",
    discussion: """
      volary launch debian/13 web --cpus 2 --memory 2GiB --publish 8080:80
      volary launch debian/13 -c boot.autostart=true -d root,size=20GiB
      """)

  @Argument(help: "The image, such as debian/13.")
  var image: String

  @Argument(help: "The instance's name; one is made up without.")
  var name: String?

  @Option(help: ArgumentHelp("Virtual CPUs.", valueName: "number"))
  var cpus: Int?

  @Option(help: ArgumentHelp("Memory.", valueName: "size"))
  var memory: ByteSize?

  @Option(
    help: ArgumentHelp("The root disk's size, if it is to be larger than the image's.", valueName: "size"))
  var disk: ByteSize?

  @Option(help: ArgumentHelp("The guest's processor: riscv64 or amd64.", valueName: "architecture"))
  var arch: String?

  @Option(help: ArgumentHelp("auto, kvm, translator or interpreter.", valueName: "engine"))
  var engine: String?

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Of the configuration; again for more.", valueName: "key=value"))
  var config: [String] = []

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Of a device, such as root,size=20GiB; again for more.", valueName: "device,key=value")
  )
  var device: [String] = []

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp(
      "A profile in place of `default`; again for more, later over earlier.", valueName: "name"),
    completion: ProfileCompletion.names)
  var profile: [String] = []

  @Flag(help: "No profile, not even `default`.")
  var noProfiles = false

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The storage pool for its disk.", valueName: "pool"),
    completion: StorageCompletion.names)
  var storage: String?

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "nat, none, a bridge of the host's (`volary network list`), or tap=NAME.", valueName: "network"),
    completion: NetworkCompletion.names)
  var network: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A port of the host that leads to one of the guest; again for more.", valueName: "host:guest"))
  var publish: [String] = []

  @Option(
    help: ArgumentHelp("User data for cloud-init in the guest, read at its first start.", valueName: "file"),
    completion: .file())
  var cloudInit: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "A public key that may log in as the guest's root by SSH; again for more.", valueName: "file"),
    completion: .file(extensions: ["pub"]))
  var sshKey: [String] = []

  @Flag(help: "Delete the instance when it stops.")
  var ephemeral = false

  @Flag(help: "Do not start it.")
  var stopped = false

  @Flag(help: "Go to its console then.")
  var console = false

  @OptionGroup var project: ProjectOption

  func validate() throws {
    if noProfiles, !profile.isEmpty {
      throw ValidationError("--profile and --no-profiles exclude each other.")
    }
  }

  /// The names that are sent; nil leaves them to the daemon.
  private var profiles: [String]? { noProfiles ? [] : profile.isEmpty ? nil : profile }

  func run() throws {
    let query = project.query
    // A device that is given in part is a profile's with that changed.
    let profiles = device.isEmpty && disk == nil && storage == nil ? [] : profiles ?? ["default"]
    let inherited = try profiles.isEmpty ? [:] : ProfileDevices.read(profiles, query)
    let post = try makePost(inherited)
    let name = try Daemon.run { client in
      let reply = try await client.post("/1.0/instances", query: query, post)
      let operation = try reply.operation()
      let name = operation.madeName("instances")
      try await client.follow(reply)
      return name
    }
    FileHandle.standardError.write(Data("\(name) \(stopped ? "is made" : "runs")\n".utf8))
    if console, !stopped { try ConsoleCommand.show(name, query: query) }
  }

  private func makePost(_ inherited: [String: [String: String]]) throws -> InstancesPost {
    var config = try Settings.read(config)
    if let cpus { config["limits.cpu"] = "\(cpus)" }
    if let memory { config["limits.memory"] = "\(memory)" }
    if let engine { config["volary.engine"] = engine }
    if let cloudInit { config["cloud-init.user-data"] = try Settings.read(file: cloudInit) }
    for file in sshKey { config.merge(try Settings.readKeys(file)) { _, new in new } }
    var devices = try Settings.readDevices(device, inherited)
    let root = inherited["root"] ?? Settings.rootDisk
    if let disk { devices["root", default: root].merge(["size": "\(disk)"]) { _, new in new } }
    if let storage { devices["root", default: root]["pool"] = storage }
    if let network {
      // What else was said of the card stays.
      let given = (devices["eth0"] ?? [:]).filter { !["network", "nictype", "parent"].contains($0.key) }
      devices["eth0"] = given.merging(Settings.card(network)) { _, new in new }
    }
    for (number, text) in publish.enumerated() {
      let port: PublishedPort
      do { port = try PublishedPort(parsing: text) } catch { throw VolaryError(.usage, "\(error)") }
      devices["publish\(number)"] = [
        "type": "proxy", "listen": "\(port.transport):\(port.hostAddress):\(port.hostPort)",
        "connect": "\(port.transport):127.0.0.1:\(port.guestPort)",
      ]
    }
    return InstancesPost(
      name: name, source: InstanceSource(alias: image), architecture: arch, config: config, devices: devices,
      profiles: profiles, ephemeral: ephemeral, start: !stopped)
  }
}

/// Words such as `limits.cpu=2` on the command line.
enum Settings {
  static let rootDisk = ["type": "disk", "path": "/", "pool": "default"]

  static func read(_ words: [String]) throws(VolaryError) -> [String: String] {
    var settings: [String: String] = [:]
    for word in words {
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw VolaryError(.usage, "'\(word)' is no setting", wayOut: "write it as key=value")
      }
      settings[String(parts[0])] = String(parts[1])
    }
    return settings
  }

  static func read(file: String) throws(VolaryError) -> String {
    do { return try String(contentsOfFile: file, encoding: .utf8) } catch {
      throw VolaryError(.notFound, "cannot read \(file) as text")
    }
  }

  /// Each key of a file such as ~/.ssh/id_ed25519.pub, as a key of the configuration.
  static func readKeys(_ file: String) throws(VolaryError) -> [String: String] {
    let lines = try read(file: file).split(separator: "\n").filter { !$0.hasPrefix("#") }
    let stem = (file as NSString).lastPathComponent.split(separator: ".").first ?? "key"
    let name = String(stem.map { $0.isASCII && ($0.isLetter || $0.isNumber || "_-".contains($0)) ? $0 : "-" })
    var settings: [String: String] = [:]
    for (number, line) in lines.enumerated() {
      let value = "root:\(line)"
      guard CloudInit.Key(value) != nil else {
        throw VolaryError(
          .usage, "\(file) holds something other than public keys",
          wayOut: line.contains("PRIVATE KEY") ? "give the file that ends with .pub" : nil)
      }
      settings["cloud-init.ssh-keys.\(name)\(number == 0 ? "" : "-\(number + 1)")"] = value
    }
    if settings.isEmpty { throw VolaryError(.usage, "\(file) holds no public key") }
    return settings
  }

  /// Words such as `root,size=20GiB`, over the devices of the same names that there would be.
  static func readDevices(
    _ words: [String], _ inherited: [String: [String: String]] = [:]
  ) throws(VolaryError) -> [String: [String: String]] {
    var devices: [String: [String: String]] = [:]
    for word in words {
      let parts = word.split(separator: ",").map(String.init)
      guard let name = parts.first, parts.count > 1 else {
        throw VolaryError(.usage, "'\(word)' is no device", wayOut: "write it as device,key=value")
      }
      let usual =
        inherited[name]
        ?? (name == "root" ? rootDisk : name == "eth0" ? ["type": "nic", "network": "nat"] : [:])
      devices[name, default: usual].merge(try read(Array(parts.dropFirst()))) { _, new in new }
    }
    return devices
  }

  static func card(_ network: String) -> [String: String] {
    network.hasPrefix("tap=")
      ? ["type": "nic", "nictype": "tap", "parent": String(network.dropFirst(4))]
      : ["type": "nic", "network": network]
  }
}
