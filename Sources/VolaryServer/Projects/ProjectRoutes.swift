internal import GRDB
internal import VolaryAPI

/// `/1.0/projects`.
package struct ProjectRoutes: RouteGroup {
  private let store: Store
  private let events: Events

  package init(store: Store, events: Events) {
    self.store = store
    self.events = events
  }

  package let apiExtensions = ["projects", "projects_limits", "api_filtering"]

  package var routes: [Route] {
    [
      .list(
        "/1.0/projects", "Projects", right: .view,
        pathOf: { (project: ProjectObject) in Self.path(project.name) }
      ) { call in
        let identity = try call.requireIdentity()
        return try await store.read { database in
          try ProjectRecord.order(ProjectRecord.CodingKeys.name).fetchAll(database)
            .filter { identity.reaches(project: $0.name) }
            .map { try Self.object($0, database) }
        }
      },
      .make("/1.0/projects", "Make a project", right: .administer) { (call, body: ProjectsPost) in
        try await make(call, body)
      },
      .get("/1.0/projects/{name}", "One project", right: .view) { call in
        guard try call.requireIdentity().reaches(project: call["name"]) else {
          throw Self.missing(call["name"])
        }
        return try await store.read { try Self.object(Self.find($0, call["name"]), $0) }
      },
      .change(.put, "/1.0/projects/{name}", "Set what a project is", right: .administer) {
        (call, body: ProjectPut) in
        try await change(call) { record in
          record.description = body.description ?? ""
          record.config = body.config ?? [:]
        }
      },
      .change(.patch, "/1.0/projects/{name}", "Change some of a project", right: .administer) {
        (call, body: ProjectPut) in
        try await change(call) { record in
          record.description = body.description ?? record.description
          record.config.merge(body.config ?? [:]) { _, new in new }
        }
      },
      .change(.delete, "/1.0/projects/{name}", "Delete a project in which nothing is", right: .administer) {
        call in try await delete(call)
      },
    ]
  }

  // MARK: - Changes

  private func make(_ call: Call, _ body: ProjectsPost) async throws -> String {
    try ObjectName.check(body.name, of: "project")
    let config = (body.config ?? [:]).filter { !$0.value.isEmpty }
    _ = try ProjectLimits(config)
    let record = ProjectRecord(name: body.name, description: body.description ?? "", config: config)
    try await store.write { database in
      if try ProjectRecord.exists(database, key: record.name) {
        throw APIError.conflict("there is a project `\(record.name)` already")
      }
      try record.insert(database)
    }
    await tell("project-created", record.name, call)
    return Self.path(record.name)
  }

  private func change(_ call: Call, _ edit: @Sendable @escaping (inout ProjectRecord) -> Void) async throws {
    try await store.write { database in
      var record = try Self.find(database, call["name"])
      try call.checkMatch(Self.object(record, database))
      edit(&record)
      record.config = record.config.filter { !$0.value.isEmpty }
      _ = try ProjectLimits(record.config)
      try record.update(database)
    }
    await tell("project-updated", call["name"], call)
  }

  private func delete(_ call: Call) async throws {
    try await store.write { database in
      let record = try Self.find(database, call["name"])
      if record.name == ProjectRecord.default {
        throw APIError.conflict("the project `default` is always there")
      }
      let users = try Self.users(record.name, database)
      if let first = users.first {
        throw APIError.conflict(
          "the project is used by \(users.count == 1 ? first : "\(users.count) instances, profiles and volumes")",
          wayOut: "delete or move them first")
      }
      try record.delete(database)
    }
    await tell("project-deleted", call["name"], call)
  }

  private func tell(_ action: String, _ name: String, _ call: Call) async {
    await events.lifecycle(action, source: Self.path(name), project: name, requestor: call.identity)
  }

  // MARK: - Details

  private static func path(_ name: String) -> String { "/1.0/projects/\(name)" }

  private static func missing(_ name: String) -> APIError { .notFound("there is no project `\(name)`") }

  private static func find(_ database: Database, _ name: String) throws -> ProjectRecord {
    guard let record = try ProjectRecord.fetchOne(database, key: name) else { throw missing(name) }
    return record
  }

  private static func object(_ record: ProjectRecord, _ database: Database) throws -> ProjectObject {
    ProjectObject(
      name: record.name, description: record.description, config: record.config,
      usedBy: try users(record.name, database))
  }

  /// The profile that each project has from its beginning is no use of it.
  private static func users(_ project: String, _ database: Database) throws -> [String] {
    return try String.fetchAll(
      database,
      sql: """
        SELECT * FROM (SELECT '/1.0/instances/' || name FROM instances WHERE project = ?1 ORDER BY name)
        UNION ALL SELECT * FROM (
          SELECT '/1.0/profiles/' || name FROM profiles WHERE project = ?1 AND name != ?2 ORDER BY name)
        UNION ALL SELECT '/1.0/storage-pools/' || pool || '/volumes/custom/' || name FROM volumes WHERE project = ?1
        """, arguments: [project, ProfileRecord.default]
    ).map { $0 + ProjectRecord.suffix(project) }
  }
}
