import Foundation
import Glibc
import HostPrograms
import Testing
import VolaryAPI

/// Events as those outside get them.
@Suite struct EventStreamTests {
  private func burst(_ daemon: TestDaemon, _ count: Int, bytes: Int) throws {
    let answer = try daemon.curl("/1.0/test/events", "POST", body: #"{"count":\#(count),"bytes":\#(bytes)}"#)
    #expect(answer.status == 200)
  }

  @Test func reachOurClient() async throws {
    let daemon = try await TestDaemon()
    let client = daemon.client
    let (started, isListening) = AsyncStream.makeStream(of: Void.self)
    let listener = Task {
      defer { isListening.finish() }
      var numbers: [Int64] = []
      try await client.events(types: [.lifecycle]) { event in
        isListening.yield()
        if let number = event.metadata["number"]?.integer { numbers.append(number) }
        return numbers.count < 3000
      }
      return numbers
    }
    // The first event says that it listens.
    await daemon.knock(until: started)
    try burst(daemon, 3000, bytes: 100)
    #expect(try await listener.value == (0..<3000).map { Int64($0) })
    await client.shutdown()
  }

  @Test func goOnWhereTheyEnded() async throws {
    let daemon = try await TestDaemon()
    try burst(daemon, 10, bytes: 1)
    let client = daemon.client
    func first(_ count: Int, since: UInt64) async throws -> [EventObject] {
      var seen: [EventObject] = []
      try await client.events(types: [.lifecycle], since: since) { event in
        seen.append(event)
        return seen.count < count
      }
      return seen
    }
    // The id before the first is found through the error for one that is too old.
    let old = await #expect(throws: APIError.self) { _ = try await first(1, since: 1) }
    #expect(old?.code == .gone)
    let digits = old?.message.split(separator: " ").last.flatMap { UInt64($0) }
    let start = try #require(digits) - 1
    let all = try await first(10, since: start)
    #expect(try await first(4, since: all[5].id) == Array(all[6...]))
    await client.shutdown()
    // The same as a stream, which then goes on.
    let stream = try daemon.eventStream("?type=lifecycle", headers: ["Last-Event-ID": "\(all[5].id)"])
    try burst(daemon, 1, bytes: 1)
    var (ids, events): ([Substring], [EventObject]) = ([], [])
    while events.count < 5, let line = stream.awaitLine() {
      if line.hasPrefix("id: ") { ids.append(line.dropFirst(4)) }
      if line.hasPrefix("data: ") {
        events.append(try APICoding.decode(EventObject.self, from: Data(line.dropFirst(6).utf8)))
      }
    }
    #expect(events.dropLast() == all[6...] && events.last?.metadata["number"] == 0)
    #expect(ids == events.map { "\($0.id)" })
    let accept = ["Accept": "text/event-stream"]
    #expect(try daemon.curl("/1.0/events?since=1", headers: accept).status == 410)
    #expect(try daemon.curl("/1.0/events?since=x", headers: accept).status == 400)
    #expect(try daemon.curl("/1.0/events?type=weather", headers: accept).status == 400)
    #expect(try daemon.curl("/1.0/events").status == 426)
  }

  /// A listener that does not read costs the daemon no memory, and is told when it has missed something.
  @Test func doNotWaitForTheSlow() async throws {
    let daemon = try await TestDaemon()
    let client = daemon.client
    let slow = try daemon.eventStream()
    // One who stops at the first event until all have been published.
    let (gate, open) = AsyncStream.makeStream(of: Void.self)
    let (heard, hears) = AsyncStream.makeStream(of: Void.self)
    let late = Task {
      defer { hears.finish() }
      try await client.events { _ in
        hears.yield()
        for await _ in gate { break }
        return true
      }
    }
    await daemon.knock(until: heard)
    let before = Self.resident(daemon.pid)
    for _ in 0..<12 { try burst(daemon, 2000, bytes: 4000) }
    open.finish()
    let growth = Self.resident(daemon.pid) - before
    // 32 MiB of events are kept, whatever was published: 96 MB.
    #expect(growth < 80 << 20, "\(growth >> 20) MiB")
    let end = await #expect(throws: WebSocketClosure.self) { try await late.value }
    #expect(end?.code == .tooSlow)
    // The stream ends; who comes again with the last id is told.
    let last = try slow.finish().output.components(separatedBy: "\nid: ").last
    let id = try #require(last?.split(separator: "\n").first)
    let again = try daemon.curl(
      "/1.0/events", headers: ["Accept": "text/event-stream", "Last-Event-ID": String(id)])
    #expect(again.status == 410)
    await client.shutdown()
  }

  private static func resident(_ pid: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 4096
  }

  @Test func areRefusedAsRequestsAre() async throws {
    let daemon = try await TestDaemon()
    let client = daemon.client
    let missing = await #expect(throws: APIError.self) { try await client.webSocket("/1.0/nothing") { _ in } }
    #expect(missing?.code == .notFound)
    let plain = await #expect(throws: APIError.self) { try await client.webSocket("/1.0/projects") { _ in } }
    #expect(plain != nil)
    let connection = await #expect(throws: APIError.self) {
      try await client.webSocket("/1.0/operations/x/websocket", query: [("secret", "s")]) { _ in }
    }
    #expect(connection?.code == .notFound)
    await client.shutdown()
  }

  @Test func websocketsCarryWhatIsSent() async throws {
    let daemon = try await TestDaemon()
    let client = daemon.client
    try await client.webSocket("/1.0/test/echo") { socket in
      var answers = socket.messages.makeAsyncIterator()
      for text in ["a", "", "é\n", String(repeating: "x", count: 900_000)] {
        try await socket.send(text)
        #expect(try await answers.next() == .text(text))
      }
    }
    let closed = await #expect(throws: WebSocketClosure.self) {
      try await client.webSocket("/1.0/test/echo") { socket in
        try await socket.send("close")
        for try await _ in socket.messages {}
      }
    }
    #expect(closed == WebSocketClosure(.policyViolation, "as you wish"))
    await client.shutdown()
  }

  /// Another implementation of RFC 6455, where Python has it.
  @Test func speakWithPython() async throws {
    guard hasProgram("python3"),
      try ProgramRun("python3", ["-c", "import websockets"]).finish().code == 0
    else { return }
    let daemon = try await TestDaemon()
    let script = """
      import asyncio, json, sys, websockets
      async def main():
          async with websockets.unix_connect(sys.argv[1], uri="ws://localhost/1.0/test/echo") as socket:
              for message in ["a", "x" * 500000, b"\\x00\\xff" * 1000, ["in ", "several ", "frames"]]:
                  await socket.send(message)
                  answer = await socket.recv()
                  assert answer == (message if not isinstance(message, list) else "".join(message))
              await (await socket.ping())
          async with websockets.unix_connect(sys.argv[1], uri="ws://localhost/1.0/events") as socket:
              await asyncio.to_thread(sys.stdout.write, "listening\\n")
      asyncio.run(main())
      """
    let outcome = try ProgramRun("python3", ["-c", script, daemon.socket]).finish()
    #expect(outcome.code == 0, "\(outcome.errors)")
  }
}
