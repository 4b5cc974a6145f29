internal import VolaryAPI

/// `/1.0/storage-pools/{name}/volumes/custom/{volume}/snapshots`.
struct VolumeSnapshotRoutes: RouteGroup {
  private static let paths = "/1.0/storage-pools/{name}/volumes/{type}/{volume}/snapshots"

  let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  var routes: [Route] {
    [
      .list(
        Self.paths, "Snapshots of a volume, oldest first", right: .view, query: [.project],
        objectPath: Self.path
      ) { call in
        // An instance's are found with the instance.
        guard call["type"] == "custom", !instances.pools.isServer(call["name"]) else { return [] }
        let volume = try await volume(call)
        // In lists Incus has the volume's name before it.
        return try await instances.volumeSnapshots(of: volume).map { snapshot in
          var snapshot = snapshot
          snapshot.name = "\(volume.name)/\(snapshot.name)"
          return snapshot
        }
      },
      .begin(.post, Self.paths, "Make a snapshot of a volume", right: .operate, query: [.project]) {
        (call, body: SnapshotsPost) in
        try await instances.makeVolumeSnapshot(of: volume(call), body, by: call.requireIdentity())
      },
      .get(Self.paths + "/{snapshot}", "One snapshot of a volume", right: .view, query: [.project]) { call in
        let volume = try await volume(call)
        let all = try await instances.volumeSnapshots(of: volume)
        guard let found = all.first(where: { $0.name == call["snapshot"] }) else {
          throw Instances.noSnapshot(call["snapshot"], of: volume)
        }
        return found
      },
      .change(
        .put, Self.paths + "/{snapshot}", "Set what a snapshot of a volume is", right: .operate,
        query: [.project]
      ) { (call, body: SnapshotPut) in
        try await instances.changeVolumeSnapshot(call["snapshot"], of: volume(call)) { snapshot in
          snapshot.expiresAt = body.expiresAt
          snapshot.description = body.description ?? snapshot.description
        }
      },
      .begin(
        .post, Self.paths + "/{snapshot}", "Rename a snapshot of a volume", right: .operate, query: [.project]
      ) { (call, body: SnapshotPost) in
        let new = body.name.split(separator: "/").last.map(String.init) ?? ""
        try await instances.changeVolumeSnapshot(call["snapshot"], of: volume(call)) { $0.name = new }
        return try await done("Renaming snapshot", call)
      },
      .begin(
        .delete, Self.paths + "/{snapshot}", "Delete a snapshot of a volume", right: .operate,
        query: [.project]
      ) { call in
        try await instances.deleteVolumeSnapshot(call["snapshot"], of: volume(call))
        return try await done("Deleting snapshot", call)
      },
    ]
  }

  private static func path(_ call: Call, _ snapshot: StorageVolumeSnapshotObject) -> String {
    let name = snapshot.name.split(separator: "/").last.map(String.init) ?? ""
    return Instances.path(pool: call["name"], volume: call["volume"])
      + "/snapshots/\(APIEndpoint.escaped(name))"
  }

  private func volume(_ call: Call) async throws -> VolumeRecord {
    try await VolumeRoutes(instances).volume(call)
  }

  private func done(_ what: String, _ call: Call) async throws -> OperationObject {
    try await VolumeRoutes(instances).done(what, call)
  }
}
