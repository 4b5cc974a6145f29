import Foundation
import HostPrograms
import Testing
import VolaryAPI

/// Pools whose disks are the exports of a server, without machines: nbdkit, QEMU's server, and some that behave badly.
@Suite struct ServerPoolTests {
  private static let pools = "/1.0/storage-pools"
  private static let volumes = "/1.0/storage-pools/central/volumes/custom"

  /// A server's program with a socket and exports in a folder.
  private final class Server {
    let folder: TemporaryFolder
    private var run: ProgramRun
    var socket: String { folder.url.path + "/socket" }
    var source: String { "nbd+unix:///?socket=\(socket)" }

    init(_ arguments: [String], exports: [String: Int] = [:]) throws {
      folder = try TemporaryFolder()
      let place = folder.url.path
      for (name, size) in exports {
        try Data(count: size).write(to: folder.url.appendingPathComponent(name))
      }
      let run = try ProgramRun(
        arguments[0],
        arguments.dropFirst().map {
          $0.replacing("SOCKET", with: place + "/socket").replacing("FOLDER", with: place)
        }, lasts: true)
      self.run = run
      try run.awaitListener(at: socket)
    }

    static func nbdkit(_ exports: [String: Int]) throws -> Server {
      try Server(["nbdkit", "-f", "-U", "SOCKET", "file", "dir=FOLDER"], exports: exports)
    }

    /// Tests/NBD/server.
    static func behaving(_ behaviour: String) throws -> Server {
      let program = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../NBD/server").standardizedFileURL.path
      return try Server(
        ["python3", program, "SOCKET", "FOLDER/disk", behaviour, "1"], exports: ["disk": 1 << 20])
    }
  }

  private func start(_ server: Server) async throws -> TestDaemon {
    let folder = TestFolder()
    _ = try SmallImage(in: folder)
    let daemon = try await TestDaemon(folder: folder, program: "volaryd")
    #expect(try make(daemon, server.source) == "")
    return daemon
  }

  private func make(_ daemon: TestDaemon, _ source: String, name: String = "central", _ more: String = "")
    throws
    -> String
  {
    let body = #"{"name":"\#(name)","driver":"nbd","config":{"source":"\#(source)"\#(more)}}"#
    let answer = try daemon.curl(Self.pools, "POST", body: body)
    return answer.status == 201 ? "" : answer.json["error"]?.string ?? "\(answer.status)"
  }

  private func makeInstance(
    _ daemon: TestDaemon, _ name: String, _ devices: String = "", project: String = "default"
  ) throws -> String {
    try daemon.carryOut(
      "/1.0/instances?project=\(project)", "POST",
      #"{"name":"\#(name)","source":{"type":"image","alias":"small"},"devices":{"eth0":{"type":"none"}\#(devices)}}"#
    )
  }

