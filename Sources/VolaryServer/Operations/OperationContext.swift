package import VolaryAPI
internal import Synchronization

/// What a running operation says about itself. Callable from any thread, also where nothing may suspend.
package final class OperationContext: Sendable {
  /// Between two events about progress.
  private static let interval: Duration = .milliseconds(200)

  package let id: String
  private let operations: Operations
  private let state = Mutex(State())

  private struct State {
    var metadata: [String: JSONValue] = [:]
    var told: ContinuousClock.Instant?
    var isCancelled = false
  }

  init(id: String, operations: Operations, metadata: [String: JSONValue]) {
    self.id = id
    self.operations = operations
    state.withLock { $0.metadata = metadata }
  }

  /// Says how far it is: `done` of `total` units. Cheap enough for every block of a copy.
  package func progress(_ phase: String, done: Int64 = 0, total: Int64? = nil, unit: String = "") {
    let progress = Progress(phase: phase, done: done, total: total, unit: unit)
    let isDue = state.withLock { state in
      state.metadata["progress"] = progress.json
      // What Incus's client shows: any text under a key that ends so.
      state.metadata["operation_progress"] = .string(progress.text)
      let now = ContinuousClock.now
      if let told = state.told, now - told < Self.interval { return false }
      state.told = now
      return true
    }
    if isDue { Task { await operations.tell(id) } }
  }

  /// Adds to what the operation gives.
  package func set(_ key: String, _ value: JSONValue) { state.withLock { $0.metadata[key] = value } }

  /// Whether somebody asked for its end. For work that does not run in the operation's own task.
  package var isCancelled: Bool { state.withLock { $0.isCancelled } }

  /// Throws when somebody asked for its end.
  package func checkCancellation() throws { if isCancelled || Task.isCancelled { throw CancellationError() } }

  var metadata: [String: JSONValue] { state.withLock { $0.metadata } }

  func cancel() { state.withLock { $0.isCancelled = true } }
}
