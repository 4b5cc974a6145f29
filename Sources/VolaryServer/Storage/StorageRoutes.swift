internal import DiskImages
internal import Foundation
internal import GRDB
internal import VolaryAPI

/// `/1.0/storage-pools`: directories in which instances' disks lie. They are the host's, seen from each project.
struct StorageRoutes: RouteGroup {
  private static let paths = "/1.0/storage-pools"

  let instances: Instances
  private var services: DaemonServices { instances.services }
  private var pools: StoragePools { instances.pools }

  let apiExtensions = ["storage", "resources", "storage_driver_dir", "volary_storage_mirror"]

  init(_ instances: Instances) { self.instances = instances }

  var routes: [Route] {
    [
      .list(
        Self.paths, "Storage pools", right: .view, query: [.project],
        pathOf: { (pool: StoragePoolObject) in Self.path(pool.name) }
      ) { call in
        let identity = try call.requireIdentity()
        return try await services.store.read { database in
          try StoragePoolRecord.order(StoragePoolRecord.CodingKeys.name).fetchAll(database)
            .map { try object($0, identity, database) }
        }
      },
      .make(Self.paths, "Make a storage pool", right: .administer) { (call, body: StoragePoolsPost) in
        try await make(call, body)
      },
      .get(Self.paths + "/{name}", "One storage pool", right: .view, query: [.project]) { call in
        let (name, identity) = (call["name"], try call.requireIdentity())
        return try await services.store.read { try object(Self.find($0, name), identity, $0) }
      },
      .change(.put, Self.paths + "/{name}", "Set what a storage pool is", right: .administer) {
        (call, body: StoragePoolPut) in
        try await change(call) { record in
          record.description = body.description ?? ""
          record.config = Self.keeping(record.config["source"], body.config ?? [:])
        }
      },
      .change(.patch, Self.paths + "/{name}", "Change some of a storage pool", right: .administer) {
        (call, body: StoragePoolPut) in
        try await change(call) { record in
          record.description = body.description ?? record.description
          record.config.merge(body.config ?? [:]) { _, new in new }
        }
      },
      .change(
        .delete, Self.paths + "/{name}", "Delete a storage pool in which nothing is", right: .administer
      ) {
        call in try await delete(call)
      },
      .begin(
        .post, Self.paths + "/{name}/repair",
        "Have both sides of a mirrored storage pool have the same again",
        right: .administer, query: [.project]
      ) { (call, body: StoragePoolRepairPost) in
        try await instances.repair(
          call["name"], replace: body.replace ?? false, project: call.project, by: call.requireIdentity())
      },
      .get(Self.paths + "/{name}/resources", "How much there is in a storage pool", right: .view) { call in
        let name = call["name"]
        let promised = try await services.store.read { database in
          _ = try Self.find(database, name)
          let volumes = try VolumeRecord.filter(VolumeRecord.CodingKeys.pool == name).fetchAll(database)
          return try Self.disks(in: name, database).reduce(0) { $0 + $1.size }
            + volumes.reduce(0) { $0 + $1.size }
        }
        let pools = pools
        return try await offThread("resources") { try pools.resources(of: name, promised: promised) }
      },
    ]
  }

  // MARK: - Changes

  private func make(_ call: Call, _ body: StoragePoolsPost) async throws -> String {
    try ObjectName.check(body.name, of: "storage pool")
    let driver = body.driver ?? "dir"
    guard ["dir", StorageServers.driver].contains(driver) else {
      throw APIError.invalid(
        "there is no storage driver `\(driver.prefix(40))`", wayOut: "there are `dir` and `nbd`")
    }
    let config = (body.config ?? [:]).filter { !$0.value.isEmpty }
    if driver == StorageServers.driver { return try await makeServer(call, body, config) }
    try Self.check(config)
    let record = StoragePoolRecord(
      name: body.name, description: body.description ?? "", driver: "dir", config: config,
      mark: UUID().uuidString.lowercased(),
      mirrorMark: config[StoragePoolRecord.mirrorKey] == nil ? "" : UUID().uuidString.lowercased(),
      createdAt: .now)
    let pools = pools
    let source = pools.source(of: record)
    let others = try await services.store.read { try StoragePoolRecord.fetchAll($0) }
    if others.contains(where: { $0.name == record.name }) { throw Self.taken(record.name) }
    if let mirror = record.mirror, Self.overlap(source, mirror) {
      throw APIError.conflict(
        "one side of a storage pool would lie in the other", wayOut: "give directories of two disks")
    }
    for place in [config["source"], record.mirror].compactMap({ $0 }) {
      let other = others.first {
        $0.driver == "dir" && pools.sources(of: $0).contains { Self.overlap($0, place) }
      }
      guard let other else { continue }
      throw APIError.conflict(
        "\(place) lies in the storage pool `\(other.name)`, or holds it", wayOut: "give another directory")
    }
    try await offThread("pool") { try pools.claim(record) }
    do {
      try await services.store.write { database in
        if try StoragePoolRecord.exists(database, key: record.name) { throw Self.taken(record.name) }
        try record.insert(database)
      }
    } catch {
      pools.release(record)
      throw error
    }
    try pools.load(services.store)
    await tell("created", record.name, call)
    return Self.path(record.name)
  }

