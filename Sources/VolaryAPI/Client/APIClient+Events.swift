internal import Foundation

extension APIClient {
  /// Calls `body` with every event from now on, or after the one with the id `since`, until `body` returns
  /// false or the daemon ends.
  package func events(
    types: [EventType] = [], project: String? = nil, since: UInt64? = nil,
    _ body: (EventObject) async throws -> Bool
  ) async throws {
    var query: [(String, String)] = []
    if !types.isEmpty { query.append(("type", types.map(\.rawValue).joined(separator: ","))) }
    if let project { query.append(("project", project)) }
    if let since { query.append(("since", String(since))) }
    try await webSocket("/1.0/events", query: query) { socket in
      for try await message in socket.messages {
        guard case .text(let text) = message else { continue }
        if try await !body(APICoding.decode(EventObject.self, from: Data(text.utf8))) { return }
      }
    }
  }
}
