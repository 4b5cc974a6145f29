internal import VolaryAPI

/// `/1.0/operations`.
package struct OperationRoutes: RouteGroup {
  private let operations: Operations

  package init(_ operations: Operations) { self.operations = operations }

  package let apiExtensions = ["operation_description", "operation_wait", "operation_progress"]

  package var routes: [Route] {
    [
      .groups(
        "/1.0/operations", "Operations that run, and those that ended within the hour, by status",
        right: .view,
        query: [
          QueryParameter("project", .text, "Only those of this project and of the host"),
          QueryParameter("all-projects", .flag, "Those of all projects"),
        ], pathOf: { (operation: OperationObject) in operation.path }, groupOf: { $0.status.lowercased() }
      ) { call in
        let identity = try call.requireIdentity()
        let project = call.query.flag("all-projects") ? nil : call.query["project"]
        return try await operations.list(project: project).filter { identity.reaches(project: $0.project) }
      },
      .get("/1.0/operations/{id}", "One operation", right: .view) { call in try await find(call) },
      .get(
        "/1.0/operations/{id}/wait", "One operation, when it has ended", right: .view,
        query: [
          QueryParameter(
            "timeout", .number(-1...86_400), "Seconds to wait at most; -1 for as long as it takes")
        ]
      ) { call in
        let seconds = call.query.number("timeout").flatMap { $0 < 0 ? nil : $0 }
        let operation = try await find(call)
        return try await operations.wait(operation.id, seconds: seconds) ?? operation
      },
      .change(.delete, "/1.0/operations/{id}", "Cancel an operation", right: .use) { call in
        try await operations.cancel(find(call).id)
      },
      .webSocket(
        "/1.0/operations/{id}/websocket", "A connection of an operation: a terminal, a stream", right: .use,
        query: [QueryParameter("secret", .text, "Which of its connections", isRequired: true)],
        .init(
          check: { call in
            let operation = try await find(call)
            guard await operations.isConnectable(operation.id) else {
              throw APIError.conflict("this operation takes no connections")
            }
          },
          run: { call, socket in
            try await operations.connect(call["id"], secret: call.query["secret"] ?? "", socket: socket)
          })),
    ]
  }

  /// An operation of a project that one has no part in is not there.
  private func find(_ call: Call) async throws -> OperationObject {
    let identity = try call.requireIdentity()
    guard let operation = try await operations.get(call["id"]), identity.reaches(project: operation.project)
    else { throw APIError.notFound("there is no operation `\(call["id"])`") }
    return operation
  }
}
