internal import GRDB
internal import VolaryAPI
internal import VolaryHost

/// What a project may have, held against what it would have.
enum InstanceQuota {
  /// Throws when a project would have more than it may with `record`, new or changed. Stopped instances count, so
  /// that a start does not depend on who was first.
  static func check(
    _ project: ProjectRecord, adding record: InstanceRecord, _ settings: InstanceSettings,
    _ profiles: ProfileSet, _ database: Database
  ) throws {
    let limits = try ProjectLimits(project.config)
    guard limits != (try ProjectLimits([:])) else { return }
    if let networks = limits.networks, case .host(let name) = settings.network {
      try check(name, networks, project)
    }
    if let networks = limits.networks, case .tap(let name) = settings.network {
      try check(name, networks, project)
    }
    let others = try InstanceRecord.filter(
      InstanceRecord.CodingKeys.project == project.name && InstanceRecord.CodingKeys.id != record.id
    ).fetchAll(database)
    let all =
      try others.map { other in
        (try profiles.settings(of: other), other)
      } + [(settings, record)]
    try check("instances", limits.instances, Int64(all.count), project) { "\($0)" }
    try check("CPUs", limits.cpus, all.reduce(0) { $0 + Int64($1.0.cpus) }, project) { "\($0)" }
    let size = { (bytes: Int64) in "\(ByteSize(bytes: UInt64(max(0, bytes))))" }
    try check("memory", limits.memory, all.reduce(0) { $0 + Int64(clamping: $1.0.memory) }, project, size)
    let volumes = try volumes(of: project, besides: nil, database)
    try check("disk space", limits.disk, all.reduce(volumes) { $0 + disk($1.0, $1.1) }, project, size)
  }

  /// As ``check(_:adding:_:_:_:)``, of a volume.
  static func check(_ project: ProjectRecord, adding volume: VolumeRecord, _ database: Database) throws {
    guard let limit = try ProjectLimits(project.config).disk else { return }
    let profiles = try ProfileSet(database, project: project.name)
    let instances = try InstanceRecord.filter(InstanceRecord.CodingKeys.project == project.name)
      .fetchAll(database).reduce(0) { try $0 + disk(profiles.settings(of: $1), $1) }
    let others = try volumes(of: project, besides: volume.id, database)
    try check("disk space", limit, instances + others + volume.size, project) {
      "\(ByteSize(bytes: UInt64(max(0, $0))))"
    }
  }

  /// Bytes of a project's volumes.
  private static func volumes(
    of project: ProjectRecord, besides id: String?, _ database: Database
  ) throws -> Int64 {
    try VolumeRecord.filter(VolumeRecord.CodingKeys.project == project.name).fetchAll(database)
      .reduce(0) { $1.id == id ? $0 : $0 + $1.size }
  }

  private static func check(
    _ network: String, _ allowed: Set<String>, _ project: ProjectRecord
  ) throws(APIError) {
    if allowed.contains(network) { return }
    let names = allowed.isEmpty ? "" : ", \(allowed.sorted().joined(separator: ", "))"
    throw APIError(
      .denied, "instances of the project `\(project.name)` may not be on the network `\(network)`",
      wayOut: "they may be on nat\(names); `restricted.networks.access` of the project says so")
  }

  /// Bytes that a root disk is to have.
  static func disk(_ settings: InstanceSettings, _ record: InstanceRecord) -> Int64 {
    settings.diskSize.map { Int64(clamping: $0) }
      ?? record.volatile[Instances.Volatile.imageDiskSize].flatMap { Int64($0) } ?? 0
  }

  private static func check(
    _ what: String, _ limit: Int64?, _ wanted: Int64, _ project: ProjectRecord, _ text: (Int64) -> String
  ) throws(APIError) {
    guard let limit, wanted > limit else { return }
    throw APIError(
      .unprocessable,
      "the project `\(project.name)` is limited to \(text(limit)) of \(what), and would have \(text(wanted))",
      wayOut: "delete what is not needed, or have its limit raised")
  }
}
