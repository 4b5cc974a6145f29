import GRDB
import HostPrograms
import HostSystem
import Testing
import VolaryAPI
import VolaryServer

@Suite struct OperationsTests {
  private let folder = TestFolder()

  private func make(_ store: Store, _ events: Events = Events()) -> Operations {
    Operations(store: store, events: events, logger: silent)
  }

  @Test func keepsTheResult() async throws {
    let operations = make(try Store(directory: folder.path))
    let begun = try await operations.create("It", project: "default", resources: ["x": ["/1.0/x"]]) {
      context in
      context.set("a", 1)
      return ["b": "two"]
    }
    #expect(begun.statusCode == .running && begun.status == "Running")
    let ended = try #require(try await operations.wait(begun.id))
    #expect(ended.statusCode == .success)
    #expect(ended.metadata == ["a": 1, "b": "two"])
    #expect(ended.resources == ["x": ["/1.0/x"]])
    #expect(try await operations.list(project: nil).map(\.id) == [begun.id])
    #expect(try await operations.list(project: "other").isEmpty)
  }

  @Test func keepsWhyItFailed() async throws {
    let operations = make(try Store(directory: folder.path))
    let begun = try await operations.create("It", project: nil) { _ in
      throw APIError.conflict("it is running")
    }
    let ended = try #require(try await operations.wait(begun.id))
    #expect(ended.statusCode == .failure)
    #expect(ended.failure == APIError.conflict("it is running"))
    struct Unforeseen: Error {}
    let other = try await operations.create("It", project: nil) { _ in throw Unforeseen() }
    #expect(try await operations.wait(other.id)?.failure?.code == .failed)
  }

  @Test func isCancelledWhereItMayBe() async throws {
    let operations = make(try Store(directory: folder.path))
    let stubborn = try await operations.create("It", project: nil) { _ in
      try await Task.sleep(for: .seconds(600))
      return [:]
    }
    await #expect(throws: APIError.self) { try await operations.cancel(stubborn.id) }
    let willing = try await operations.create("It", project: nil, mayCancel: true) { context in
      // Work that looks at the context alone, as that of a thread does.
      while !context.isCancelled { await Task.yield() }
      try context.checkCancellation()
      return [:]
    }
    try await operations.cancel(willing.id)
    let ended = try #require(try await operations.wait(willing.id))
    #expect(ended.statusCode == .cancelled && !ended.mayCancel)
    let again = await #expect(throws: APIError.self) { try await operations.cancel(willing.id) }
    #expect(again?.code == .conflict)
    let unknown = await #expect(throws: APIError.self) { try await operations.cancel("nobody") }
    #expect(unknown?.code == .notFound)
    let waited = try await operations.wait(stubborn.id, seconds: 0.05)
    #expect(waited?.statusCode == .running)
    await operations.shutdown(seconds: 120)
    #expect(try await operations.get(stubborn.id)?.err == "the daemon ended")
    await #expect(throws: APIError.self) { try await operations.create("It", project: nil) { _ in [:] } }
  }

  @Test func saysHowFarItIs() async throws {
    let events = Events()
    let operations = make(try Store(directory: folder.path), events)
    let start = await events.newest
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    let begun = try await operations.create("It", project: nil) { context in
      context.progress("Copying", done: 45, total: 100, unit: "bytes")
      for await _ in gate { break }
      return [:]
    }
    let seen = try await eventually { try await operations.get(begun.id)?.progress != nil }
    #expect(seen)
    let progress = try await operations.get(begun.id)?.progress
    #expect(progress == Progress(phase: "Copying", done: 45, total: 100, unit: "bytes"))
    #expect(progress?.text == "Copying: 45%")
    open.yield()
    #expect(try await operations.wait(begun.id)?.metadata == nil)
    let admin = Identity(name: "root", role: .admin, method: .unix(user: 0))
    let ended = try await eventually {
      let batch = try await events.next(after: start, passing: EventFilter(identity: admin), patience: .zero)
      return batch.events.contains { $0.text.contains("\"status\":\"Success\"") }
    }
    #expect(ended)
  }

  @Test func remembersOverRestarts() async throws {
    let first = try Store(directory: folder.path)
    var operations = make(first)
    let done = try await operations.create("Done", project: nil) { _ in ["x": 1] }
    _ = try await operations.wait(done.id)
    let undone = try await operations.create("Undone", project: nil) { _ in
      try await Task.sleep(for: .seconds(600))
      return [:]
    }
    // The first daemon still holds its folder; a copy of it is what it leaves when it dies.
    let copy = TestFolder()
    #expect(try ProgramRun("cp", ["-r", folder.path + "/.", copy.path]).finish().exit == .code(0))
    operations = make(try Store(directory: copy.path))
    try await operations.recover()
    #expect(try await operations.get(done.id)?.metadata == ["x": 1])
    let failed = try #require(try await operations.get(undone.id))
    #expect(failed.statusCode == .failure && failed.err == "the daemon was restarted")
    #expect(failed.statusCode.isFinal && !failed.mayCancel)
  }

  @Test func forgetsWhatIsOldOrTooMuch() async throws {
    let store = try Store(directory: folder.path)
    let operations = make(store)
    for _ in 0..<1010 { _ = try await operations.create("It", project: nil) { _ in [:] } }
    let settled = try await eventually {
      try await operations.list(project: nil).allSatisfy { $0.statusCode.isFinal }
    }
    #expect(settled)
    #expect(try await operations.list(project: nil).count == 1000)
    try await store.write { try $0.execute(sql: "UPDATE operations SET updated_at = 0") }
    let last = try await operations.create("It", project: nil) { _ in [:] }
    _ = try await operations.wait(last.id)
    #expect(try await operations.list(project: nil).map(\.id) == [last.id])
  }
}
