internal import GRDB
internal import HTTPTypes
internal import HummingbirdCore
internal import VolaryAPI
internal import VolaryHost

/// `/1.0/storage-pools/{name}/volumes`: the disks in a pool, those of instances and those that are no instance's own.
struct VolumeRoutes: RouteGroup {
  private static let paths = "/1.0/storage-pools/{name}/volumes"
  private static let one = paths + "/{type}/{volume}"

  let instances: Instances
  private var services: DaemonServices { instances.services }

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = [
    "storage_api_volume_rename", "storage_api_volume_snapshots", "storage_api_local_volume_handling",
    "storage_volume_state", "custom_block_volumes", "custom_volume_snapshot_expiry", "storage_api_project",
    "storage_volumes_created_at",
  ]

  var routes: [Route] {
    [
      .list(
        Self.paths, "The disks in a storage pool", right: .view, query: [.project], pathOf: Self.path
      ) { call in try await objects(call) },
      .list(
        Self.paths + "/{type}", "The disks of a type in a storage pool", right: .view, query: [.project],
        pathOf: Self.path
      ) { call in try await objects(call).filter { $0.type == call["type"] } },
      .make(Self.paths, "Make a volume", right: .operate, query: [.project]) {
        (call, body: StorageVolumesPost) in
        try await instances.makeVolume(body, in: call["name"], project: call.project)
      },
      Route(
        .post, Self.paths + "/{type}",
        "Make a volume, or begin to copy one; of octets, the one that a backup is of", right: .operate,
        query: [.project], request: StorageVolumesPost.self, answer: .made,
        action: .either(
          { call in
            try Self.checkType(call)
            let body = try call.decode(StorageVolumesPost.self)
            if body.source?.type == "copy" {
              return try await .begun(
                instances.copyVolume(
                  body, in: call["name"], project: call.project, by: call.requireIdentity()))
            }
            return .made(try await instances.makeVolume(body, in: call["name"], project: call.project))
          },
          { call, body in
            try Self.checkType(call)
            return try await .begun(VolumeBackupRoutes(instances).importVolume(call, body))
          })),
      .get(Self.one, "One disk in a storage pool", right: .view, query: [.project]) { call in
        try await object(call)
      },
      .change(.put, Self.one, "Set what a volume is", right: .operate, query: [.project]) {
        (call, body: StorageVolumePut) in
        if let snapshot = body.restore, !snapshot.isEmpty {
          try call.checkMatch(try await object(call))
          return try await instances.restoreVolume(try await volume(call), snapshot)
        }
        try await change(call) { description, config in
          description = body.description ?? ""
          config = body.config ?? [:]
        }
      },
      .change(.patch, Self.one, "Change some of a volume", right: .operate, query: [.project]) {
        (call, body: StorageVolumePut) in
        try await change(call) { description, config in
          description = body.description ?? description
          config.merge(body.config ?? [:]) { _, new in new }
        }
      },
      .change(.post, Self.one, "Rename a volume", right: .operate, query: [.project]) {
        (call, body: StorageVolumePost) in
        try Self.checkType(call)
        try await instances.renameVolume(call["volume"], in: call["name"], project: call.project, to: body)
      },
      .change(
        .delete, Self.one, "Delete a volume that is attached to no instance", right: .operate,
        query: [.project]
      ) { call in
        try Self.checkType(call)
        try await instances.deleteVolume(call["volume"], in: call["name"], project: call.project)
      },
      .get(Self.one + "/state", "What a disk uses", right: .view, query: [.project]) { call in
        if call["type"] == "custom", let disk = try await export(call) {
          let size = disk.config["size"].flatMap { Int64($0) } ?? 0
          return StorageVolumeState(usage: .init(used: size, total: size))
        }
        if call["type"] == "custom" { return try await instances.state(of: try await volume(call)) }
        _ = try await object(call)
        let disk = try await instances.state(call["volume"], project: call.project).disk["root"]
        return StorageVolumeState(usage: .init(used: disk?.usage ?? 0, total: disk?.total ?? 0))
      },
    ]
  }

  static func path(_ volume: StorageVolumeObject) -> String {
    "/1.0/storage-pools/\(APIEndpoint.escaped(volume.pool))/volumes/\(volume.type)/\(APIEndpoint.escaped(volume.name))"
  }

  static func checkType(_ call: Call) throws(APIError) {
    if call["type"] != "custom" {
      throw .invalid(
        "disks of the type `\(call["type"].prefix(40))` are changed with what they are of",
        wayOut: "volumes by themselves have the type custom")
    }
  }

  /// The volume that a path names.
  func volume(_ call: Call) async throws -> VolumeRecord {
    try Self.checkType(call)
    return try await instances.volume(call["volume"], in: call["name"], project: call.project)
  }

  /// An operation that has nothing left to do, for Incus's client.
  func done(_ what: String, _ call: Call) async throws -> OperationObject {
    try await instances.services.operations.create(
      what, project: call.project,
      resources: ["storage_volumes": [Instances.path(pool: call["name"], volume: call["volume"])]],
      requestor: call.requireIdentity()
    ) { _ in [:] }
  }

  // MARK: - What there is

  /// Instances' root disks, and volumes.
  private func objects(_ call: Call) async throws -> [StorageVolumeObject] {
    let (pool, project) = (call["name"], call.project)
    if let exports = try await instances.exports(in: pool, project: project) { return exports }
    return try await services.store.read { database in
      _ = try StorageRoutes.find(database, pool)
      let disks = try StorageRoutes.disks(in: pool, database).filter { $0.record.project == project }
        .map { disk in
          StorageVolumeObject(
            name: disk.record.name, type: "virtual-machine", pool: pool, project: project,
            description: disk.record.description, config: ["size": "\(disk.size)"],
            createdAt: disk.record.createdAt, usedBy: [StorageRoutes.path(of: disk.record)])
        }
      let volumes = try VolumeRecord.filter(
        VolumeRecord.CodingKeys.pool == pool && VolumeRecord.CodingKeys.project == project
      ).order(VolumeRecord.CodingKeys.name).fetchAll(database)
      return try disks
        + volumes.map { volume in
          StorageVolumeObject(
            name: volume.name, type: "custom", pool: pool, project: project, description: volume.description,
            config: volume.config, createdAt: volume.createdAt,
            usedBy: try VolumeUse.users(of: volume, database).map(StorageRoutes.path))
        }
    }
  }

  /// A server's disk; nil in a pool of another driver.
  private func export(_ call: Call) async throws -> StorageVolumeObject? {
    try await instances.export(call["volume"], in: call["name"], project: call.project)
  }

  private func object(_ call: Call) async throws -> StorageVolumeObject {
    if call["type"] == "custom", let disk = try await export(call) { return disk }
    let found = try await objects(call).first { $0.type == call["type"] && $0.name == call["volume"] }
    guard let found else { throw Instances.noVolume(call["volume"], in: call["name"]) }
    return found
  }

  // MARK: - Changes

  private func change(
    _ call: Call,
    _ edit: @Sendable @escaping (_ description: inout String, _ config: inout [String: String]) -> Void
  ) async throws {
    try Self.checkType(call)
    try call.checkMatch(try await object(call))
    let (name, pool) = (call["volume"], call["name"])
    let isExport = try await instances.changeExport(name, in: pool, project: call.project) {
      edit(&$0.description, &$0.config)
    }
    if isExport { return }
    try await instances.changeVolume(name, in: pool, project: call.project) {
      edit(&$0.description, &$0.config)
    }
  }
}