  /// Makes a pool of a server's exports. Whether the server answers shows when it is asked for them: it may come later.
  private func makeServer(
    _ call: Call, _ body: StoragePoolsPost, _ config: [String: String]
  ) async throws -> String {
    try StorageServers.check(config)
    let record = StoragePoolRecord(
      name: body.name, description: body.description ?? "", driver: StorageServers.driver, config: config,
      mark: "", mirrorMark: "", createdAt: .now)
    let server = try StorageServers.location(config).server
    try await services.store.write { database in
      if try StoragePoolRecord.exists(database, key: record.name) { throw Self.taken(record.name) }
      // Who uses which of its disks is looked for by the pool.
      let others = try StoragePoolRecord.fetchAll(database)
      if let other = others.first(where: { StorageServers.location(of: $0)?.server == server }) {
        throw APIError.conflict("the storage pool `\(other.name)` has that server already")
      }
      try record.insert(database)
    }
    try pools.load(services.store)
    await tell("created", record.name, call)
    return Self.path(record.name)
  }

  private func change(_ call: Call, _ edit: @Sendable @escaping (inout StoragePoolRecord) -> Void)
    async throws
  {
    let (name, identity) = (call["name"], try call.requireIdentity())
    try await services.store.write { database in
      var record = try Self.find(database, name)
      try call.checkMatch(object(record, identity, database))
      let (source, place) = (record.config["source"], pools.source(of: record))
      let mirror = record.mirror
      edit(&record)
      record.config = record.config.filter { !$0.value.isEmpty }
      // It is shown where nobody has said it, and then comes back.
      if record.config["source"] == place { record.config["source"] = source }
      // Incus's client leaves out what it does not know.
      if record.mirror == nil { record.config[StoragePoolRecord.mirrorKey] = mirror }
      guard record.config["source"] == source, record.mirror == mirror else {
        throw APIError.invalid("a storage pool stays where it is", wayOut: "make another with that source")
      }
      if record.driver == StorageServers.driver {
        try StorageServers.check(record.config)
      } else {
        try Self.check(record.config)
      }
      try record.update(database)
    }
    try pools.load(services.store)
    await tell("updated", name, call)
  }

  private func delete(_ call: Call) async throws {
    let name = call["name"]
    let record = try await services.store.write { database in
      let record = try Self.find(database, name)
      if name == StoragePoolRecord.default {
        throw APIError.conflict("the storage pool `default` is always there")
      }
      let users = try Self.users(of: name, database)
      if let first = users.first {
        throw APIError.conflict(
          "the storage pool is used by \(users.count == 1 ? first.path : "\(users.count) instances, profiles and volumes")",
          wayOut: "delete or change them first")
      }
      try record.delete(database)
      return record
    }
    let pools = pools
    try await offThread("pool") { pools.release(record) }
    try pools.load(services.store)
    await tell("deleted", name, call)
  }

  private func tell(_ action: String, _ name: String, _ call: Call) async {
    await services.events.lifecycle(
      "storage-pool-\(action)", source: Self.path(name), project: nil, requestor: call.identity)
  }

  // MARK: - Details

  private func object(
    _ record: StoragePoolRecord, _ identity: Identity, _ database: Database
  ) throws -> StoragePoolObject {
    var config = record.config
    config["source"] = pools.source(of: record)
    let lag = try instances.lag(of: record.name, database)
    return StoragePoolObject(
      name: record.name, description: record.description, driver: record.driver, config: config,
      usedBy: try Self.users(of: record.name, database).filter { identity.reaches(project: $0.project) }
        .map(\.path),
      conditions: [
        pools.condition(of: record.name),
        pools.degradation(of: record.name) ?? lag.flatMap { instances.condition(of: record.name, $0) },
      ].compactMap { $0 }, sides: lag.map { instances.sides(of: record.name, $0) } ?? [])
  }

