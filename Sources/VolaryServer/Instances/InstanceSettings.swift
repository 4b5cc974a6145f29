internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// What an instance's configuration and devices say, read and checked.
struct InstanceSettings: Sendable {
  static let usualMemory: UInt64 = 1 << 30

  var cpus = 1
  /// Bytes.
  var memory = usualMemory
  var engine = MachineConfiguration.Engine.auto
  /// Nil is as it was when the daemon ended.
  var autostart: Bool?
  var priority = 0
  /// Seconds after its start in which no other is started with the host.
  var autostartDelay = 0
  /// Seconds that its guest has to end when the host goes down; nil for as many as always.
  var hostShutdownTimeout: Int?
  /// Those with more end first when the host goes down.
  var stopPriority = 0
  /// How snapshots that nobody names are called, and for how long they are kept unless somebody says so.
  var snapshotPattern = SnapshotPattern.usual
  var snapshotExpiry: TimeSpan?
  /// The storage pool of the root disk; nil for the one that it is in.
  var pool: String?
  /// Bytes of the root disk; nil for as many as the image's has.
  var diskSize: UInt64?
  /// What the host's memory does for the disk.
  var diskCache = MachineConfiguration.Disk.Cache.writeback
  /// By the names of their devices.
  var volumes: [VolumeDevice] = []
  var network = InstancePlan.Network.none
  /// The name of the device that is the network card.
  var card = "eth0"
  /// The card's address, where somebody chose it: six bytes.
  var hardwareAddress: [UInt8]?
  /// Words for the kernel.
  var append: String?
  /// What its guest is told at its first start.
  var cloudInit = CloudInit()
  /// What its processes may take of the host.
  var limits = MachineLimits()

  /// The disk that an instance has even if nothing says so.
  static let usualRoot = ["type": "disk", "path": "/", "pool": "default"]

  /// Devices without those that are taken away, and with a root disk.
  static func expanded(_ devices: [String: [String: String]]) -> [String: [String: String]] {
    var all = devices.filter { $0.value["type"] != "none" }
    if !all.values.contains(where: { $0["type"] == "disk" && $0["path"] == "/" }) { all["root"] = usualRoot }
    return all
  }

  /// Throws unless these may be part of what an instance is, on some architecture.
  static func checkPart(config: [String: String], devices: [String: [String: String]]) throws(APIError) {
    var failure: APIError?
    for architecture in [MachineConfiguration.Architecture.amd64, .riscv64] {
      do throws(APIError) {
        _ = try InstanceSettings(config: config, devices: devices, architecture: architecture, isPart: true)
        return
      } catch { failure = failure ?? error }
    }
    if let failure { throw failure }
  }

  /// Throws `invalid` with the key that is wrong and what it may be. `devices` are all that there are, or part of them:
  /// then what they need of each other may come from elsewhere.
  init(
    config: [String: String], devices: [String: [String: String]],
    architecture: MachineConfiguration.Architecture, isPart: Bool = false
  ) throws(APIError) {
    for (key, value) in config.sorted(by: { $0.key < $1.key }) where !value.isEmpty {
      switch key {
      case "limits.cpu": cpus = try Self.cpus(value, architecture)
      case "limits.memory": memory = try Self.memory(value)
      case "limits.cpu.allowance":
        guard limits.setAllowance(value) else {
          throw .invalid("`limits.cpu.allowance` has to be a share such as 50% or a cap such as 20ms/100ms")
        }
      case "limits.cpu.priority": limits.cpuPriority = try Self.priority(key, value)
      case "limits.disk.priority": limits.diskPriority = try Self.priority(key, value)
      case "boot.autostart": autostart = try Self.flag(key, value)
      case "boot.autostart.priority": priority = try Self.integer(key, value)
      case "boot.autostart.delay": autostartDelay = try Self.seconds(key, value)
      case "boot.host_shutdown_timeout": hostShutdownTimeout = try Self.seconds(key, value)
      case "boot.stop.priority": stopPriority = try Self.integer(key, value)
      case "snapshots.pattern":
        guard let pattern = SnapshotPattern(value) else {
          throw .invalid(
            "`snapshots.pattern` makes no name that a snapshot may have",
            wayOut: "such as snap%d, or {{ creation_date|date:'2006-01-02_15-04' }}")
        }
        snapshotPattern = pattern
      case "snapshots.expiry":
        guard let expiry = TimeSpan(value) else {
          throw .invalid("`snapshots.expiry` has to be a time such as `3d 12H`, with M, H, d, w, m or y")
        }
        snapshotExpiry = expiry
      case "volary.engine": engine = try Self.engine(value, architecture)
      case "volary.append": append = try Self.append(value, architecture)
      case "cloud-init.user-data": cloudInit.userData = value
      case "cloud-init.vendor-data": cloudInit.vendorData = value
      case "cloud-init.network-config": cloudInit.networkConfig = value
      case _ where key.hasPrefix("cloud-init.ssh-keys."):
        guard let key = CloudInit.Key(value) else {
          throw .invalid(
            "`\(key)` has to be a user and a public key", wayOut: "such as `root:ssh-ed25519 AAAA…`")
        }
        cloudInit.keys.append(key)
      default:
        guard ["user.", "image.", "volatile."].contains(where: key.hasPrefix) else {
          throw .invalid(
            "an instance has no key `\(key)`",
            wayOut: "keys of your own begin with `user.`; the others are limits.cpu, limits.memory, "
              + "limits.cpu.allowance, limits.cpu.priority, limits.disk.priority, boot.autostart, "
              + "boot.autostart.priority, boot.autostart.delay, boot.host_shutdown_timeout, "
              + "boot.stop.priority, snapshots.pattern, snapshots.expiry, cloud-init.user-data, "
              + "cloud-init.vendor-data, cloud-init.network-config, "
              + "cloud-init.ssh-keys.NAME, volary.engine and volary.append")
        }
      }
    }
    try read(devices, isPart: isPart)
    limits.memory = memory
  }

