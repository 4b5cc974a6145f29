internal import GRDB
internal import MachineControl
internal import VolaryAPI

/// `/1.0/profiles`: configuration and devices that instances share.
struct ProfileRoutes: RouteGroup {
  let instances: Instances
  private var services: DaemonServices { instances.services }

  let apiExtensions = ["profile_usedby"]

  var routes: [Route] {
    [
      .list(
        "/1.0/profiles", "Profiles", right: .view, query: [.project],
        pathOf: { (profile: ProfileObject) in Self.path(profile.name) }
      ) { call in
        let project = call.project
        return try await services.store.read { database in
          try Self.checkProject(project, database)
          return try ProfileRecord.filter(ProfileRecord.CodingKeys.project == project)
            .order(ProfileRecord.CodingKeys.name).fetchAll(database).map { try Self.object($0, database) }
        }
      },
      .make("/1.0/profiles", "Make a profile", right: .operate, query: [.project]) {
        (call, body: ProfilesPost) in
        try await make(call, body)
      },
      .get("/1.0/profiles/{name}", "One profile", right: .view, query: [.project]) { call in
        let (name, project) = (call["name"], call.project)
        return try await services.store.read { try Self.object(Self.find($0, name, project), $0) }
      },
      .change(.put, "/1.0/profiles/{name}", "Set what a profile is", right: .operate, query: [.project]) {
        (call, body: ProfilePut) in
        try await change(call) { record in
          record.description = body.description ?? ""
          record.config = body.config ?? [:]
          record.devices = body.devices ?? [:]
        }
      },
      .change(.patch, "/1.0/profiles/{name}", "Change some of a profile", right: .operate, query: [.project])
      {
        (call, body: ProfilePut) in
        try await change(call) { record in
          if let description = body.description { record.description = description }
          record.config.merge(body.config ?? [:]) { _, new in new }
          record.devices.merge(body.devices ?? [:]) { _, new in new }
        }
      },
      .change(.post, "/1.0/profiles/{name}", "Rename a profile", right: .operate, query: [.project]) {
        (call, body: ProfilePost) in
        try await rename(call, to: body.name)
      },
      .change(
        .delete, "/1.0/profiles/{name}", "Delete a profile that no instance has", right: .operate,
        query: [.project]
      ) { call in try await delete(call) },
    ]
  }

  // MARK: - Changes

  private func make(_ call: Call, _ body: ProfilesPost) async throws -> String {
    let record = Self.tidy(
      ProfileRecord(
        project: call.project, name: body.name, description: body.description ?? "",
        config: body.config ?? [:], devices: body.devices ?? [:]))
    try ObjectName.check(record.name, of: "profile")
    try InstanceSettings.checkPart(config: record.config, devices: record.devices)
    try await services.store.write { database in
      try Self.checkProject(record.project, database)
      if try ProfileRecord.find(database, project: record.project, name: record.name) != nil {
        throw APIError.conflict("there is a profile `\(record.name)` already")
      }
      try record.insert(database)
    }
    await tell("created", record.name, call)
    return Self.path(record.name)
  }

  private func change(_ call: Call, _ edit: @Sendable @escaping (inout ProfileRecord) -> Void) async throws {
    let (name, project) = (call["name"], call.project)
    try await services.store.write { database in
      var record = try Self.find(database, name, project)
      try call.checkMatch(Self.object(record, database))
      edit(&record)
      record = Self.tidy(record)
      try InstanceSettings.checkPart(config: record.config, devices: record.devices)
      try Self.carry(record, to: try Self.users(of: name, project, database), database)
      try record.update(database)
    }
    await instances.hold(project: project)
    await tell("updated", name, call)
  }

