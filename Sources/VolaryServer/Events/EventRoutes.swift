internal import HTTPTypes
internal import HummingbirdCore
internal import NIOCore
internal import ServiceLifecycle
internal import VolaryAPI

/// `/1.0/events`: as a websocket, an object a message, or as server-sent events (HTML, section 9.2).
package struct EventRoutes: RouteGroup {
  /// How often something is sent to a listener to whom nothing happens, so that its absence is noticed.
  private static let heartbeat: Duration = .seconds(15)
  private static let eventStream = "text/event-stream"

  private let events: Events

  package init(_ events: Events) { self.events = events }

  package let apiExtensions = ["event_lifecycle", "event_project", "event_location", "events_resume"]

  package var routes: [Route] {
    [
      Route(
        .get, "/1.0/events",
        "What happens, from now on or after an event: a websocket, or server-sent events",
        right: .view,
        query: [
          QueryParameter(
            "type", .wordList(EventType.allCases.map(\.rawValue)), "Kinds of events, with commas"),
          QueryParameter("project", .text, "Only events of this project and of the host"),
          QueryParameter(
            "since", .integer(0...Int64.max), "The id of the last event that is known; 410 when it is too old"
          ),
          QueryParameter("all-projects", .flag, "Events of all projects"),
        ],
        answer: .bytes(type: Self.eventStream),
        webSocket: .init(check: { try await check($0) }, run: { try await send(to: $1, $0) }),
        action: .respond { try await stream($0) })
    ]
  }

  // MARK: - What a listener asks for

  private func filter(_ call: Call) throws(APIError) -> EventFilter {
    let types = call.query.list("type").compactMap(EventType.init)
    let identity = try call.requireIdentity()
    let project = call.query.flag("all-projects") ? nil : call.query["project"]
    if let project, !identity.reaches(project: project) {
      throw .denied("you have no part in the project `\(project)`")
    }
    return EventFilter(
      types: types.isEmpty ? Set(EventType.allCases) : Set(types), project: project, identity: identity)
  }

  /// The event after which it begins.
  private func start(_ call: Call) async throws(APIError) -> UInt64 {
    let lastEventID = call.headers[.lastEventID]
    guard let text = lastEventID ?? call.query["since"] else { return await events.newest }
    guard let id = UInt64(text) else { throw .invalid("`\(text.prefix(40))` is no id of an event") }
    return id
  }

  /// Throws what is to be thrown before anything is sent.
  private func check(_ call: Call) async throws(APIError) {
    let filter = try filter(call)
    let start = try await start(call)
    _ = try await events.next(after: start, passing: filter, most: 1, patience: .zero)
  }

  // MARK: - The two ways

  private func send(to socket: WebSocket, _ call: Call) async throws {
    let filter = try filter(call)
    let start = try await start(call)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        var last = start
        while !Task.isCancelled {
          let batch = try await events.next(after: last, passing: filter, patience: Self.heartbeat)
          for event in batch.events { try await socket.send(event.text) }
          last = batch.last
          if batch.isLast { return }
        }
      }
      // Ends when the listener goes; what it says is not listened to.
      group.addTask { for try await _ in socket.messages {} }
      try await group.next()
      group.cancelAll()
    }
  }

  private func stream(_ call: Call) async throws -> Reply {
    guard call.headers[.accept]?.contains(Self.eventStream) == true else {
      throw APIError(
        .upgradeRequired, "events come by websocket, or with `Accept: \(Self.eventStream)` as a stream")
    }
    try await check(call)
    let filter = try filter(call)
    let start = try await start(call)
    let body = ResponseBody { writer in
      var last = start
      // A first line at once tells the listener that it is listening.
      try await writer.write(ByteBuffer(string: ": events after \(start)\n\n"))
      var isEnded = false
      while !isEnded, !Task.isCancelled, let batch = try? await next(after: last, passing: filter) {
        var bytes = ByteBuffer()
        for event in batch.events {
          bytes.writeString("id: \(event.id)\nevent: \(event.type.rawValue)\ndata: \(event.text)\n\n")
        }
        if batch.events.isEmpty { bytes.writeString(":\n\n") }
        try await writer.write(bytes)
        last = batch.last
        isEnded = batch.isLast
      }
      try await writer.finish(nil)
    }
    return Reply(headers: [.contentType: Self.eventStream], body: .stream(body))
  }

  private func next(after last: UInt64, passing filter: EventFilter) async throws(APIError) -> Events.Batch {
    try await events.next(after: last, passing: filter, patience: Self.heartbeat)
  }
}
