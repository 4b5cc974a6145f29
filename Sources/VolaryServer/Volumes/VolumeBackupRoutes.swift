internal import HTTPTypes
internal import HummingbirdCore
internal import VolaryAPI

/// `/1.0/storage-pools/{name}/volumes/custom/{volume}/backups`.
struct VolumeBackupRoutes: RouteGroup {
  private static let paths = "/1.0/storage-pools/{name}/volumes/{type}/{volume}/backups"

  let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = ["custom_volume_backup"]

  var routes: [Route] {
    [
      .list(
        Self.paths, "Backups of a volume, oldest first", right: .view, query: [.project],
        objectPath: { call, backup in
          "\(Instances.path(pool: call["name"], volume: call["volume"]))/backups/\(APIEndpoint.escaped(backup.name))"
        }
      ) { call in
        instances.pools.isServer(call["name"]) ? [] : try await instances.backups(of: volume(call))
      },
      .begin(.post, Self.paths, "Make a backup of a volume", right: .operate, query: [.project]) {
        (call, body: BackupsPost) in
        try await instances.makeBackup(of: volume(call), body, by: call.requireIdentity())
      },
      .get(Self.paths + "/{backup}", "One backup of a volume", right: .view, query: [.project]) { call in
        try await instances.backup(call["backup"], of: volume(call)).object
      },
      .begin(
        .post, Self.paths + "/{backup}", "Rename a backup of a volume", right: .operate, query: [.project]
      ) { (call, body: BackupPost) in
        try await instances.renameBackup(call["backup"], of: volume(call), to: body.name)
        return try await done("Renaming backup", call)
      },
      .begin(
        .delete, Self.paths + "/{backup}", "Delete a backup of a volume", right: .operate, query: [.project]
      ) { call in
        let backup = try await instances.backup(call["backup"], of: volume(call))
        try await instances.checkPool(backup.pool)
        await instances.forget(backup)
        return try await done("Deleting backup", call)
      },
      Route(
        .get, Self.paths + "/{backup}/export", "The file of a backup of a volume", right: .operate,
        query: [.project], answer: .bytes(type: "application/octet-stream"),
        action: .respond { call in
          let backup = try await instances.backup(call["backup"], of: volume(call))
          try await instances.checkPool(backup.pool)
          return try await BackupRoutes.reply(instances.path(of: backup))
        }),
    ]
  }

  private func volume(_ call: Call) async throws -> VolumeRecord {
    try await VolumeRoutes(instances).volume(call)
  }

  private func done(_ what: String, _ call: Call) async throws -> OperationObject {
    try await VolumeRoutes(instances).done(what, call)
  }

  /// Takes a backup that is a request's body, and begins to make a volume of it.
  func importVolume(_ call: Call, _ body: RequestBody) async throws -> OperationObject {
    let upload = try await BackupRoutes(instances).take(call, body, in: call["name"])
    return try await instances.importVolume(
      upload, name: call.headers[.backupName], pool: call["name"], project: call.project,
      by: call.requireIdentity())
  }
}