  // MARK: - Devices

  private mutating func read(_ devices: [String: [String: String]], isPart: Bool) throws(APIError) {
    var published: [PublishedPort] = []
    var card: String?
    for (name, device) in devices.sorted(by: { $0.key < $1.key }) {
      switch device["type"] {
      case "disk" where device["source"]?.isEmpty == false && device["pool"] != nil:
        volumes.append(try Self.volume(name, device, isPart: isPart))
      case "disk": try readDisk(name, device)
      case "nic":
        if let card {
          throw .invalid("an instance has one network card so far; these are `\(card)` and `\(name)`")
        }
        card = name
        self.card = name
        network = try Self.network(name, device)
        hardwareAddress = try device["hwaddr"].map { text throws(APIError) in
          try Self.hardwareAddress(name, text)
        }
      case "proxy": published.append(try Self.port(name, device))
      case "none": continue
      case let type:
        throw .invalid(
          "the device `\(name)` has " + (type.map { "the unknown type `\($0)`" } ?? "no type"),
          wayOut: "it is one of disk, nic, proxy and none")
      }
    }
    if published.isEmpty || isPart { return }
    guard case .nat = network else {
      throw .invalid("ports are published over the network `nat`, which this instance does not have")
    }
    network = .nat(published)
  }

  private mutating func readDisk(_ name: String, _ device: [String: String]) throws(APIError) {
    try Self.check(
      name, device, ["path", "pool", "size", "io.cache", "limits.read", "limits.write", "limits.max"])
    guard device["path"] == "/" else {
      throw .invalid(
        "the disk `\(name)` is not the root disk, which is the only one so far", wayOut: "its path is `/`")
    }
    for (key, reads, writes) in [
      ("limits.max", true, true), ("limits.read", true, false), ("limits.write", false, true),
    ] {
      guard let value = device[key], !value.isEmpty else { continue }
      guard limits.setThrottle(value, reads: reads, writes: writes) else {
        throw .invalid("`\(key)` of the disk `\(name)` has to be a rate such as 30MiB, a second, or 500iops")
      }
    }
    switch device["io.cache"] {
    case "writeback", "", nil: diskCache = .writeback
    case "none": diskCache = .none
    case "unsafe": diskCache = .unsafe
    case let other?:
      throw .invalid(
        "`io.cache` of the disk `\(name)` is not `\(other.prefix(40))`",
        wayOut: "it is one of none, writeback and unsafe")
    }
    pool = device["pool"]
    guard let size = device["size"] else { return }
    guard let bytes = ByteSize(size)?.bytes, bytes >= 1 << 20 else {
      throw .invalid("the size `\(size)` of the disk `\(name)` is none", wayOut: "write one such as 10GiB")
    }
    diskSize = bytes
  }

  /// A volume that is attached. What is made in the guest of its disk is the guest's affair, so it has no path.
  private static func volume(
    _ name: String, _ device: [String: String], isPart: Bool
  ) throws(APIError) -> VolumeDevice {
    try check(name, device, ["path", "pool", "source", "readonly"])
    if isPart {
      throw .invalid(
        "the device `\(name)` is a volume, which profiles do not have", wayOut: "attach it to each instance")
    }
    guard device["path"]?.isEmpty ?? true else {
      throw .invalid(
        "the volume of the device `\(name)` is a disk, which has no path", wayOut: "its guest mounts it")
    }
    if let word = device["readonly"], !word.isEmpty { _ = try flag("readonly", word) }
    guard let volume = VolumeDevice(name: name, device) else {
      throw .invalid("the device `\(name)` needs the name of a volume as `source`")
    }
    return volume
  }

  private static func network(_ name: String, _ device: [String: String]) throws(APIError)
    -> InstancePlan.Network
  {
    try check(name, device, ["network", "nictype", "parent", "name", "hwaddr"])
    if let type = device["nictype"] {
      guard ["tap", "bridged"].contains(type) else {
        throw .invalid(
          "the network card `\(name)` has the unknown nictype `\(type)`", wayOut: "it is tap or bridged")
      }
      guard let parent = device["parent"], HostLink.isName(parent) else {
        throw .invalid("the network card `\(name)` needs the name of its device on the host as `parent`")
      }
      return type == "tap" ? .tap(parent) : .host(parent)
    }
    switch device["network"] {
    case "nat", nil: return .nat([])
    case "none": return .none
    case let other?:
      guard HostLink.isName(other) else { throw .invalid("no network can be called `\(other.prefix(40))`") }
      return .host(other)
    }
  }

