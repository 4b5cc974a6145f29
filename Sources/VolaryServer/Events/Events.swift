internal import Foundation
package import VolaryAPI

/// What happens, told to those who listen. Listeners come and ask for what is after the last event they have
/// seen, so a slow one costs nothing; one that is slower than ``mostEvents`` events is told that it is too late.
package actor Events {
  /// Events that are kept, and their bytes in all.
  package static let mostEvents = 10_000
  package static let mostBytes = 32 << 20

  private var ring: EventRing
  private var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
  private var lastTicket: UInt64 = 0
  private var isFinished = false

  /// Ids go on from the clock, so that they increase over restarts too.
  package init(capacity: Int = mostEvents, mostBytes: Int = mostBytes, now: Timestamp = .now) {
    let first = UInt64(max(1, now.microseconds))
    ring = EventRing(capacity: capacity, mostBytes: mostBytes, first: first)
  }

  /// Tells everyone. `project` is nil for what belongs to the host.
  @discardableResult
  package func publish(_ type: EventType, project: String?, metadata: JSONValue) -> UInt64 {
    let id = ring.next
    let event = EventObject(id: id, type: type, timestamp: .now, metadata: metadata, project: project)
    // Only numbers that JSON does not have can fail here.
    let data = (try? APICoding.encode(event)) ?? Data()
    ring.append(.init(id: id, type: type, project: project, text: String(decoding: data, as: UTF8.self)))
    wakeAll()
    return id
  }

  /// A change of a resource: `action` in Incus's words (`instance-started`), `source` its path.
  package func lifecycle(
    _ action: String, source: String, project: String?, requestor: Identity? = nil,
    context: [String: JSONValue] = [:]
  ) {
    var metadata: [String: JSONValue] = ["action": .string(action), "source": .string(source)]
    if !context.isEmpty { metadata["context"] = .object(context) }
    if let project { metadata["project"] = .string(project) }
    if let requestor {
      metadata["requestor"] = [
        "username": .string(requestor.name), "protocol": .string(requestor.methodWord), "address": "@",
      ]
    }
    publish(.lifecycle, project: project, metadata: .object(metadata))
  }

  /// The id of the newest event: where a listener begins that wants what comes from now on.
  package var newest: UInt64 { ring.next - 1 }

  /// What a listener gets at once: events as JSON, with their ids, and where to go on.
  package struct Batch: Sendable {
    package var events: [(id: UInt64, type: EventType, text: String)]
    package var last: UInt64
    /// The daemon ends: nothing comes any more.
    package var isLast: Bool
  }

  /// The events after `last` that pass, waiting up to `patience` for one; none when none came. Throws `gone`
  /// when some of them are kept no more.
  package func next(
    after last: UInt64, passing filter: EventFilter, most: Int = 256, patience: Duration
  ) async throws(APIError) -> Batch {
    var batch = Batch(events: [], last: last, isLast: false)
    let deadline = ContinuousClock.now + patience
    while true {
      try check(batch.last)
      while batch.events.count < most, let entry = ring[batch.last + 1] {
        batch.last = entry.id
        if filter.passes(type: entry.type, project: entry.project) {
          batch.events.append((entry.id, entry.type, entry.text))
        }
      }
      batch.isLast = isFinished
      if !batch.events.isEmpty || isFinished || Task.isCancelled || ContinuousClock.now >= deadline {
        return batch
      }
      await wait(until: deadline)
    }
  }

  /// Lets every listener go, when the daemon ends.
  package func finish() {
    isFinished = true
    wakeAll()
  }

  private func check(_ last: UInt64) throws(APIError) {
    if last &+ 1 < ring.oldest {
      throw APIError(
        .gone, "events after \(last) are not kept any more; the oldest is \(ring.oldest)",
        wayOut: "read the present state and listen from now on")
    }
    if last >= ring.next { throw APIError(.gone, "there is no event \(last) of this daemon") }
  }

  private func wait(until deadline: ContinuousClock.Instant) async {
    lastTicket += 1
    let ticket = lastTicket
    let timer = Task {
      try? await Task.sleep(until: deadline)
      wake(ticket)
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        if Task.isCancelled { continuation.resume() } else { waiting[ticket] = continuation }
      }
    } onCancel: {
      Task { await self.wake(ticket) }
    }
    timer.cancel()
  }

  private func wake(_ ticket: UInt64) { waiting.removeValue(forKey: ticket)?.resume() }

  private func wakeAll() {
    let all = waiting
    waiting = [:]
    for continuation in all.values { continuation.resume() }
  }
}

/// Which events a listener wants, and may have.
package struct EventFilter: Sendable {
  package let types: Set<EventType>
  /// Only of this project and of the host; nil for all.
  package let project: String?
  package let identity: Identity

  package init(types: Set<EventType> = Set(EventType.allCases), project: String? = nil, identity: Identity) {
    self.types = types
    self.project = project
    self.identity = identity
  }

  func passes(type: EventType, project: String?) -> Bool {
    guard types.contains(type), identity.reaches(project: project) else { return false }
    return self.project == nil || project == nil || self.project == project
  }
}
