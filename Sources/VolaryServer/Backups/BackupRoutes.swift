internal import HTTPTypes
internal import HostSystem
internal import HummingbirdCore
internal import NIOCore
internal import Glibc
internal import VolaryAPI
internal import VolaryHost

/// `/1.0/instances/{name}/backups`.
struct BackupRoutes: RouteGroup {
  private static let paths = "/1.0/instances/{name}/backups"
  /// Bytes that are read of a backup at once.
  private static let piece = 1 << 20

  let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = [
    "container_backup", "backup_compression", "backup_compression_algorithm",
    "container_backup_override_pool", "backup_override_name",
  ]

  var routes: [Route] {
    [
      .list(
        Self.paths, "Backups of an instance, oldest first", right: .view, query: [.project],
        objectPath: { call, backup in Self.path(call["name"], backup.name) }
      ) { call in try await instances.backups(call["name"], project: call.project) },
      .begin(.post, Self.paths, "Make a backup", right: .operate, query: [.project]) {
        (call, body: BackupsPost) in
        try await instances.makeBackup(
          of: call["name"], project: call.project, body, by: call.requireIdentity())
      },
      .get(Self.paths + "/{backup}", "One backup", right: .view, query: [.project]) { call in
        try await instances.backup(call["backup"], of: call["name"], project: call.project).object
      },
      // Done when it is answered; Incus's client waits for an operation all the same.
      .begin(.post, Self.paths + "/{backup}", "Rename a backup", right: .operate, query: [.project]) {
        (call, body: BackupPost) in
        try await instances.renameBackup(
          call["backup"], of: call["name"], project: call.project, to: body.name)
        return try await instances.services.operations.create(
          "Renaming backup", project: call.project, resources: ["instances": [Instances.path(call["name"])]],
          requestor: call.requireIdentity()
        ) { _ in [:] }
      },
      .begin(.delete, Self.paths + "/{backup}", "Delete a backup", right: .operate, query: [.project]) {
        call in
        try await instances.deleteBackup(
          call["backup"], of: call["name"], project: call.project, by: call.requireIdentity())
      },
      Route(
        .get, Self.paths + "/{backup}/export", "The file of a backup", right: .operate, query: [.project],
        answer: .bytes(type: "application/octet-stream"),
        action: .respond { call in
          let backup = try await instances.backup(call["backup"], of: call["name"], project: call.project)
          try await instances.checkPool(backup.pool)
          return try await Self.reply(instances.path(of: backup))
        }),
    ]
  }

  private static func path(_ instance: String, _ backup: String) -> String {
    "\(Instances.path(instance))/backups/\(APIEndpoint.escaped(backup))"
  }

  /// The contents of a file.
  static func reply(_ path: String) async throws -> Reply {
    let (file, size) = try await offThread("export") {
      do throws(Errno) {
        let file = try Descriptor.open(path, O_RDONLY)
        return (file, UInt64(clamping: try file.size()))
      } catch { throw APIError.notFound("the file of the backup is not there: \(error)") }
    }
    let body = ResponseBody { writer in
      var place: UInt64 = 0
      while place < size {
        let offset = place
        let bytes = try await offThread("export") {
          try file.read(Int(min(UInt64(piece), size - offset)), at: offset)
        }
        // An answer that ends before its length shows that it did.
        if bytes.isEmpty { throw APIError(.failed, "the file of the backup was cut short") }
        try await writer.write(ByteBuffer(bytes: bytes))
        place += UInt64(bytes.count)
      }
      try await writer.finish(nil)
    }
    return Reply(
      headers: [.contentType: "application/octet-stream", .contentLength: "\(size)"], body: .stream(body))
  }

  // MARK: - Backups that come back

  /// Takes a backup that is a request's body, and begins to make an instance of it.
  func importInstance(_ call: Call, _ body: RequestBody) async throws -> OperationObject {
    let pool = call.headers[.backupPool].flatMap { $0.isEmpty ? nil : $0 }
    let upload = try await take(call, body, in: pool ?? StoragePoolRecord.default)
    return try await instances.importInstance(
      upload, name: call.headers[.backupName], pool: pool, project: call.project, by: call.requireIdentity())
  }

  /// Writes a request's body to a file in a pool.
  func take(_ call: Call, _ body: RequestBody, in pool: String) async throws -> BackupUpload {
    try await instances.checkPool(pool)
    return try await BackupUpload.take(
      body, length: call.headers[.contentLength].flatMap { UInt64($0) }, in: instances.pools.exports(in: pool)
    )
  }
}
