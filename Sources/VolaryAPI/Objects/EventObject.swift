/// Something that happened, as `/1.0/events` tells it (Incus's api.Event, and an id to go on from).
package struct EventObject: Codable, Equatable, Sendable {
  /// Increases from event to event, also over restarts of the daemon.
  package let id: UInt64
  package let type: EventType
  package let timestamp: Timestamp
  package let metadata: JSONValue
  package let location: String
  /// Nil for what belongs to the host.
  package let project: String?

  package init(id: UInt64, type: EventType, timestamp: Timestamp, metadata: JSONValue, project: String?) {
    self.id = id
    self.type = type
    self.timestamp = timestamp
    self.metadata = metadata
    location = "none"
    self.project = project
  }
}

/// What an event is about: a resource that changed, an operation that went on, a line of the daemon's log.
package enum EventType: String, Codable, Sendable, CaseIterable {
  case lifecycle, operation, logging
}
