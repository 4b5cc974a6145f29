internal import VolaryAPI

/// `/1.0/instances/{name}/snapshots`.
struct SnapshotRoutes: RouteGroup {
  private static let paths = "/1.0/instances/{name}/snapshots"

  let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  let apiExtensions = [
    "snapshot_expiry", "snapshot_expiry_creation", "snapshot_scheduling", "snapshot_disk_usage",
    "container_copy_project", "container_only_migration",
  ]

  var routes: [Route] {
    [
      .list(
        Self.paths, "Snapshots of an instance, oldest first", right: .view, query: [.project],
        objectPath: { call, snapshot in Self.path(call["name"], snapshot.name) }
      ) { call in try await instances.snapshots(call["name"], project: call.project) },
      .begin(.post, Self.paths, "Make a snapshot", right: .operate, query: [.project]) {
        (call, body: SnapshotsPost) in
        try await instances.makeSnapshot(
          of: call["name"], project: call.project, body, by: call.requireIdentity())
      },
      .get(Self.paths + "/{snapshot}", "One snapshot", right: .view, query: [.project]) { call in
        try await instances.snapshot(call["snapshot"], of: call["name"], project: call.project)
      },
      // Operations for Incus's client, which waits for them; done when they are answered all the same.
      .begin(.put, Self.paths + "/{snapshot}", "Set what a snapshot is", right: .operate, query: [.project]) {
        (call, body: SnapshotPut) in
        try await change(call) { snapshot in
          snapshot.expiresAt = body.expiresAt
          snapshot.description = body.description ?? snapshot.description
        }
        return try await done("Updating snapshot", call["snapshot"], call)
      },
      .begin(
        .patch, Self.paths + "/{snapshot}", "Change some of a snapshot", right: .operate, query: [.project]
      ) { (call, body: SnapshotPut) in
        try await change(call) { snapshot in
          snapshot.expiresAt = body.expiresAt ?? snapshot.expiresAt
          snapshot.description = body.description ?? snapshot.description
        }
        return try await done("Updating snapshot", call["snapshot"], call)
      },
      .begin(.post, Self.paths + "/{snapshot}", "Rename a snapshot", right: .operate, query: [.project]) {
        (call, body: SnapshotPost) in
        try await instances.renameSnapshot(
          call["snapshot"], of: call["name"], project: call.project, to: body.name)
        return try await done("Renaming snapshot", body.name, call)
      },
      .begin(.delete, Self.paths + "/{snapshot}", "Delete a snapshot", right: .operate, query: [.project]) {
        call in
        try await instances.deleteSnapshot(
          call["snapshot"], of: call["name"], project: call.project, by: call.requireIdentity())
      },
    ]
  }

  private static func path(_ instance: String, _ snapshot: String) -> String {
    "\(Instances.path(instance))/snapshots/\(APIEndpoint.escaped(snapshot))"
  }

  private func change(_ call: Call, _ body: @escaping @Sendable (inout SnapshotRecord) -> Void) async throws {
    try await instances.changeSnapshot(
      call["snapshot"], of: call["name"], project: call.project, check: { try call.checkMatch($0) }, body)
  }

  /// An operation that has nothing left to do.
  private func done(_ what: String, _ snapshot: String, _ call: Call) async throws -> OperationObject {
    try await instances.services.operations.create(
      what, project: call.project,
      resources: [
        "instances": [Instances.path(call["name"])],
        "instances_snapshots": [Self.path(call["name"], snapshot)],
      ], requestor: call.requireIdentity()
    ) { _ in [:] }
  }
}