  /// Six bytes as `52:54:00:12:34:56`, of a single station (IEEE 802, the lowest bit of the first is 0).
  static func hardwareAddress(_ name: String, _ text: String) throws(APIError) -> [UInt8] {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    let bytes = parts.compactMap { $0.utf8.count == 2 ? UInt8($0, radix: 16) : nil }
    guard parts.count == 6, bytes.count == 6, bytes[0] & 1 == 0 else {
      throw .invalid("`\(text.prefix(40))` cannot be the address of the network card `\(name)`")
    }
    return bytes
  }

  /// `listen` and `connect` as Incus has them: `tcp:127.0.0.1:8080`.
  private static func port(_ name: String, _ device: [String: String]) throws(APIError) -> PublishedPort {
    try check(name, device, ["listen", "connect"])
    func parts(_ key: String) throws(APIError) -> (transport: String, address: String, port: String) {
      let words = (device[key] ?? "").split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard words.count == 3 else {
        throw .invalid("the proxy `\(name)` has no `\(key)` such as tcp:127.0.0.1:8080")
      }
      return (words[0], words[1], words[2])
    }
    let (listen, connect) = (try parts("listen"), try parts("connect"))
    guard listen.transport == connect.transport else {
      throw .invalid("the proxy `\(name)` would turn \(listen.transport) into \(connect.transport)")
    }
    let text = "\(listen.address):\(listen.port):\(connect.port)/\(listen.transport)"
    do { return try PublishedPort(parsing: text) } catch { throw .invalid("the proxy `\(name)`: \(error)") }
  }

  private static func check(
    _ name: String, _ device: [String: String], _ known: Set<String>
  ) throws(APIError) {
    for key in device.keys.sorted() where key != "type" && !known.contains(key) && !key.hasPrefix("user.") {
      throw .invalid(
        "the device `\(name)` has no key `\(key)`", wayOut: "it has \(known.sorted().joined(separator: ", "))"
      )
    }
  }

  // MARK: - Values

  private static func cpus(
    _ value: String, _ architecture: MachineConfiguration.Architecture
  ) throws(APIError) -> Int {
    guard let count = Int(value), architecture.cpuLimits.contains(count) else {
      let limits = architecture.cpuLimits
      throw .invalid("`limits.cpu` has to be a number from \(limits.lowerBound) to \(limits.upperBound)")
    }
    return count
  }

  private static func memory(_ value: String) throws(APIError) -> UInt64 {
    let limits = MachineConfiguration.Limits.memory
    guard let bytes = ByteSize(value)?.bytes, limits.contains(bytes & ~0xF_FFFF) else {
      throw .invalid(
        "`limits.memory` has to be from \(ByteSize(bytes: limits.lowerBound)) to \(ByteSize(bytes: limits.upperBound))"
      )
    }
    return bytes & ~0xF_FFFF
  }

  private static func flag(_ key: String, _ value: String) throws(APIError) -> Bool {
    switch value {
    case "true", "1", "yes", "on": return true
    case "false", "0", "no", "off": return false
    default: throw .invalid("`\(key)` has to be true or false")
    }
  }

  /// As Incus has them: 10 is the most.
  private static func priority(_ key: String, _ value: String) throws(APIError) -> Int {
    guard let number = Int(value), (0...10).contains(number) else {
      throw .invalid("`\(key)` has to be a number from 0 to 10")
    }
    return number
  }

  private static func integer(_ key: String, _ value: String) throws(APIError) -> Int {
    guard let number = Int(value), abs(number) <= 1_000_000 else {
      throw .invalid("`\(key)` has to be a number")
    }
    return number
  }

  private static func seconds(_ key: String, _ value: String) throws(APIError) -> Int {
    guard let number = Int(value), (0...3600).contains(number) else {
      throw .invalid("`\(key)` has to be a number of seconds, 3600 at most")
    }
    return number
  }

  private static func engine(
    _ value: String, _ architecture: MachineConfiguration.Architecture
  ) throws(APIError) -> MachineConfiguration.Engine {
    let engines = architecture.engines
    guard let engine = MachineConfiguration.Engine.allCases.first(where: { "\($0)" == value }),
      engines.contains(engine)
    else {
      let words = engines.map { "\($0)" }.sorted().joined(separator: ", ")
      throw .invalid("`volary.engine` has to be one of \(words) for \(architecture) guests")
    }
    return engine
  }

  private static func append(
    _ value: String, _ architecture: MachineConfiguration.Architecture
  ) throws(APIError) -> String {
    guard value.utf8.count <= architecture.appendLimit / 2, value.utf8.allSatisfy({ 0x20...0x7E ~= $0 })
    else {
      throw .invalid(
        "`volary.append` has to be words for the kernel, \(architecture.appendLimit / 2) bytes at most")
    }
    return value
  }
}
