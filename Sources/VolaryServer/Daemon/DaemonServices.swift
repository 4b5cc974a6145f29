package import Logging

/// What every part of the daemon works with.
package struct DaemonServices: Sendable {
  package let store: Store
  package let operations: Operations
  package let events: Events
  package let logger: Logger
  /// Where the daemon keeps its files.
  package let dataDirectory: String

  package init(
    store: Store, operations: Operations, events: Events, logger: Logger, dataDirectory: String
  ) {
    self.store = store
    self.operations = operations
    self.events = events
    self.logger = logger
    self.dataDirectory = dataDirectory
  }
}