  private func attach(
    _ daemon: TestDaemon, _ source: String, to instance: String, _ more: String = "",
    project: String = "default"
  ) throws -> String {
    let device = #"{"data":{"type":"disk","pool":"central","source":"\#(source)"\#(more)}}"#
    return try daemon.carryOut(
      "/1.0/instances/\(instance)?project=\(project)", "PATCH", #"{"devices":\#(device)}"#)
  }

  private func detach(_ daemon: TestDaemon, from instance: String) throws -> String {
    try daemon.carryOut("/1.0/instances/\(instance)", "PATCH", #"{"devices":{"data":{}}}"#)
  }

  private func error(_ daemon: TestDaemon, _ path: String, _ method: String = "GET", _ body: String? = nil)
    throws
    -> String
  {
    try daemon.curl(path, method, body: body).json["error"]?.string ?? ""
  }

  @Test func exportsAreVolumes() async throws {
    let server = try Server.nbdkit(["data": 1 << 20, "a b": 512, "more%2F": 2 << 20])
    let daemon = try await start(server)
    let pool = try daemon.metadata(Self.pools + "/central")
    #expect(pool?["driver"] == "nbd" && pool?["config"]?["source"] == .string(server.source))
    // What nobody could type is not shown; the rest with its size.
    let all = try daemon.metadata(Self.volumes + "?recursion=1")?.array ?? []
    #expect(all.map { $0["name"] } == ["data", "more%2F"])
    #expect(all.first?["config"]?["size"] == .string("\(1 << 20)"))
    #expect(all.first?["content_type"] == "block" && all.first?["type"] == "custom")
    #expect(
      try daemon.metadata(Self.volumes) == [
        .string(Self.volumes + "/data"), .string(Self.volumes + "/more%252F"),
      ])
    #expect(try daemon.metadata(Self.volumes + "/more%252F")?["config"]?["size"] == .string("\(2 << 20)"))
    #expect(try daemon.metadata(Self.volumes + "/data/state")?["usage"]?["total"] == .integer(1 << 20))
    #expect(try error(daemon, Self.volumes + "/moon").contains("gives no disk `moon`"))
    for part in ["snapshots", "backups"] {
      #expect(try daemon.metadata("\(Self.volumes)/data/\(part)") == [])
    }
    #expect(try error(daemon, Self.pools + "/central/resources").contains("how much room"))
    // What is said of it here.
    let config = #"{"description":"d","config":{"volary.format":"qcow2","user.x":"1"}}"#
    #expect(try daemon.curl(Self.volumes + "/data", "PATCH", body: config).status == 200)
    let changed = try daemon.metadata(Self.volumes + "/data")
    #expect(changed?["config"]?["volary.format"] == "qcow2" && changed?["description"] == "d")
    for (wrong, word) in [
      ("size\":\"2MiB", "the server alone"), ("volary.format\":\"vmdk", "raw or qcow2"),
      ("snapshots.expiry\":\"1d", "no key"), ("security.shared\":\"perhaps", "true or false"),
    ] {
      #expect(
        try error(daemon, Self.volumes + "/data", "PATCH", "{\"config\":{\"\(wrong)\"}}").contains(word))
    }
    #expect(try daemon.curl(Self.pools + "/central", "DELETE").status == 200)
    #expect(try daemon.sql("SELECT COUNT(*) FROM exports") == "0")
  }

