import Foundation
import GRDB
import Testing
import VolaryAPI
import VolaryServer

/// Snapshots, copies and layers of a real daemon whose machines do not run; QEMU reads and writes the disks.
@Suite struct SnapshotTests {
  private static let post = """
    {"name":"a","source":{"type":"image","alias":"small"},"description":"first","config":{"user.x":"1"},
    "devices":{"eth0":{"type":"none"}}}
    """

  private func start() async throws -> TestDaemon {
    let folder = TestFolder()
    _ = try SmallImage(in: folder)
    return try await TestDaemon(folder: folder, program: "volaryd")
  }

  @Test func keepsAndRestores() async throws {
    let daemon = try await start()
    let (a, snapshots) = ("/1.0/instances/a", "/1.0/instances/a/snapshots")
    #expect(try daemon.carryOut("/1.0/instances", "POST", Self.post) == "")
    #expect(daemon.layerFiles.count == 2)
    #expect(try daemon.metadata(snapshots) == [])
    try daemon.write(7, at: 0, on: "a")
    let made = try daemon.curl(snapshots, "POST", body: #"{"name":"","description":"d"}"#).json["metadata"]
    #expect(made?["resources"]?["instances_snapshots"] == ["/1.0/instances/a/snapshots/snap0"])
    #expect(try await eventually { try daemon.metadata(snapshots) == ["/1.0/instances/a/snapshots/snap0"] })
    #expect(try daemon.carryOut(a, "PATCH", #"{"config":{"user.x":"2"}}"#) == "")
    try daemon.write(8, at: 0, on: "a")
    try daemon.write(9, at: 1 << 20, on: "a")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"two"}"#) == "")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"two"}"#).contains("`two` already"))
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"a/b"}"#).contains("letters, digits"))
    #expect(try daemon.carryOut(snapshots, "POST", #"{"stateful":true}"#).contains("memory"))
    let list = try daemon.metadata(snapshots + "?recursion=1")?.array
    #expect(list?.map { $0["name"] } == ["snap0", "two"])
    #expect(list?[0]["config"]?["user.x"] == "1" && list?[1]["config"]?["user.x"] == "2")
    #expect(list?[0]["description"] == "d" && list?[1]["description"] == "first")
    #expect(list?[0]["expires_at"] == "0001-01-01T00:00:00Z" && list?[0]["stateful"] == false)
    #expect(try daemon.metadata(snapshots + "?filter=name%20eq%20two") == ["/1.0/instances/a/snapshots/two"])
    let all = try daemon.metadata("/1.0/instances?recursion=2")?.array
    #expect(all?[0]["snapshots"]?.array?.count == 2 && all?[0]["snapshot_count"] == 2)
    #expect(try daemon.metadata("/1.0/instances?recursion=1")?.array?[0]["snapshot_count"] == 2)

    try daemon.write(5, at: 0, on: "a")
    #expect(try daemon.carryOut(a, "PUT", #"{"restore":"none"}"#).contains("no snapshot `none`"))
    #expect(try daemon.carryOut(a, "PUT", #"{"restore":"a/snap0"}"#) == "")
    #expect(try daemon.holds(7, at: 0, on: "a") && daemon.holds(0, at: 1 << 20, on: "a"))
    #expect(try daemon.holds(1, at: 4096, on: "a"))
    #expect(try daemon.metadata(a)?["config"]?["user.x"] == "1")
    #expect(try daemon.metadata(a)?["name"] == "a")
    #expect(try daemon.carryOut(a, "PUT", #"{"restore":"two"}"#) == "")
    #expect(try daemon.holds(8, at: 0, on: "a") && daemon.holds(9, at: 1 << 20, on: "a"))