  private static func path(_ name: String) -> String { "\(paths)/\(APIEndpoint.escaped(name))" }

  static func path(of record: InstanceRecord) -> String {
    Instances.path(record) + ProjectRecord.suffix(record.project)
  }

  private static func taken(_ name: String) -> APIError {
    .conflict("there is a storage pool `\(name)` already")
  }

  static func find(_ database: Database, _ name: String) throws -> StoragePoolRecord {
    guard let record = try StoragePoolRecord.fetchOne(database, key: name) else {
      throw APIError.notFound(
        "there is no storage pool `\(name.prefix(100))`",
        wayOut: "`volary storage list` shows those that there are")
    }
    return record
  }

  /// Instances whose disks are there, profiles by which disks would be, and volumes.
  private static func users(of pool: String, _ database: Database) throws -> [(path: String, project: String)]
  {
    let instances = try InstanceRecord.filter(InstanceRecord.CodingKeys.pool == pool)
      .order(InstanceRecord.CodingKeys.project, InstanceRecord.CodingKeys.name).fetchAll(database)
      .map { (path(of: $0), $0.project) }
    let profiles = try ProfileRecord.fetchAll(database)
      .filter { profile in profile.devices.values.contains { $0["type"] == "disk" && $0["pool"] == pool } }
      .map { profile in
        ("/1.0/profiles/\(profile.name)\(ProjectRecord.suffix(profile.project))", profile.project)
      }
    let volumes = try VolumeRecord.filter(VolumeRecord.CodingKeys.pool == pool)
      .order(VolumeRecord.CodingKeys.project, VolumeRecord.CodingKeys.name).fetchAll(database)
      .map { volume in
        let path = Instances.path(pool: volume.pool, volume: volume.name)
        return (path + ProjectRecord.suffix(volume.project), volume.project)
      }
    let exports = try ExportUse.users(of: pool, database)
      .filter { _, devices in try devices.contains { try ExportUse.pool(of: $0, database) != nil } }
      .map { (path(of: $0.0), $0.0.project) }
    return instances + profiles + volumes + exports
  }

  /// The root disks in a pool, with the bytes that each may come to hold.
  static func disks(
    in pool: String, _ database: Database
  ) throws -> [(record: InstanceRecord, size: Int64)] {
    let records = try InstanceRecord.filter(InstanceRecord.CodingKeys.pool == pool).fetchAll(database)
    let sets = Dictionary(grouping: try ProfileRecord.fetchAll(database), by: \.project).mapValues(
      ProfileSet.init)
    return records.map { record in
      let wanted = (try? (sets[record.project] ?? ProfileSet()).settings(of: record))?.diskSize ?? 0
      let image = record.volatile[Instances.Volatile.imageDiskSize].flatMap { UInt64($0) } ?? 0
      return (record, Int64(clamping: max(wanted, image)))
    }
  }

  private static func keeping(_ source: String?, _ config: [String: String]) -> [String: String] {
    source.map { config.merging(["source": $0]) { given, _ in given } } ?? config
  }

  private static func check(_ config: [String: String]) throws(APIError) {
    let known = ["source", StoragePoolRecord.mirrorKey]
    for key in config.keys.sorted() where !known.contains(key) && !key.hasPrefix("user.") {
      throw .invalid(
        "a storage pool has no key `\(key)`",
        wayOut: "it has source and \(StoragePoolRecord.mirrorKey), and keys of your own in user.")
    }
    for source in known.compactMap({ config[$0] }) { try check(source: source) }
  }

  private static func check(source: String) throws(APIError) {
    guard source.hasPrefix("/"), !source.contains("\0"), source.utf8.count < 1024,
      !source.split(separator: "/").contains("..")
    else { throw .invalid("the source of a storage pool is the path of a directory, from / on") }
  }

  /// Whether one path is, or is in, the other.
  private static func overlap(_ one: String, _ other: String) -> Bool {
    let paths = [one, other].map { path in
      URL(filePath: path).resolvingSymlinksInPath().path(percentEncoded: false).split(separator: "/")
    }
    return paths[0].starts(with: paths[1]) || paths[1].starts(with: paths[0])
  }
}
