import Testing
import VolaryAPI
import VolaryServer

@Suite struct EventsTests {
  private let admin = Identity(name: "root", role: .admin, method: .unix(user: 0))

  private func filter(
    types: Set<EventType> = Set(EventType.allCases), project: String? = nil, identity: Identity? = nil
  ) -> EventFilter { EventFilter(types: types, project: project, identity: identity ?? admin) }

  @Test func deliversEachOnceAndInOrder() async throws {
    let events = Events()
    let start = await events.newest
    let publisher = Task {
      for number in 0..<5000 {
        await events.publish(.lifecycle, project: nil, metadata: .integer(Int64(number)))
      }
    }
    var seen: [UInt64] = []
    var last = start
    while seen.count < 5000 {
      let batch = try await events.next(after: last, passing: filter(), patience: .seconds(120))
      try #require(!batch.events.isEmpty)
      seen += batch.events.map(\.id)
      last = batch.last
    }
    await publisher.value
    #expect(seen == (1...5000).map { start + $0 })
  }

  @Test func isTooLateForTheSlow() async throws {
    let events = Events(capacity: 100, mostBytes: 1 << 20)
    let start = await events.newest
    for _ in 0..<100 { await events.publish(.logging, project: nil, metadata: .null) }
    // All hundred are there still.
    let batch = try await events.next(after: start, passing: filter(), patience: .zero)
    #expect(batch.events.count == 100)
    await events.publish(.logging, project: nil, metadata: .null)
    let error = await #expect(throws: APIError.self) {
      try await events.next(after: start, passing: filter(), patience: .zero)
    }
    #expect(error?.code == .gone)
    #expect(try await events.next(after: start + 1, passing: filter(), patience: .zero).events.count == 100)
  }

  @Test func keepsNoMoreBytesThanItMay() async throws {
    let events = Events(capacity: 1000, mostBytes: 10_000)
    let start = await events.newest
    let text = JSONValue.string(String(repeating: "x", count: 1000))
    for _ in 0..<20 { await events.publish(.logging, project: nil, metadata: text) }
    await #expect(throws: APIError.self) {
      try await events.next(after: start + 5, passing: filter(), patience: .zero)
    }
    let rest = try await events.next(after: start + 15, passing: filter(), patience: .zero)
    #expect(rest.events.count == 5)
  }

  @Test func knowsNoEventOfTomorrow() async throws {
    let events = Events()
    let newest = await events.newest
    await #expect(throws: APIError.self) {
      try await events.next(after: newest + 1, passing: filter(), patience: .zero)
    }
  }

  @Test func passesWhatIsAskedForAndAllowed() async throws {
    let events = Events()
    let start = await events.newest
    await events.publish(.lifecycle, project: "a", metadata: .null)
    await events.publish(.lifecycle, project: "b", metadata: .null)
    await events.publish(.operation, project: "a", metadata: .null)
    await events.publish(.logging, project: nil, metadata: .null)
    func seen(_ filter: EventFilter) async throws -> [UInt64] {
      try await events.next(after: start, passing: filter, patience: .zero).events.map { $0.id - start }
    }
    #expect(try await seen(filter()) == [1, 2, 3, 4])
    #expect(try await seen(filter(types: [.operation, .logging])) == [3, 4])
    #expect(try await seen(filter(project: "b")) == [2, 4])
    let limited = Identity(name: "t", role: .monitor, projects: ["b"], method: .token(id: "1"))
    #expect(try await seen(filter(identity: limited)) == [2])
  }

  @Test func waitsUntilSomethingComesAndNotLonger() async throws {
    let events = Events()
    let start = await events.newest
    let nothing = try await events.next(after: start, passing: filter(), patience: .milliseconds(20))
    #expect(nothing.events.isEmpty && nothing.last == start)
    async let something = events.next(after: start, passing: filter(), patience: .seconds(60))
    try await Task.sleep(for: .milliseconds(20))
    await events.publish(.logging, project: nil, metadata: .null)
    #expect(try await something.events.count == 1)
    let listener = Task { try await events.next(after: start + 1, passing: filter(), patience: .seconds(60)) }
    listener.cancel()
    #expect(try await listener.value.events.isEmpty)
    let last = Task { try await events.next(after: start + 1, passing: filter(), patience: .seconds(60)) }
    await events.finish()
    #expect(try await last.value.isLast)
  }
}
