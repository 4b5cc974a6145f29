import Foundation
import GRDB
import HostPrograms
import Testing
import VolaryAPI
import VolaryServer

@Suite struct StoreTests {
  private let folder = TestFolder()

  @Test func isOneDaemonsAtATime() throws {
    let store = try Store(directory: folder.path)
    let error = #expect(throws: StoreError.self) { try Store(directory: folder.path) }
    #expect(error == .inUse(directory: folder.path, pid: "\(getpid())"))
    withExtendedLifetime(store) {}
  }

  @Test func keepsWhatIsPut() async throws {
    var record = InstanceRecord(
      id: "1", project: "default", name: "web", architecture: "riscv64", config: ["limits.cpu": "2"],
      devices: ["root": ["type": "disk"]], imageAlias: "debian/13")
    record.exit = InstanceExit(reason: "crashed", message: "it crashed", at: .now)
    record.startedAt = .now
    let kept = record
    let store = try Store(directory: folder.path)
    try await store.write { try kept.insert($0) }
    let read = try await store.read { try InstanceRecord.find($0, project: "default", name: "web") }
    #expect(read == kept)
    // Names are unique in a project, and a project is one that there is.
    for (project, name) in [("default", "web"), ("nowhere", "db")] {
      let other = InstanceRecord(id: "2", project: project, name: name, architecture: "riscv64")
      await #expect(throws: DatabaseError.self) { try await store.write { try other.insert($0) } }
    }
  }

  /// What is still under way when the daemon ends.
  @Test func isForNobodyOnceItIsClosed() async throws {
    let store = try Store(directory: folder.path)
    try store.close()
    await #expect(throws: DatabaseError.self) { try await store.write { try $0.execute(sql: "ANALYZE") } }
    await #expect(throws: DatabaseError.self) {
      try await store.read { try Int.fetchOne($0, sql: "SELECT 1") }
    }
  }

  @Test func refusesANewerOne() async throws {
    do {
      let store = try Store(directory: folder.path)
      try await store.write {
        try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99')")
      }
      try store.close()
    }
    #expect(throws: StoreError.newer(path: folder.database)) { try Store(directory: folder.path) }
  }

  @Test func refusesWhatIsDamagedAndSaysTheWayBack() async throws {
    var backup = ""
    do {
      let store = try Store(directory: folder.path)
      let records = (0..<2000).map { ProjectRecord(name: "p\($0)", description: "", config: [:]) }
      try await store.write { database in for record in records { try record.insert(database) } }
      backup = try #require(try await store.backUpIfDue())
      #expect(try await store.backUpIfDue() == nil)
      try store.close()
    }
    // As after a disk that lost blocks.
    let file = try FileHandle(forUpdating: URL(filePath: folder.database))
    for page in stride(from: 2, to: 30, by: 3) {
      try file.seek(toOffset: UInt64(page) * 4096)
      try file.write(contentsOf: Data(repeating: 0xa5, count: 4096))
    }
    try file.close()
    let error = #expect(throws: StoreError.self) { try Store(directory: folder.path) }
    guard case .damaged(folder.database, backup, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    let words = try #require(error?.description)
    #expect(words.split(separator: "\n").count == 1)
    // What it says to do helps.
    let command = try #require(words.range(of: "rm -f"))
    #expect(try ProgramRun("sh", ["-c", String(words[command.lowerBound...])]).finish().code == 0)
    let store = try Store(directory: folder.path)
    #expect(try await store.read { try ProjectRecord.fetchAll($0).count } == 2001)
  }

  @Test func refusesWhatIsNoDatabase() throws {
    try Data("this is no database, but long enough to be taken for one\n".utf8)
      .write(to: URL(filePath: folder.database))
    let error = #expect(throws: StoreError.self) { try Store(directory: folder.path) }
    guard case .damaged(_, nil, _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func keepsThreeBackups() async throws {
    let store = try Store(directory: folder.path)
    let start = Date()
    var made: [String] = []
    for day in 0..<5 {
      let path = try await store.backUpIfDue(now: start + Double(day) * 90_000)
      made.append(try #require(path))
    }
    let kept = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/backups")
    #expect(Set(kept) == Set(made.suffix(3).map { ($0 as NSString).lastPathComponent }))
    // Each is a whole database, by SQLite's own tool.
    for path in made.suffix(3) {
      let check = try ProgramRun("sqlite3", [path, "PRAGMA integrity_check; SELECT name FROM projects"])
        .finish()
      #expect(check.output == "ok\ndefault\n")
    }
  }

  @Test func letsNobodyElseRead() throws {
    _ = try Store(directory: folder.path + "/new/data")
    let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/new/data")
    #expect(attributes[.posixPermissions] as? Int == 0o700)
  }
}