  @Test func whatAServerAloneDoesIsRefused() async throws {
    let server = try Server.nbdkit(["data": 8 << 20])
    let daemon = try await start(server)
    let block = #"{"name":"new","type":"custom","content_type":"block"}"#
    let copy =
      #"{"name":"new","type":"custom","content_type":"block","source":{"type":"copy","name":"data","pool":"central"}}"#
    let requests: [(String, String, String?)] = [
      (Self.volumes, "POST", block), (Self.volumes, "POST", copy),
      (Self.volumes + "/data", "POST", #"{"name":"other"}"#), (Self.volumes + "/data", "DELETE", nil),
      (Self.volumes + "/data", "PUT", #"{"restore":"snap0"}"#),
      (Self.volumes + "/data/snapshots", "POST", #"{"name":"s"}"#),
      (Self.volumes + "/data/backups", "POST", #"{"name":"b"}"#),
    ]
    for (path, method, body) in requests {
      let answer = try daemon.curl(path, method, body: body)
      #expect(
        answer.status == 422
          && answer.json["error"]?.string?.contains("has the exports of a server: make") == true,
        "\(method) \(path): \(answer.status) \(answer.json)")
    }
    let root = #","root":{"type":"disk","path":"/","pool":"central"}"#
    #expect(try makeInstance(daemon, "a", root).contains("has the exports of a server: make"))
    #expect(try daemon.metadata(Self.volumes) == [.string(Self.volumes + "/data")])
    for (source, word) in [
      ("nbds://host", "no disks over TLS"), ("nbd://host/one", "without the name of one export"),
      ("/srv/disks", "names no server"),
      ("http://host", "not known here"), (server.source, "has that server already"),
    ] {
      #expect(try make(daemon, source, name: "two").contains(word), "\(source)")
    }
    #expect(try make(daemon, "nbd://host", name: "two", #","size":"1GiB""#).contains("no key `size`"))
    let moved = #"{"config":{"source":"nbd://elsewhere"}}"#
    #expect(try error(daemon, Self.pools + "/central", "PATCH", moved).contains("stays where it is"))
    #expect(
      try daemon.curl(Self.pools + "/central", "PATCH", body: #"{"config":{"user.x":"1"}}"#).status == 200)
  }

  @Test func oneMachineWrites() async throws {
    let server = try Server.nbdkit(["data": 8 << 20])
    let daemon = try await start(server)
    for name in ["a", "b"] { #expect(try makeInstance(daemon, name) == "") }
    #expect(try attach(daemon, "data", to: "a") == "")
    #expect(try attach(daemon, "data", to: "a") == "")
    #expect(try attach(daemon, "data", to: "b").contains("attached to the instance `a`"))
    #expect(
      try attach(daemon, "data", to: "b", #","readonly":"true""#).contains("attached to the instance `a`"))
    #expect(try daemon.metadata(Self.volumes + "/data")?["used_by"] == ["/1.0/instances/a"])
    #expect(try error(daemon, Self.pools + "/central", "DELETE").contains("used by /1.0/instances/a"))
    // Several may read it.
    #expect(try attach(daemon, "data", to: "a", #","readonly":"true""#) == "")
    #expect(try attach(daemon, "data", to: "b", #","readonly":"true""#) == "")
    #expect(try attach(daemon, "data", to: "a", #","readonly":"false""#).contains("`b`"))
    // Or write it, if somebody says so.
    let shared = #"{"config":{"security.shared":"true"}}"#
    #expect(try daemon.curl(Self.volumes + "/data", "PATCH", body: shared).status == 200)
    #expect(try attach(daemon, "data", to: "a", #","readonly":"false""#) == "")
    let single = #"{"config":{"security.shared":""}}"#
    #expect(try error(daemon, Self.volumes + "/data", "PATCH", single).contains("several instances"))
    #expect(try detach(daemon, from: "b") == "")
    #expect(try daemon.curl(Self.volumes + "/data", "PATCH", body: single).status == 200)

    // A server knows no projects, so they are let in by name.
    #expect(try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#).status == 201)
    #expect(try error(daemon, Self.volumes + "?project=lab").contains("not for the project `lab`"))
    #expect(try makeInstance(daemon, "c", project: "lab") == "")
    #expect(try attach(daemon, "other", to: "c", project: "lab").contains("not for the project `lab`"))
    let both = #"{"config":{"volary.projects":"default, lab"}}"#
    #expect(try daemon.curl(Self.pools + "/central", "PATCH", body: both).status == 200)
    #expect(try attach(daemon, "data", to: "c", project: "lab").contains("of the project `default`"))
    #expect(try detach(daemon, from: "a") == "")
    #expect(try attach(daemon, "data", to: "c", project: "lab") == "")
    #expect(try daemon.metadata(Self.volumes + "/data")?["used_by"] == [])
    // An instance that starts asks its server.
    #expect(
      try daemon.carryOut("/1.0/instances/c/state?project=lab", "PUT", #"{"action":"start"}"#) != "")
  }

  /// QEMU's server lists its one disk; another lists none, and has one by its name.
  @Test func otherServers() async throws {
    let qemu = try Server(
      ["qemu-nbd", "-k", "SOCKET", "-t", "-f", "raw", "-x", "disk1", "FOLDER/disk"],
      exports: ["disk": 3 << 20])
    var daemon = try await start(qemu)
    #expect(
      try daemon.metadata(Self.volumes + "?recursion=1")?.array?.map { $0["config"]?["size"] } == ["3145728"])
    let silent = try Server.behaving("well")
    daemon = try await start(silent)
    #expect(try daemon.metadata(Self.volumes) == [])
    #expect(try daemon.metadata(Self.volumes + "/any")?["config"]?["size"] == "1048576")
    #expect(try makeInstance(daemon, "a") == "")
    #expect(try attach(daemon, "any", to: "a") == "")
    #expect(try daemon.metadata(Self.volumes) == [.string(Self.volumes + "/any")])
  }

  /// A server may be anything, and its daemon answers.
  @Test(arguments: ["says-nothing", "greets-with-noise", "option-of-4-GiB", "options-without-end", "mutates"])
  func aServerMayBehaveBadly(_ behaviour: String) async throws {
    let daemon = try await start(try Server.behaving(behaviour))
    let answer = try daemon.curl(Self.volumes)
    #expect(answer.status == 409 || behaviour == "mutates" && answer.status == 200, "\(answer.json)")
    #expect(try daemon.curl("/1.0").status == 200)
  }

  @Test func aServerMayBeAway() async throws {
    let folder = TestFolder()
    let daemon = try await TestDaemon(folder: folder, program: "volaryd")
    #expect(try make(daemon, "nbd+unix:///?socket=/nonexistent/socket") == "")
    #expect(try error(daemon, Self.volumes).contains("cannot be asked"))
    #expect(try daemon.metadata(Self.pools + "/central")?["status"] == "Created")
  }
}
