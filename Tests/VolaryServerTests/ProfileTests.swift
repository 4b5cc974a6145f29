import Foundation
import GRDB
import Testing
import VolaryAPI
import VolaryServer

/// `/1.0/profiles` of a real daemon.
@Suite struct ProfileTests {
  @Test func keepsProfiles() async throws {
    let daemon = try await TestDaemon(program: "volaryd")
    let first = try daemon.curl("/1.0/profiles?recursion=1").json["metadata"]?.array
    #expect(first?.count == 1)
    #expect(first?.first?["devices"]?["eth0"]?["network"] == "nat")
    #expect(first?.first?["devices"]?["root"]?["pool"] == "default")
    let big =
      #"{"name":"big","config":{"limits.cpu":"64"},"devices":{"p":{"type":"proxy","listen":"tcp:0.0.0.0:80","connect":"tcp:127.0.0.1:80"}}}"#
    let made = try daemon.curl("/1.0/profiles", "POST", body: big)
    #expect(made.status == 201 && made.headers["location"] == "/1.0/profiles/big", "\(made.text)")
    #expect(try daemon.curl("/1.0/profiles", "POST", body: big).status == 409)
    for wrong in [
      #"{"name":"a/b"}"#, #"{"name":""}"#, #"{"name":"x","config":{"limits.cpu":"65"}}"#,
      #"{"name":"x","devices":{"a":{"type":"moon"}}}"#, #"{"name":"x","devices":{"a":{"b":1}}}"#,
    ] { #expect(try daemon.curl("/1.0/profiles", "POST", body: wrong).status == 400, "\(wrong)") }
    #expect(try daemon.curl("/1.0/profiles?project=none").status == 404)
    #expect(try daemon.curl("/1.0/profiles?project=none", "POST", body: big).status == 404)

    let tag = try #require(try daemon.curl("/1.0/profiles/big").headers["etag"])
    let patch = #"{"config":{"limits.memory":"2GiB","limits.cpu":""},"devices":{"p":{}}}"#
    #expect(
      try daemon.curl("/1.0/profiles/big", "PATCH", headers: ["If-Match": tag], body: patch).status == 200)
    let late = try daemon.curl("/1.0/profiles/big", "PUT", headers: ["If-Match": tag], body: "{}")
    #expect(late.status == 412)
    let now = try daemon.curl("/1.0/profiles/big").json["metadata"]
    #expect(now?["config"] == ["limits.memory": "2GiB"] && now?["devices"] == [:] && now?["used_by"] == [])
    let found = try daemon.curl("/1.0/profiles?filter=name%20eq%20big")
    #expect(found.json["metadata"] == ["/1.0/profiles/big"])
    #expect(try daemon.curl("/1.0/profiles/big", "POST", body: #"{"name":"default"}"#).status == 409)
    #expect(try daemon.curl("/1.0/profiles/big", "DELETE").status == 200)
    #expect(try daemon.curl("/1.0/profiles/big").status == 404)
    let audit = try run("sqlite3", [daemon.folder.database, "SELECT method, path, status FROM audit"])
    #expect(String(decoding: audit.output, as: UTF8.self).contains("DELETE|/1.0/profiles/big|200"))
  }

  /// Who may look may not change, and who is of another project does neither.
  @Test func asksForRights() async throws {
    let daemon = try await TestDaemon(program: "volaryd")
    _ = try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#)
    _ = try daemon.curl("/1.0", "PATCH", body: #"{"config":{"core.https_address":"127.0.0.1:0"}}"#)
    let addresses = try daemon.curl("/1.0").json["metadata"]?["environment"]?["addresses"]
    let address = try #require(addresses?.array?.first?.string)
    func status(_ role: String, _ path: String, _ method: String, _ body: String) throws -> String {
      let name = "\(role)\(UUID().uuidString.prefix(8))"
      let post = #"{"name":"\#(name)","role":"\#(role)","projects":["lab"]}"#
      let token = try daemon.curl("/1.0/tokens", "POST", body: post).json["metadata"]?["token"]?.string ?? ""
      let answer = try run(
        "curl",
        [
          "-sS", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer \(token)", "-X",
          method, "--data-binary", body, "https://\(address)\(path)",
        ])
      return String(decoding: answer.output, as: UTF8.self)
    }
    let (lab, body) = ("/1.0/profiles?project=lab", #"{"name":"a"}"#)
    #expect(try status("monitor", lab, "POST", body) == "403")
    #expect(try status("user", lab, "POST", body) == "403")
    #expect(try status("operator", "/1.0/profiles", "POST", body) == "403")
    #expect(try status("operator", lab, "POST", body) == "201")
    #expect(try status("monitor", lab, "GET", "") == "200")
    #expect(try status("monitor", "/1.0/profiles", "GET", "") == "403")
  }

  /// A store of before there were profiles: what instances had without being told, they have by `default`.
  @Test func migratesWhatWasThere() async throws {
    let folder = TestFolder()
    do {
      let store = try Store(directory: folder.path)
      try await store.write { database in
        try ProjectRecord(name: "lab", description: "", config: [:]).insert(database)
        for (id, project) in [("1", "default"), ("2", "lab")] {
          try InstanceRecord(id: id, project: project, name: "web", architecture: "riscv64").insert(database)
        }
        try database.execute(
          sql: """
            DROP TABLE exports; DROP TABLE backups; DROP TABLE volume_snapshots; DROP TABLE volumes;
            DROP TRIGGER projects_first_profile; DROP TABLE profiles;
            DROP TABLE storage_pools; ALTER TABLE instances DROP COLUMN pool; DROP TABLE snapshots;
            DROP INDEX instances_layer; ALTER TABLE instances DROP COLUMN layer; DROP TABLE layers;
            DELETE FROM grdb_migrations WHERE identifier NOT IN ('1', '2')
            """)
      }
      try store.close()
    }
    let store = try Store(directory: folder.path)
    let (rows, profiles) = try await store.read { database in
      (
        try InstanceRecord.fetchAll(database).map(\.profiles),
        try String.fetchAll(database, sql: "SELECT project || '/' || name FROM profiles ORDER BY project")
      )
    }
    #expect(rows == [["default"], ["default"]])
    #expect(try await store.read { try InstanceRecord.fetchAll($0).map(\.pool) } == ["default", "default"])
    #expect(profiles == ["default/default", "lab/default"])
  }
}
