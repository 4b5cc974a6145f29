internal import Foundation
internal import GRDB
package import Logging
package import VolaryAPI

/// Everything that takes its time: begun, told about, waited for, cancelled, remembered. A row of the store
/// stands for each from its first moment, so that the next daemon knows what this one did not finish.
package actor Operations {
  /// How long ended ones are remembered, and how many.
  static let remembered: Int64 = 3600
  static let mostRemembered = 1000

  /// What an operation does. What it returns joins its metadata.
  package typealias Work = @Sendable (OperationContext) async throws -> [String: JSONValue]
  /// What it does with a websocket that a client opens to it: `secret` is what the client gave.
  package typealias Connect = @Sendable (_ secret: String, _ socket: WebSocket) async throws -> Void

  private struct Running {
    var object: OperationObject
    let requestor: String?
    let context: OperationContext
    let connect: Connect?
    var task: Task<Void, Never>?
    var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
  }

  private let store: Store
  private let events: Events
  private let logger: Logger
  private var running: [String: Running] = [:]
  /// Ended, but the store would not take them.
  private var unsaved: [String: OperationObject] = [:]
  private var lastTicket: UInt64 = 0
  private var isEnding = false

  package init(store: Store, events: Events, logger: Logger) {
    self.store = store
    self.events = events
    self.logger = logger
  }

  /// Says of the operations of an earlier daemon that they did not end. Once, before the first is begun.
  package func recover() async throws {
    try await store.write { database in
      for record in try OperationRecord.filter(OperationRecord.CodingKeys.final == false).fetchAll(database) {
        var object = record.object
        object.become(.failure)
        object.err = "the daemon was restarted"
        object.errorCode = APIError.Code.failed.rawValue
        try OperationRecord(object, requestor: record.requestor).update(database)
      }
    }
  }

  /// Begins an operation and returns it as it stands. `resources` are paths by kind
  /// (`["instances": ["/1.0/instances/web"]]`); `metadata` is what clients have to know at once.
  package func create(
    class: OperationClass = .task, _ description: String, project: String?,
    resources: [String: [String]] = [:], metadata: [String: JSONValue] = [:], mayCancel: Bool = false,
    requestor: Identity? = nil, connect: Connect? = nil, _ work: @escaping Work
  ) async throws -> OperationObject {
    if isEnding { throw APIError(.unavailable, "the daemon is ending") }
    var object = OperationObject(
      id: UUID().uuidString.lowercased(), class: `class`, description: description, project: project,
      resources: resources, mayCancel: mayCancel)
    if !metadata.isEmpty { object.metadata = metadata }
    let record = OperationRecord(object, requestor: requestor?.name)
    try await store.write { try record.insert($0) }
    let context = OperationContext(id: object.id, operations: self, metadata: metadata)
    running[object.id] = Running(
      object: object, requestor: requestor?.name, context: context, connect: connect)
    await tell(object)
    running[object.id]?.task = Task { await run(object.id, context, work) }
    return object
  }

  /// One operation; nil when nobody remembers it.
  package func get(_ id: String) async throws -> OperationObject? {
    if let current = current(id) { return current }
    if let object = unsaved[id] { return object }
    // Between the two it may have ended.
    return try await store.read { try OperationRecord.fetchOne($0, key: id)?.object }
  }

  /// All that are remembered, oldest first; of one project, or of all.
  package func list(project: String?) async throws -> [OperationObject] {
    let rows = try await store.read { try OperationRecord.fetchAll($0).map(\.object) }
    var all = Dictionary(rows.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
    for (id, object) in unsaved { all[id] = object }
    for id in running.keys { all[id] = current(id) }
    return all.values.filter { project == nil || $0.project == nil || $0.project == project }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  /// Waits until it has ended, or for so many seconds, and returns it as it is then; nil when nobody
  /// remembers it. Without `seconds`, as long as it takes.
  package func wait(_ id: String, seconds: Double? = nil) async throws -> OperationObject? {
    guard running[id] != nil else { return try await get(id) }
    lastTicket += 1
    let ticket = lastTicket
    let timer = seconds.map { seconds in
      Task {
        try? await Task.sleep(for: .seconds(seconds))
        wake(id, ticket)
      }
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled || running[id] == nil {
          continuation.resume()
        } else {
          running[id]?.waiting[ticket] = continuation
        }
      }
    } onCancel: {
      Task { await self.wake(id, ticket) }
    }
    timer?.cancel()
    return try await get(id)
  }

  /// Asks for its end. It goes on until it notices.
  package func cancel(_ id: String) async throws {
    guard var object = running[id]?.object else {
      if try await get(id) == nil { throw APIError.notFound("there is no operation \(id)") }
      throw APIError.conflict("the operation has ended already")
    }
    guard object.mayCancel else { throw APIError.invalid("this operation cannot be cancelled") }
    if object.statusCode != .cancelling {
      object.become(.cancelling)
      running[id]?.object = object
      await tell(id)
    }
    running[id]?.context.cancel()
    running[id]?.task?.cancel()
  }

  /// Hands a client's websocket to an operation of the class `websocket`.
  package func connect(_ id: String, secret: String, socket: WebSocket) async throws {
    guard let connect = running[id]?.connect else {
      throw WebSocketClosure(.policyViolation, "this operation takes no connections")
    }
    try await connect(secret, socket)
  }

  /// How many have not ended.
  package var runningCount: Int { running.count }

  /// Whether an operation takes websockets.
  package func isConnectable(_ id: String) -> Bool { running[id]?.connect != nil }

  /// Begins no more, cancels what runs, and waits up to so many seconds for it.
  package func shutdown(seconds: Double = 5) async {
    isEnding = true
    for (id, entry) in running {
      running[id]?.object.become(.cancelling)
      entry.context.cancel()
      entry.task?.cancel()
    }
    let deadline = ContinuousClock.now + .seconds(seconds)
    for id in Array(running.keys) {
      let left = (deadline - .now) / .seconds(1)
      if left > 0 { _ = try? await wait(id, seconds: left) }
    }
  }

  // MARK: - The course of an operation

  /// Publishes an operation as it stands.
  func tell(_ id: String) async { if let object = current(id) { await tell(object) } }

  private func tell(_ object: OperationObject) async {
    guard let metadata = try? JSONValue(encoding: object) else { return }
    await events.publish(.operation, project: object.project, metadata: metadata)
  }

  private func current(_ id: String) -> OperationObject? {
    guard let entry = running[id] else { return nil }
    var object = entry.object
    let metadata = entry.context.metadata
    object.metadata = metadata.isEmpty ? nil : metadata
    return object
  }

  private func run(_ id: String, _ context: OperationContext, _ work: Work) async {
    do {
      let result = try await work(context)
      await end(id, result: result, error: nil)
    } catch {
      await end(id, result: [:], error: error)
    }
  }

  private func end(_ id: String, result: [String: JSONValue], error: (any Error)?) async {
    guard var object = current(id), let requestor = running[id].map(\.requestor) else { return }
    var metadata = object.metadata ?? [:]
    metadata.merge(result) { _, new in new }
    metadata["operation_progress"] = nil
    if error == nil { metadata["progress"] = nil }
    object.metadata = metadata.isEmpty ? nil : metadata
    if let error {
      let wasCancelled = error is CancellationError || context(id, isCancelledBy: error)
      object.become(wasCancelled ? .cancelled : .failure)
      let failure = APIError(anything: error, logger: logger)
      object.err =
        wasCancelled ? (isEnding ? "the daemon ended" : "the operation was cancelled") : "\(failure)"
      object.errorCode = wasCancelled ? nil : failure.code.rawValue
    } else {
      object.become(.success)
    }
    await save(object, requestor: requestor)
    let waiting = running.removeValue(forKey: id)?.waiting ?? [:]
    for continuation in waiting.values { continuation.resume() }
    await tell(object)
  }

  /// Whether an error that is not a cancellation came of one all the same, such as that of a closed connection.
  private func context(_ id: String, isCancelledBy error: any Error) -> Bool {
    running[id]?.context.isCancelled == true && !(error is APIError)
  }

  private func save(_ object: OperationObject, requestor: String?) async {
    let record = OperationRecord(object, requestor: requestor)
    let oldest = Timestamp.now.advanced(seconds: -Self.remembered)
    do {
      try await store.write { database in
        try record.update(database)
        try database.execute(
          sql: """
            DELETE FROM operations WHERE final AND (updated_at < ? OR id IN (
              SELECT id FROM operations WHERE final ORDER BY updated_at DESC LIMIT -1 OFFSET ?))
            """, arguments: [oldest, Self.mostRemembered])
      }
    } catch {
      logger.error("the end of operation \(object.id) cannot be kept: \(error)")
      if unsaved.count >= Self.mostRemembered { unsaved.removeAll() }
      unsaved[object.id] = object
    }
  }

  private func wake(_ id: String, _ ticket: UInt64) {
    running[id]?.waiting.removeValue(forKey: ticket)?.resume()
  }
}
