internal import GRDB
internal import Glibc
internal import VolaryAPI
internal import VolaryHost

/// What the host promises to instances.
extension Instances {
  func ratios() async throws -> OvercommitRatios {
    try OvercommitRatios(try await services.store.read(SettingRecord.all))
  }

  var capacity: HostCapacity { .measure(dataDirectory: services.dataDirectory) }

  /// Sets CPUs and memory aside for a machine that is about to start.
  func admit(_ record: InstanceRecord, _ plan: InstancePlan, _ ratios: OvercommitRatios) throws {
    try pool.promise(
      .init(cpus: plan.cpus, memory: Int64(clamping: plan.memory)), to: record.id, name: record.name,
      capacity,
      ratios)
  }

  /// Gives back what was set aside for a machine that did not come to be.
  func withdraw(_ id: String) {
    guard machines[id] == nil else { return }
    pool.release(id)
    groups?.group(id).remove()
  }

  /// Sets disk space aside for what `record` is to be, until ``HostPool/settleDisk(_:)``.
  func admitDisk(
    _ record: InstanceRecord, _ settings: InstanceSettings, old: Int64 = 0, _ ratios: OvercommitRatios
  ) throws {
    let least = record.volatile[Volatile.imageDiskSize].flatMap { Int64($0) } ?? 0
    try pool.promiseDisk(
      InstanceQuota.disk(settings, record), old: old, least: least, to: record.id, name: record.name,
      others: storedDisks(), capacity, ratios)
  }

  /// Notes that an instance that should run could not be started.
  func note(_ failure: APIError, of id: String) {
    refusals[id] = Condition(
      type: "Started", status: false, reason: failure.code == .conflict ? "NotAdmitted" : "Failed",
      message: failure.message)
  }

  func resources() async throws -> ResourcesObject {
    let ratios = try await ratios()
    let capacity = capacity
    var names = utsname()
    uname(&names)
    let architecture = withUnsafeBytes(of: names.machine) {
      String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
    }
    let topology = HostTopology()
    return ResourcesObject(
      cpu: topology.cpu(architecture: architecture, total: capacity.cpus),
      memory: .init(total: capacity.memory, used: capacity.memoryUsed), storage: .init(disks: topology.disks),
      load: .init(
        average1min: capacity.load[0], average5min: capacity.load[1], average10min: capacity.load[2],
        processes: capacity.processes), pool: try shares(capacity, ratios))
  }

  /// What is promised and used of what the host has.
  func shares(_ capacity: HostCapacity, _ ratios: OvercommitRatios) throws -> ResourcesObject.Pool {
    .init(
      cpus: .init(
        total: Int64(capacity.cpus), overcommit: ratios.cpus, promised: Int64(pool.promised.cpus),
        used: Int64(capacity.load[0].rounded())),
      memory: .init(
        total: capacity.memory, overcommit: ratios.memory, promised: pool.promised.memory,
        used: capacity.memoryUsed),
      disk: .init(
        total: capacity.disk, overcommit: ratios.disk, promised: pool.promisedDisk(try storedDisks()),
        used: capacity.diskUsed))
  }
}
