internal import AgentProtocol
internal import Foundation
internal import GRDB
internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// The instances of this host: made, started, found again after the daemon was gone, stopped and deleted.
///
/// A machine's process does not end with the daemon. What the store says of an instance is written before and after
/// each step, so that a daemon that comes later knows what this one did not finish.
actor Instances {
  /// What of an instance is not over; kept under ``Volatile/pending``.
  enum Pending: String {
    case creation, deletion
  }

  /// Keys of what the daemon keeps for itself.
  enum Volatile {
    static let pending = "volatile.pending"
    /// The address of a network card, and what its side on the host is called, by the name of the device.
    static func hardwareAddress(_ card: String) -> String { "volatile.\(card).hwaddr" }
    static func hostName(_ card: String) -> String { "volatile.\(card).host_name" }
    static let imageDiskSize = "volatile.image.disk"
    /// What its machine was started with (``StartedWith``).
    static let started = "volatile.started"
    /// There while a machine that runs is asked to become what a snapshot holds, which its row is by then.
    static let reverting = "volatile.reverting"
    /// There while a machine that ran is held still to be kept and ended.
    static let stopping = "volatile.stopping"
    /// There while a guest has not been told that it was forked: the address of the network card that it takes its own
    /// for, or nothing.
    static let forked = "volatile.forked"

    /// Those that are shown to nobody.
    static let hidden: Set = [pending, started, reverting, stopping, forked]
  }

  let services: DaemonServices
  let images: ImageStore
  nonisolated let pools: StoragePools
  var machines: [String: RunningMachine] = [:]
  var pool = HostPool()
  /// Where groups of machines are; nil where the host gives none, and why.
  var groups: ControlGroupTree?
  var groupsAbsence = ""
  /// Why instances that should run do not, by their id.
  var refusals: [String: Condition] = [:]
  /// Layers that are being put together.
  var merge: Merge?
  /// Whose layers are being exchanged at this moment.
  var committing: Set<String> = []
  /// Upper ones of pairs that could not be, until the daemon starts again.
  var unmerged: Set<String> = []
  /// Layers that are being read, by the backup that they go into.
  var exporting: [String: Set<String>] = [:]
  /// What is being done to a volume, by its id: one thing at a time.
  var busyVolumes: [String: String] = [:]
  /// Mirrored pools that are being repaired.
  var repairs: Set<String> = []
  /// Layers that are being copied to another side.
  var copying: Set<String> = []
  /// Disks that are rebuilt without a machine, by the instance or the volume.
  var rebuilds: [String: Rebuild] = [:]
  /// What is known of sides that are missing, by instance.
  var mirrorTroubles: [String: MirrorTrouble] = [:]
  /// Layers whose files were missing when the daemon started.
  var lostLayers: Set<String> = []
  /// Images' disks on their way into pools, by pool and file.
  var arrivals: [String: Task<LayerRecord, any Error>] = [:]
  private var table: InstanceTable
  private var snapshotCounts: SnapshotCounts
  private var profiles: ProfileTable
  /// What is being done to an instance, by its id: one thing at a time.
  private(set) var busy: [String: String] = [:]
  private var lastTicket: UInt64 = 0
  /// Whether machines end because the host does.
  var hostGoesDown = false
  /// Whether no daemon has been here since the host was started.
  var isFirstOfBoot = false

  init(_ services: DaemonServices) {
    self.services = services
    table = InstanceTable(store: services.store)
    profiles = ProfileTable(store: services.store)
    snapshotCounts = SnapshotCounts(store: services.store)
    pools = StoragePools(dataDirectory: services.dataDirectory)
    images = ImageStore(data: URL(fileURLWithPath: services.dataDirectory, isDirectory: true))
  }

  nonisolated func folder(of record: InstanceRecord) -> InstanceFolder {
    InstanceFolder(
      "\(services.dataDirectory)/instances/\(record.id)", diskFolder: pools.diskFolder(of: record))
  }

  nonisolated static func path(_ record: InstanceRecord) -> String { path(record.name) }
  nonisolated static func path(_ name: String) -> String { "/1.0/instances/\(name)" }

  // MARK: - What there is

  func find(_ name: String, project: String) async throws -> InstanceRecord {
    let record = try await services.store.read { try InstanceRecord.find($0, project: project, name: name) }
    guard let record else {
      throw APIError.notFound("there is no instance `\(name)` in the project `\(project)`")
    }
    return record
  }

  func list(project: String) async throws -> [InstanceObject] {
    try await checkProject(project)
    return try table.records(project: project).map(object)
  }

  /// With what each uses.
  func listWithStates(project: String) async throws -> [InstanceObject] {
    try await checkProject(project)
    let records = try table.records(project: project)
    let states = await measure(records)
    let snapshots = try await snapshots(of: records)
    return zip(records, states).map { record, state in
      var object = object(record)
      object.state = state
      object.snapshots = snapshots[record.id] ?? []
      return object
    }
  }

  /// ``list(project:)`` as JSON, of which most is kept from the last time.
  func listJSON(project: String) async throws -> Data {
    try await checkProject(project)
    try profiles.refresh()
    let version = profiles.version
    return try table.json(
      project: project,
      outlook: {
        .init(
          status: status(of: $0), conditions: conditionsBesideItsRow(of: $0), profiles: version,
          snapshots: snapshotCounts[$0.id])
      },
      object: object)
  }

  func paths(project: String) async throws -> [String] {
    try await checkProject(project)
    return try table.records(project: project).map(Self.path)
  }

  /// The rows of a project, by name.
  func records(project: String) throws -> [InstanceRecord] { try table.records(project: project) }

  private func checkProject(_ project: String) async throws {
    guard try await services.store.read({ try ProjectRecord.exists($0, key: project) }) else {
      throw APIError.notFound("there is no project `\(project)`")
    }
  }

  func object(_ record: InstanceRecord) -> InstanceObject {
    let profiles = profiles(of: record)
    let known = Self.known(of: record)
    return InstanceObject(
      name: record.name, description: record.description, status: status(of: record),
      architecture: record.architecture, type: record.type, createdAt: record.createdAt,
      lastUsedAt: record.lastUsedAt, ephemeral: record.ephemeral, stateful: record.stateful,
      config: record.config.merging(known) { own, _ in own }, devices: record.devices,
      expandedConfig: profiles.config(of: record).merging(known) { own, _ in own },
      expandedDevices: profiles.devices(of: record), profiles: record.profiles, project: record.project,
      conditions: conditions(of: record, profiles), exit: record.exit,
      snapshotCount: snapshotCounts[record.id])
  }

  /// Bytes of the disks of all instances and volumes in the store, by id.
  func storedDisks() throws -> [String: Int64] {
    try profiles.refresh()
    let disks = try table.disks(profiles: profiles.version) { record in
      (try? settings(of: record)).map { InstanceQuota.disk($0, record) } ?? 0
    }
    let volumes = try services.store.readNow { try VolumeRecord.fetchAll($0).map { ($0.id, $0.size) } }
    return disks.merging(volumes) { $0 + $1 }
  }

  /// What there is to say of an instance that is not as it should be.
  private func conditions(of record: InstanceRecord, _ profiles: ProfileSet) -> [Condition] {
    let known = conditionsBesideItsRow(of: record)
    guard let machine = machines[record.id] else { return known }
    let started = record.volatile[Volatile.started].flatMap(StartedWith.init(text:))
    let outdated = started?.condition(now: StartedWith(record, profiles), since: machine.startedAt)
    return known + [outdated].compactMap { $0 }
  }

  /// Of that what neither the instance's row nor its profiles tell.
  private func conditionsBesideItsRow(of record: InstanceRecord) -> [Condition] {
    let machine = machines[record.id]
    let lost = machine?.lostDisks.sorted { $0.key < $1.key }.map(\.value) ?? []
    let full = machine.map { Array($0.fullDisks.values) } ?? []
    return lost + full
      + [
        machine?.trouble, machine?.limitsTrouble, machine?.sizeTrouble, refusals[record.id],
        pools.condition(of: record.pool),
        layerCondition(of: record), mirrorTroubles[record.id]?.condition,
      ].compactMap { $0 }
  }

  /// What is shown among an instance's configuration, and is not somebody's to set.
  static func known(of record: InstanceRecord) -> [String: String] {
    var known = record.volatile.filter { !Volatile.hidden.contains($0.key) }
    known["image.alias"] = record.imageAlias
    return known
  }

  private func status(of record: InstanceRecord) -> StatusCode {
    if let machine = machines[record.id] { return machine.isFrozen ? .frozen : .running }
    // What is being done to it says more than what it was.
    return record.statusCode == .starting && busy[record.id] == nil ? .stopped : record.statusCode
  }

  /// What a running instance uses.
  func state(_ name: String, project: String) async throws -> InstanceStateObject {
    let record = try await find(name, project: project)
    if let machine = machines[record.id], !machine.isFrozen {
      // Being asked has the machine ask its guest, which takes a moment to say what it has.
      _ = try? await machine.link.call(.status)
      try? await Task.sleep(for: .milliseconds(50))
    }
    await refreshReport(record.id)
    return try await state(of: record)
  }

  func state(of record: InstanceRecord) async throws -> InstanceStateObject {
    var state = InstanceStateObject(status: status(of: record))
    if let disk = try await disk(of: record) {
      // What is beneath its own layer is others' too.
      state.disk["root"] = .init(
        usage: LayerFile.storedBytes(disk.top.path), total: Int64(clamping: disk.size))
    }
    guard let machine = machines[record.id],
      case .status(let status)? = try? await machine.link.call(.status)
    else { return state }
    state.pid = Int64(machine.identity?.identifier ?? 0)
    state.startedAt = machine.startedAt
    state.memory = .init(
      usage: Int64(clamping: status.residentMemory),
      total: Int64(clamping: status.memory - min(status.memory, status.balloonTarget)))
    state.memory.guest = .init(status)
    state.cpu = .init(usage: ProcessTimes.processorTime(of: machine.identity?.identifier ?? 0))
    if let disk = status.disks.first {
      state.disk["root"]?.bytesRead = Int64(clamping: disk.bytesRead)
      state.disk["root"]?.bytesWritten = Int64(clamping: disk.bytesWritten)
    }
    state.cgroup = machine.group.map { .init($0.usage) }
    if let report = machine.report {
      // For the next one who asks: a guest answers in its own time.
      askForReport(record.id)
      state.network = report.networks
      state.processes = Int64(report.processes)
      state.system = report.systemObject
    } else if let network = status.network {
      let card = (try? settings(of: record).card) ?? "eth0"
      let interface = profiles(of: record).devices(of: record)[card]?["name"] ?? "eth0"
      state.network[interface] = .init(
        counters: .init(
          bytesReceived: Int64(clamping: network.bytesReceived),
          bytesSent: Int64(clamping: network.bytesSent),
          packetsReceived: Int64(clamping: network.framesReceived),
          packetsSent: Int64(clamping: network.framesSent)),
        hwaddr: record.volatile[Volatile.hardwareAddress(card)] ?? "",
        hostName: record.volatile[Volatile.hostName(card)] ?? "")
    }
    return state
  }

  func settings(of record: InstanceRecord) throws(APIError) -> InstanceSettings {
    try profiles(of: record).settings(of: record)
  }

  /// The profiles of an instance's project.
  func profiles(of record: InstanceRecord) -> ProfileSet {
    (try? profiles.set(of: record.project)) ?? ProfileSet()
  }

  nonisolated static func architecture(of record: InstanceRecord) -> MachineConfiguration.Architecture {
    record.architecture == "x86_64" ? .amd64 : .riscv64
  }

  // MARK: - One thing at a time

  /// Does something to an instance that nothing else may be done to meanwhile.
  func exclusively<Value: Sendable>(
    _ record: InstanceRecord, _ what: String, _ body: @Sendable () async throws -> Value
  ) async throws -> Value {
    await leaveCommit(record.id)
    if let other = busy[record.id] {
      throw APIError.conflict(
        "the instance `\(record.name)` is being \(other)", wayOut: "try again when that is done")
    }
    busy[record.id] = what
    defer {
      busy[record.id] = nil
      Task { await mergeLayers() }
    }
    return try await body()
  }

  /// Whether that is being done to it.
  func isBeing(_ record: InstanceRecord, _ what: String) -> Bool { busy[record.id] == what }

  /// Instances whose machines run, or to which something is done.
  var idsInUse: Set<String> { Set(machines.keys).union(busy.keys) }

  var isAnythingDone: Bool { !busy.isEmpty }

  func nextTicket() -> UInt64 {
    lastTicket += 1
    return lastTicket
  }

  // MARK: - The store

  /// Changes an instance's row and returns it as it is then.
  @discardableResult
  func update(
    _ id: String, _ change: @escaping @Sendable (inout InstanceRecord) throws -> Void
  ) async throws -> InstanceRecord {
    try await services.store.write { database in
      guard var record = try InstanceRecord.fetchOne(database, key: id) else {
        throw APIError.notFound("the instance is gone")
      }
      try change(&record)
      try record.update(database)
      return record
    }
  }

  func tell(_ action: String, _ record: InstanceRecord, _ context: [String: JSONValue] = [:]) async {
    await services.events.lifecycle(
      "instance-\(action)", source: Self.path(record), project: record.project, context: context)
  }
}
