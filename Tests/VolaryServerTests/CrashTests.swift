import Foundation
import Glibc
import Testing
import VolaryAPI

/// Daemons that die, and those that come after them.
@Suite struct CrashTests {
  @Test func isAloneWithItsData() async throws {
    let daemon = try await TestDaemon()
    let second = TestDaemon.start(daemon.folder)
    let errors = Pipe()
    second.standardError = errors
    try second.run()
    let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    second.waitUntilExit()
    #expect(second.terminationStatus == 1)
    #expect(words.contains("process \(daemon.pid)"), "\(words)")
    #expect(try daemon.curl("/healthz").status == 200)
  }

  @Test func isAloneAtItsSocket() async throws {
    let daemon = try await TestDaemon()
    let other = TestFolder()
    let second = Process()
    second.executableURL = TestDaemon.start(other, program: "volaryd").executableURL
    second.arguments = ["--data", other.path, "--socket", daemon.socket]
    let errors = Pipe()
    second.standardError = errors
    try second.run()
    let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    second.waitUntilExit()
    #expect(second.terminationStatus == 1)
    #expect(words.contains("another daemon listens there"), "\(words)")
    #expect(try daemon.curl("/healthz").status == 200)
  }

  @Test func saysWhatDidNotEnd() async throws {
    let daemon = try await TestDaemon()
    let slow = #"{"steps":1000,"milliseconds":50}"#
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
      let check = try run("sqlite3", [daemon.folder.database, "PRAGMA integrity_check"])
      #expect(String(decoding: check.output, as: UTF8.self) == "ok\n")
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
    let slow = #"{"steps":1000,"milliseconds":50}"#
    let path = try #require(try daemon.curl("/1.0/test/operations", "POST", body: slow).headers["location"])
    // Everything that holds a connection: a listener of each kind, and one who waits.
    let listener = Task { try? await client.events { _ in true } }
    let stream = Process()
    stream.executableURL = URL(filePath: "/usr/bin/curl")
    stream.arguments = [
      "-sSN", "--unix-socket", daemon.socket, "-H", "Accept: text/event-stream",
      "http://localhost/1.0/events",
    ]
    stream.standardOutput = Pipe()
    try stream.run()
    let waiting = Task { try? await client.send("GET", path + "/wait").operation() }
    try await Task.sleep(for: .milliseconds(300))
    #expect(await daemon.terminate() == 0)
    #expect(await waiting.value?.statusCode == .cancelled)
    await listener.value
    #expect(await eventually { !stream.isRunning })
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
    #expect(await daemon.terminate() == 0)
    try Data(repeating: 0x5a, count: 8192).write(to: URL(filePath: daemon.folder.database))
    let next = TestDaemon.start(daemon.folder)
    let errors = Pipe()
    next.standardError = errors
    try next.run()
    let words = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    next.waitUntilExit()
    #expect(next.terminationStatus == 1)
    #expect(words.contains("damaged") && words.contains("/backups/volary-"), "\(words)")
    #expect(words.split(separator: "\n").count == 1)
  }
}
