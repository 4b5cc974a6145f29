internal import MachineControl
internal import VolaryAPI

/// `/1.0/instances`, and the machines behind it.
package struct InstancePart: DaemonPart {
  private let instances: Instances
  private let images: ImageRoutes
  private let profiles: ProfileRoutes

  package init(_ services: DaemonServices) {
    instances = Instances(services)
    images = ImageRoutes(services: services, store: instances.images)
    profiles = ProfileRoutes(instances: instances)
  }

  package func start() async throws {
    try await instances.recover()
    let instances = instances
    // Machines take their time to start; the daemon answers meanwhile.
    Task { await instances.startWanted() }
    Task { await instances.watchLogs() }
    Task { await instances.watchSnapshots() }
    Task { await instances.mergeLayers() }
  }

  package func stop() async {
    let hostEnds = try? await offThread("host") { ServiceManager.isHostGoingDown() }
    if hostEnds == true { await instances.stopForHost() }
    await instances.letGo()
  }

  package var apiExtensions: [String] {
    [
      "virtual-machines", "instances", "console", "console_vga_type", "instance_all_projects",
      "container_full",
      "instance_create_start", "metrics",
    ] + InstanceExec(instances).apiExtensions + InstanceFiles(instances).apiExtensions + images.apiExtensions
      + ResourceRoutes(instances).apiExtensions + profiles.apiExtensions
      + NetworkRoutes(instances: instances).apiExtensions + StorageRoutes(instances).apiExtensions
      + SnapshotRoutes(instances).apiExtensions + BackupRoutes(instances).apiExtensions
      + VolumeRoutes(instances).apiExtensions + VolumeBackupRoutes(instances).apiExtensions
  }

  package var routes: [Route] {
    [
      Route(
        .get, "/1.0/instances", "Instances", right: .view, query: [.project, .recursion, .filter],
        answer: .list(InstanceObject.self), action: .respond { try await list($0) }),
      Route(
        .post, "/1.0/instances", "Make an instance; of octets, the one that a backup is of", right: .operate,
        query: [.project], request: InstancesPost.self, answer: .operation,
        action: .either(
          { call in
            let (body, identity) = (try call.decode(InstancesPost.self), try call.requireIdentity())
            return try await .begun(
              body.source.type == "copy"
                ? instances.copy(body, project: call.project, by: identity)
                : instances.create(body, project: call.project, by: identity))
          }, { call, body in try await .begun(BackupRoutes(instances).importInstance(call, body)) })),
      .get("/1.0/instances/{name}", "One instance", right: .view, query: [.project]) { call in
        await instances.object(try await instances.find(call["name"], project: call.project))
      },
      // An operation for Incus's client, which waits for one; done when it is answered all the same.
      .begin(.put, "/1.0/instances/{name}", "Set what an instance is", right: .operate, query: [.project]) {
        (call, body: InstancePut) in
        if let snapshot = body.restore, !snapshot.isEmpty {
          return try await instances.restore(
            call["name"], project: call.project, snapshot, stateful: body.stateful ?? false,
            check: { try call.checkMatch($0) }, by: call.requireIdentity())
        }
        try await change(call) { record in
          record.description = body.description ?? ""
          record.config = body.config ?? [:]
          record.devices = body.devices ?? [:]
          record.profiles = body.profiles ?? record.profiles
          record.ephemeral = body.ephemeral ?? false
        }
        return try await done("Updating instance", call["name"], call)
      },
      .change(
        .patch, "/1.0/instances/{name}", "Change some of an instance", right: .operate, query: [.project]
      ) {
        (call, body: InstancePut) in
        try await change(call) { record in
          if let description = body.description { record.description = description }
          record.config = record.config.merging(body.config ?? [:]) { _, new in new }.filter {
            !$0.value.isEmpty
          }
          record.devices = record.devices.merging(body.devices ?? [:]) { _, new in new }
            .filter { !$0.value.isEmpty }
          record.profiles = body.profiles ?? record.profiles
          if let ephemeral = body.ephemeral { record.ephemeral = ephemeral }
        }
      },
      .begin(.post, "/1.0/instances/{name}", "Rename an instance", right: .operate, query: [.project]) {
        (call, body: InstancePost) in
        try await instances.rename(call["name"], to: body.name, project: call.project)
        return try await done("Renaming instance", body.name, call)
      },
      .begin(.delete, "/1.0/instances/{name}", "Delete an instance", right: .operate, query: [.project]) {
        call in
        try await instances.delete(call["name"], project: call.project, by: call.requireIdentity())
      },
      .get("/1.0/instances/{name}/state", "What an instance uses", right: .view, query: [.project]) { call in
        try await instances.state(call["name"], project: call.project)
      },
      .begin(
        .put, "/1.0/instances/{name}/state", "Start, stop, restart, pause or resume an instance", right: .use,
        query: [.project]
      ) { (call, body: InstanceStatePut) in
        try await instances.setState(
          call["name"], project: call.project, body, by: call.requireIdentity())
      },
      Route(
        .get, "/metrics", "What instances use, for Prometheus", right: .view,
        answer: .bytes(type: InstanceMetrics.mediaType),
        action: .respond { call in
          let samples = try await instances.samples(for: try call.requireIdentity())
          let host = try await instances.hostShares(for: try call.requireIdentity())
          let text = InstanceMetrics.text(
            samples, operations: await instances.services.operations.runningCount, version: volaryVersion,
            host: host)
          return .bytes(text.utf8, type: InstanceMetrics.mediaType)
        }),
      Route(
        .get, "/1.0/metrics", "What running instances use, by Incus's names", right: .view,
        query: [.project],
        answer: .bytes(type: InstanceMetrics.mediaType),
        action: .respond { call in
          let samples = try await instances.samples(
            for: try call.requireIdentity(), project: call.query["project"])
          return .bytes(InstanceMetrics.incusText(samples).utf8, type: InstanceMetrics.mediaType)
        }),
    ] + InstanceConsole(instances).routes + InstanceExec(instances).routes + InstanceFiles(instances).routes
      + images.routes + ResourceRoutes(instances).routes + profiles.routes
      + NetworkRoutes(instances: instances).routes + StorageRoutes(instances).routes
      + SnapshotRoutes(instances).routes + BackupRoutes(instances).routes + VolumeRoutes(instances).routes
      + VolumeSnapshotRoutes(instances).routes + VolumeBackupRoutes(instances).routes
  }

  private func list(_ call: Call) async throws -> Reply {
    let recursion = call.query.integer("recursion") ?? 0
    if call.query[.filter] == nil, recursion < 2 {
      if recursion == 0 { return try .tagged(try await instances.paths(project: call.project), for: call) }
      return .tagged(json: try await instances.listJSON(project: call.project), for: call)
    }
    let all =
      try await recursion == 2
      ? instances.listWithStates(project: call.project) : instances.list(project: call.project)
    let found = try call.filter(all)
    if recursion == 0 { return try .tagged(found.map { Instances.path($0.name) }, for: call) }
    return try .tagged(found, for: call)
  }

  /// An operation that has nothing left to do.
  private func done(_ what: String, _ name: String, _ call: Call) async throws -> OperationObject {
    try await instances.services.operations.create(
      what, project: call.project, resources: ["instances": [Instances.path(name)]],
      requestor: call.requireIdentity()
    ) { _ in [:] }
  }

  private func change(_ call: Call, _ body: @escaping @Sendable (inout InstanceRecord) -> Void) async throws {
    try await instances.change(
      call["name"], project: call.project, check: { try call.checkMatch($0) }, body)
  }
}