  private func rename(_ call: Call, to new: String) async throws {
    let (name, project) = (call["name"], call.project)
    try ObjectName.check(new, of: "profile")
    try await services.store.write { database in
      let record = try Self.find(database, name, project)
      if name == ProfileRecord.default {
        throw APIError.conflict("the profile `default` keeps its name", wayOut: "copy it")
      }
      if try ProfileRecord.find(database, project: project, name: new) != nil {
        throw APIError.conflict("there is a profile `\(new)` already")
      }
      try record.delete(database)
      var renamed = record
      renamed.name = new
      try renamed.insert(database)
      for var instance in try Self.users(of: name, project, database) {
        instance.profiles = instance.profiles.map { $0 == name ? new : $0 }
        try instance.update(database)
      }
    }
    await services.events.lifecycle(
      "profile-renamed", source: Self.path(new), project: project, requestor: call.identity,
      context: ["old_name": .string(name)])
  }

  private func delete(_ call: Call) async throws {
    let (name, project) = (call["name"], call.project)
    try await services.store.write { database in
      let record = try Self.find(database, name, project)
      if name == ProfileRecord.default {
        throw APIError.conflict(
          "the profile `default` is always there", wayOut: "take out of it what is not wanted")
      }
      let users = try Self.users(of: name, project, database)
      if let first = users.first {
        throw APIError.conflict(
          users.count == 1
            ? "the instance `\(first.name)` has the profile `\(name)`"
            : "\(users.count) instances have the profile `\(name)`",
          wayOut: "take it from them first: volary profile remove INSTANCE \(name)")
      }
      try record.delete(database)
    }
    await tell("deleted", name, call)
  }

  /// Sees to it that those who have a profile can have it as it is going to be.
  private static func carry(
    _ profile: ProfileRecord, to users: [InstanceRecord], _ database: Database
  ) throws {
    if users.isEmpty { return }
    guard let project = try ProjectRecord.fetchOne(database, key: profile.project) else { return }
    let profiles = try ProfileSet(database, project: profile.project).changing(profile)
    for var user in users {
      do {
        let settings = try profiles.settings(of: user)
        try Instances.check(user, settings)
        try InstanceQuota.check(project, adding: user, settings, profiles, database)
        user.bootAutostart = settings.autostart ?? false
        user.bootPriority = settings.priority
        // Its row too, so that lists that are kept show the profile's change.
        try user.update(database)
      } catch let error as APIError {
        throw APIError(
          error.code, "the instance `\(user.name)` cannot have that: \(error.message)", wayOut: error.wayOut)
      }
    }
  }

  private func tell(_ action: String, _ name: String, _ call: Call) async {
    await services.events.lifecycle(
      "profile-\(action)", source: Self.path(name), project: call.project, requestor: call.identity)
  }

  // MARK: - Details

  private static func path(_ name: String) -> String { "/1.0/profiles/\(APIEndpoint.escaped(name))" }

  /// What is empty is not there.
  private static func tidy(_ record: ProfileRecord) -> ProfileRecord {
    var record = record
    record.config = record.config.filter { !$0.value.isEmpty }
    record.devices = record.devices.filter { !$0.value.isEmpty }
    return record
  }

  private static func checkProject(_ project: String, _ database: Database) throws {
    if try !ProjectRecord.exists(database, key: project) {
      throw APIError.notFound("there is no project `\(project)`")
    }
  }

  private static func find(_ database: Database, _ name: String, _ project: String) throws -> ProfileRecord {
    guard let record = try ProfileRecord.find(database, project: project, name: name) else {
      throw APIError.notFound("there is no profile `\(name.prefix(100))` in the project `\(project)`")
    }
    return record
  }

  private static func object(_ record: ProfileRecord, _ database: Database) throws -> ProfileObject {
    let suffix = ProjectRecord.suffix(record.project)
    return ProfileObject(
      name: record.name, description: record.description, config: record.config, devices: record.devices,
      project: record.project,
      usedBy: try users(of: record.name, record.project, database).map { Instances.path($0) + suffix })
  }

  private static func users(
    of profile: String, _ project: String, _ database: Database
  ) throws -> [InstanceRecord] {
    try InstanceRecord.fetchAll(
      database,
      sql: """
        SELECT * FROM instances WHERE project = ?
        AND EXISTS (SELECT 1 FROM json_each(profiles) WHERE value = ?) ORDER BY name
        """, arguments: [project, profile])
  }
}