    // The first goes; what the second stands on stays.
    #expect(try daemon.carryOut(snapshots + "/snap0", "DELETE") == "")
    #expect(try daemon.curl(snapshots + "/snap0").status == 404)
    #expect(try daemon.carryOut(snapshots + "/snap0", "DELETE").contains("no snapshot `snap0`"))
    #expect(try daemon.holds(8, at: 0, on: "a") && daemon.holds(1, at: 4096, on: "a"))
    #expect(try daemon.carryOut(a, "DELETE") == "")
    #expect(daemon.layerFiles == [])
    #expect(try daemon.sql("SELECT COUNT(*) FROM layers") == "0")
    #expect(try daemon.sql("SELECT COUNT(*) FROM snapshots") == "0")
    // The image's own file is as it was.
    let image = try Data(contentsOf: URL(filePath: daemon.folder.path + "/images/small_riscv64/disk.raw"))
    #expect(image.prefix(65536).allSatisfy { $0 == 1 } && image.count == SmallImage.size)
  }

  @Test func changesAndNames() async throws {
    let daemon = try await start()
    let snapshots = "/1.0/instances/a/snapshots"
    _ = try daemon.carryOut("/1.0/instances", "POST", Self.post)
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"one"}"#) == "")
    let tag = try #require(try daemon.curl(snapshots + "/one").headers["etag"])
    let put = #"{"expires_at":"2090-01-01T00:00:00Z"}"#
    #expect(try daemon.curl(snapshots + "/one", "PUT", headers: ["If-Match": tag], body: put).status == 202)
    #expect(try daemon.metadata(snapshots + "/one")?["expires_at"] == "2090-01-01T00:00:00Z")
    #expect(try daemon.curl(snapshots + "/one", "PUT", headers: ["If-Match": tag], body: put).status == 412)
    #expect(try daemon.carryOut(snapshots + "/one", "PATCH", #"{"description":"kept"}"#) == "")
    let now = try daemon.metadata(snapshots + "/one")
    #expect(now?["expires_at"] == "2090-01-01T00:00:00Z" && now?["description"] == "kept")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"two"}"#) == "")
    #expect(try daemon.carryOut(snapshots + "/one", "POST", #"{"name":"two"}"#).contains("already"))
    #expect(try daemon.carryOut(snapshots + "/one", "POST", #"{"name":"three"}"#) == "")
    #expect(try daemon.metadata(snapshots + "/three")?["description"] == "kept")

    // Names by a pattern, and a time by which they go.
    let config =
      #"{"config":{"snapshots.pattern":"day{{ creation_date|date:'20060102' }}-%d","snapshots.expiry":"1d 2H"}}"#
    #expect(try daemon.carryOut("/1.0/instances/a", "PATCH", config) == "")
    #expect(try daemon.carryOut(snapshots, "POST", "{}") == "")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"expires_at":"0001-01-01T00:00:00Z"}"#) == "")
    let names = try daemon.metadata(snapshots + "?recursion=1")?.array ?? []
    let named = names.filter { $0["name"]?.string?.hasPrefix("day20") == true }
    #expect(named.compactMap { $0["name"]?.string?.suffix(2) } == ["-0", "-1"])
    let (created, expires) = (named[0]["created_at"]?.string, named[0]["expires_at"]?.string)
    let length =
      (expires.flatMap(Timestamp.init)?.microseconds ?? 0)
      - (created.flatMap(Timestamp.init)?.microseconds ?? 0)
    #expect(abs(length / 1_000_000 - 26 * 3600) < 600)
    #expect(named[1]["expires_at"] == "0001-01-01T00:00:00Z")
    for wrong in [
      #""snapshots.pattern":"a/b""#, #""snapshots.pattern":"{{ x }}""#, #""snapshots.expiry":"1x""#,
    ] {
      #expect(
        try daemon.curl("/1.0/instances/a", "PATCH", body: "{\"config\":{\(wrong)}}").status == 400,
        "\(wrong)")
    }

    // Those whose time is over are gone when a daemon looks.
    #expect(try daemon.carryOut(snapshots + "/two", "PATCH", #"{"expires_at":"2020-01-01T00:00:00Z"}"#) == "")
    daemon.killNow()
    try await daemon.restart()
    #expect(try await eventually { try daemon.curl(snapshots + "/two").status == 404 })
    #expect(try daemon.curl(snapshots + "/three").status == 200)
    #expect(try daemon.sql("SELECT COUNT(*) FROM layers WHERE state <> 'ready'") == "0")
  }

  @Test func copiesShareAndKeepApart() async throws {
    let daemon = try await start()
    _ = try daemon.carryOut("/1.0/instances", "POST", Self.post)
    try daemon.write(7, at: 0, on: "a")
    _ = try daemon.carryOut("/1.0/instances/a/snapshots", "POST", #"{"name":"s"}"#)
    try daemon.write(8, at: 0, on: "a")
    func copy(_ name: String, _ source: String, _ more: String = "") throws -> String {
      try daemon.carryOut(
        "/1.0/instances", "POST",
        #"{"name":"\#(name)","source":{"type":"copy","source":"\#(source)"}\#(more)}"#)
    }
    #expect(try copy("b", "a") == "")
    #expect(try copy("c", "a/s", #","config":{"user.x":"3"}"#) == "")
    #expect(try copy("d", "a/none").contains("no snapshot `none`"))
    #expect(try copy("d", "none").contains("no instance `none`"))
    #expect(try copy("b", "a").contains("`b` already"))
    #expect(
      try copy("d", "a", #","devices":{"root":{"type":"disk","path":"/","pool":"default","size":"4MiB"}}"#)
        != "")
    #expect(
      try daemon.holds(8, at: 0, on: "b") && daemon.holds(7, at: 0, on: "c")
        && daemon.holds(8, at: 0, on: "a"))
    #expect(try daemon.metadata("/1.0/instances/b/snapshots") == ["/1.0/instances/b/snapshots/s"])
    #expect(try daemon.metadata("/1.0/instances/c/snapshots") == [])
    #expect(try daemon.metadata("/1.0/instances/b")?["config"]?["user.x"] == "1")
    #expect(try daemon.metadata("/1.0/instances/c")?["config"]?["user.x"] == "3")
    try daemon.write(20, at: 0, on: "a")
    try daemon.write(30, at: 0, on: "b")
    #expect(
      try daemon.holds(7, at: 0, on: "c") && daemon.holds(20, at: 0, on: "a")
        && daemon.holds(30, at: 0, on: "b"))
    // A larger disk, in another project, after what it is a copy of is gone.
    _ = try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#)
    let wide =
      #"{"name":"w","source":{"type":"copy","source":"b/s","project":"default"},"devices":{"root":{"type":"disk","path":"/","pool":"default","size":"16MiB"}}}"#
    #expect(try daemon.carryOut("/1.0/instances?project=lab", "POST", wide) == "")
    #expect(try daemon.carryOut("/1.0/instances/a", "DELETE") == "")
    #expect(try daemon.carryOut("/1.0/instances/b", "DELETE") == "")
    #expect(try daemon.holds(7, at: 0, on: "w") && daemon.holds(0, at: 12 << 20, on: "w"))
    #expect(try daemon.holds(1, at: 8192, on: "c"))
    let promised = try daemon.metadata("/1.0/storage-pools/default/resources")?["space"]?["promised"]
    #expect(promised == .integer(24 << 20))
    #expect(try daemon.carryOut("/1.0/images/\(fingerprint(daemon))", "DELETE") == "")
    #expect(try daemon.holds(1, at: 8192, on: "c"))
    _ = try daemon.carryOut("/1.0/instances/c", "DELETE")
    _ = try daemon.carryOut("/1.0/instances/w?project=lab", "DELETE")
    #expect(daemon.layerFiles == [])
  }

  private func fingerprint(_ daemon: TestDaemon) throws -> String {
    try daemon.metadata("/1.0/images")?.array?.first?.string?.split(separator: "/").last.map(String.init)
      ?? ""
  }

  /// An instance of a daemon that knew no layers: its disk is a raw file in its folder.
  @Test func takesOldDisksIn() async throws {
    let folder = TestFolder()
    let home = "\(folder.path)/instances/11111111-2222-4333-8444-555555555555"
    do {
      let store = try Store(directory: folder.path)
      try await store.write { database in
        var old = InstanceRecord(
          id: "11111111-2222-4333-8444-555555555555", project: "default", name: "a", architecture: "riscv64",
          devices: ["eth0": ["type": "none"]], profiles: ["default"])
        old.volatile = ["volatile.image.disk": "1048576"]
        try old.insert(database)
      }
      try store.close()
      try FileManager.default.createDirectory(atPath: home, withIntermediateDirectories: true)
      try Data("kernel".utf8).write(to: URL(filePath: home + "/kernel"))
      try Data(repeating: 3, count: 1 << 20).write(to: URL(filePath: home + "/disk.raw"))
    }
    let daemon = try await TestDaemon(folder: folder, program: "volaryd")
    #expect(try daemon.metadata("/1.0/instances/a/state")?["disk"]?["root"]?["total"] == .integer(1 << 20))
    #expect(try daemon.carryOut("/1.0/instances/a/snapshots", "POST", #"{"name":"s"}"#) == "")
    #expect(!FileManager.default.fileExists(atPath: home + "/disk.raw"))
    try daemon.write(4, at: 0, on: "a")
    #expect(
      try daemon.carryOut("/1.0/instances", "POST", #"{"name":"b","source":{"type":"copy","source":"a"}}"#)
        == "")
    #expect(try daemon.carryOut("/1.0/instances/a", "PUT", #"{"restore":"s"}"#) == "")
    #expect(
      try daemon.holds(3, at: 0, on: "a") && daemon.holds(4, at: 0, on: "b")
        && daemon.holds(3, at: 4096, on: "b"))
  }

  /// Files that the store does not know stay, for it may be one of yesterday; files that are missing are told of.
  @Test func saysWhatIsMissing() async throws {
    let daemon = try await start()
    _ = try daemon.carryOut("/1.0/instances", "POST", Self.post)
    #expect(try daemon.metadata("/1.0/instances/a")?["conditions"] == [])
    daemon.killNow()
    let (disk, stray) = (try daemon.disk(of: "a"), daemon.folder.path + "/layers/somebody's")
    try FileManager.default.moveItem(atPath: disk, toPath: stray)
    try await daemon.restart()
    let condition = try daemon.metadata("/1.0/instances/a")?["conditions"]?.array?.first
    #expect(condition?["reason"] == "LayerMissing" && condition?["message"]?.string?.contains(disk) == true)
    #expect(FileManager.default.fileExists(atPath: stray))
    let log = try String(contentsOfFile: daemon.folder.path + "/log", encoding: .utf8)
    #expect(log.contains("knows nothing of \(stray)"))
  }

  @Test func asksForRights() async throws {
    let daemon = try await start()
    _ = try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#)
    _ = try daemon.carryOut("/1.0/instances?project=lab", "POST", Self.post)
    _ = try daemon.carryOut("/1.0/instances", "POST", Self.post)
    _ = try daemon.curl("/1.0", "PATCH", body: #"{"config":{"core.https_address":"127.0.0.1:0"}}"#)
    let addresses = try daemon.metadata("/1.0")?["environment"]?["addresses"]
    let address = try #require(addresses?.array?.first?.string)
    func status(_ role: String, _ path: String, _ method: String, _ body: String) throws -> String {
      let post = #"{"name":"\#(role)\#(UUID().uuidString.prefix(8))","role":"\#(role)","projects":["lab"]}"#
      let token = try daemon.curl("/1.0/tokens", "POST", body: post).json["metadata"]?["token"]?.string ?? ""
      let answer = try run(
        "curl",
        [
          "-sS", "-k", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer \(token)", "-X",
          method, "--data-binary", body, "https://\(address)\(path)",
        ])
      return String(decoding: answer.output, as: UTF8.self)
    }
    let snapshots = "/1.0/instances/a/snapshots?project=lab"
    #expect(try status("monitor", snapshots, "POST", "{}") == "403")
    #expect(try status("monitor", snapshots, "GET", "") == "200")
    #expect(try status("operator", "/1.0/instances/a/snapshots", "POST", "{}") == "403")
    #expect(try status("operator", snapshots, "POST", "{}") == "202")
    // Of a project that one is not of, nothing is copied.
    let foreign = #"{"name":"b","source":{"type":"copy","source":"a","project":"default"}}"#
    #expect(try status("operator", "/1.0/instances?project=lab", "POST", foreign) == "403")
  }
}
