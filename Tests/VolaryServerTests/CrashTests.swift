import Foundation
import HostPrograms
import HostSystem
import Testing
import VolaryAPI

/// Daemons that die, and those that come after them.
@Suite struct CrashTests {
  @Test func isAloneWithItsData() async throws {
    let daemon = try await TestDaemon()
    let second = try TestDaemon.refusal(daemon.folder)
    #expect(second.exit == .code(1))
    #expect(second.errors.contains("process \(daemon.pid)"), "\(second.errors)")
    #expect(try daemon.curl("/healthz").status == 200)
  }

  @Test func isAloneAtItsSocket() async throws {
    let daemon = try await TestDaemon()
    let other = TestFolder()
    let second = try ProgramRun(
      "\(builtPrograms)/volaryd", ["--data", other.path, "--socket", daemon.socket]
    ).finish()
    #expect(second.exit == .code(1))
    #expect(second.errors.contains("another daemon listens there"), "\(second.errors)")
    #expect(try daemon.curl("/healthz").status == 200)
  }

  @Test func saysWhatDidNotEnd() async throws {
    let daemon = try await TestDaemon()
    let slow = #"{"steps":1000,"milliseconds":1000}"#
    let slowPath = try #require(
      try daemon.curl("/1.0/test/operations", "POST", body: slow).headers["location"])
    let done = try #require(try daemon.curl("/1.0/test/operations", "POST", body: "{}").headers["location"])
    _ = try daemon.curl(done + "/wait")
    daemon.killNow()
    // Its socket is still there, and nobody listens.
    #expect(FileManager.default.fileExists(atPath: daemon.socket))
    try await daemon.restart()
    let ended = try daemon.curl(slowPath).json["metadata"]
    #expect(ended?["status_code"] == 400 && ended?["err"] == "the daemon was restarted")
    #expect(try daemon.curl(done).json["metadata"]?["status_code"] == 200)
  }

  /// What was answered is there after kill -9 at any moment, and what is there is whole.
  @Test func keepsWhatItAnswered() async throws {
    let daemon = try await TestDaemon()
    var answered: Set<String> = []
    // A busy host takes more rounds to answer anything.
    var rounds = 0
    while rounds < 5 || (answered.count <= 5 && rounds < 50) {
      rounds += 1
      let round = rounds
      let client = daemon.client
      let writer = Task { () -> Set<String> in
        var made: Set<String> = []
        for number in 0... {
          let name = "p\(round)-\(number)"
          do { try await client.post("/1.0/projects", ProjectsPost(name: name)) } catch { break }
          made.insert(name)
        }
        return made
      }
      try await Task.sleep(for: .milliseconds(Int.random(in: 50...300)))
      daemon.killNow()
      answered.formUnion(await writer.value)
      await client.shutdown()
      try await daemon.restart()
      let check = try ProgramRun("sqlite3", [daemon.folder.database, "PRAGMA integrity_check"]).finish()
      #expect(check.output == "ok\n")
    }
    #expect(answered.count > 5)
    let client = daemon.client
    let paths: [String] = try await client.get("/1.0/projects")
    await client.shutdown()
    let kept = Set(paths.map { String($0.dropFirst("/1.0/projects/".count)) })
    #expect(answered.subtracting(kept).isEmpty)
    // At most the one that was under way in each round is there besides.
    #expect(kept.subtracting(answered).count <= rounds + 1)
  }

  @Test func endsWhenAsked() async throws {
    let daemon = try await TestDaemon()
    let client = daemon.client
    let slow = #"{"steps":1000,"milliseconds":1000}"#
    let path = try #require(try daemon.curl("/1.0/test/operations", "POST", body: slow).headers["location"])
    // Everything that holds a connection: a listener of each kind, and one who waits.
    let (heard, hears) = AsyncStream.makeStream(of: Void.self)
    let listener = Task {
      defer { hears.finish() }
      try? await client.events { _ in
        hears.yield()
        return true
      }
    }
    await daemon.knock(until: heard)
    let stream = try daemon.eventStream()
    let answer = daemon.folder.path + "/answer"
    let waiting = try ProgramRun(
      "curl",
      ["-sSv", "-o", answer, "--unix-socket", daemon.socket, "http://localhost\(path)/wait"], lasts: true)
    // It says so when it has sent its request.
    #expect(waiting.awaitErrors("> GET", within: 120))
    try daemon.takeTurns()
    #expect(await daemon.terminate() == .code(0))
    #expect(try waiting.finish().exit == .code(0))
    let waited = try APICoding.decode(JSONValue.self, from: Data(contentsOf: URL(filePath: answer)))
    #expect(waited["metadata"]?["status_code"] == 401)
    await listener.value
    #expect(try stream.finish().exit == .code(0))
    await client.shutdown()
    #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    // All is in the database itself.
    let log =
      try? FileManager.default.attributesOfItem(atPath: daemon.folder.database + "-wal")[.size] as? Int
    #expect(log ?? 0 == 0)
    try await daemon.restart()
    #expect(try daemon.curl(path).json["metadata"]?["err"] == "the daemon ended")
  }

  @Test func refusesADamagedStore() async throws {
    let daemon = try await TestDaemon()
    #expect(
      await eventually {
        (try? FileManager.default.contentsOfDirectory(atPath: daemon.folder.path + "/backups"))?.contains {
          $0.hasSuffix(".db")
        } == true
      })
    #expect(await daemon.terminate() == .code(0))
    try Data(repeating: 0x5a, count: 8192).write(to: URL(filePath: daemon.folder.database))
    let next = try TestDaemon.refusal(daemon.folder)
    #expect(next.exit == .code(1))
    #expect(next.errors.contains("damaged") && next.errors.contains("/backups/volary-"), "\(next.errors)")
    #expect(next.errors.split(separator: "\n").count == 1)
  }
}
