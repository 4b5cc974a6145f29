import Foundation
import HostPrograms
import HostSystem
import Testing
import VolaryAPI

/// Backups of a real daemon's instances, whose machines do not run; tar, QEMU and the programs that pack look into them.
@Suite struct BackupTests {
  private static let post = """
    {"name":"a","source":{"type":"image","alias":"small"},"description":"first","config":{"user.x":"1"},
    "devices":{"eth0":{"type":"nic","network":"nat","name":"eth0"}}}
    """

  private func start() async throws -> TestDaemon {
    let folder = TestFolder()
    _ = try SmallImage(in: folder)
    return try await TestDaemon(folder: folder, program: "volaryd")
  }

  /// An instance with a snapshot, and what was written before and after it.
  private func startWithInstance() async throws -> TestDaemon {
    let daemon = try await start()
    #expect(try daemon.carryOut("/1.0/instances", "POST", Self.post) == "")
    try daemon.write(7, at: 0, on: "a")
    #expect(
      try daemon.carryOut("/1.0/instances/a/snapshots", "POST", #"{"name":"s","description":"d"}"#) == "")
    #expect(try daemon.carryOut("/1.0/instances/a", "PATCH", #"{"config":{"user.x":"2"}}"#) == "")
    try daemon.write(8, at: 1 << 20, on: "a")
    return daemon
  }

  @Test(arguments: ["none", "gzip", "zstd", ""]) func comesBack(compression: String) async throws {
    let daemon = try await startWithInstance()
    let backups = "/1.0/instances/a/backups"
    #expect(try daemon.metadata(backups) == [])
    let post = #"{"name":"","compression_algorithm":"\#(compression)","expires_at":"2090-01-01T00:00:00Z"}"#
    let made = try daemon.curl(backups, "POST", body: post).json["metadata"]
    #expect(made?["resources"]?["backups"] == ["/1.0/instances/a/backups/backup0"])
    #expect(try await eventually { try daemon.metadata(backups) == ["/1.0/instances/a/backups/backup0"] })
    let one = try daemon.metadata(backups + "/backup0")
    #expect(one?["instance_only"] == false && one?["expires_at"] == "2090-01-01T00:00:00Z")
    let file = try daemon.fetch(backups + "/backup0/export", "backup")
    #expect(one?["size"]?.integer == Int64(try Data(contentsOf: URL(filePath: file)).count))

    // As others see it.
    let folder = daemon.folder.path + "/out"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let unpack = ["none": "cat", "gzip": "gzip -dc"][compression] ?? "zstd -dc"
    #expect(try run("sh", ["-c", "\(unpack) < \(file) | tar -C \(folder) -xf -"]).code == 0)
    let index = try APICoding.decode(
      JSONValue.self, from: Data(contentsOf: URL(filePath: folder + "/index.yaml")))
    #expect(index["name"] == "a" && index["pool"] == "default")
    #expect(index["instance"]?["config"]?["user.x"] == "2" && index["instance"]?["architecture"] == "riscv64")
    #expect(index["snapshots"]?.array?.first?["instance"]?["config"]?["user.x"] == "1")
    for name in ["disk.qcow2", "disk-0.qcow2"] {
      #expect(try run("qemu-img", ["check", "-f", "qcow2", "\(folder)/\(name)"]).code == 0, "\(name)")
    }
    // The second holds what was written since the first, and no more.
    #expect(try Data(contentsOf: URL(filePath: folder + "/disk.qcow2")).count == 6 << 16)
    let disk = ["-u", "-F", "qcow2", "-b", "disk-0.qcow2", folder + "/disk.qcow2"]
    #expect(try run("qemu-img", ["rebase", "-f", "qcow2"] + disk).code == 0)
    for (value, place) in [(7, 0), (8, 1 << 20), (1, 8192), (0, 4 << 20)] {
      let read = try run(
        "qemu-io", ["-r", "-f", "qcow2", "-c", "read -P \(value) \(place) 4096", folder + "/disk.qcow2"])
      #expect(read.code == 0 && !String(decoding: read.output, as: UTF8.self).contains("failed"), "\(place)")
    }

    // Under another name beside the first, and under its own when that is gone.
    let before = daemon.layerFiles.count
    #expect(try daemon.give(file, ["X-Incus-name": "b"]) == "")
    #expect(try daemon.give(file).contains("an instance `a` already"))
    #expect(
      try daemon.holds(7, at: 0, on: "b") && daemon.holds(8, at: 1 << 20, on: "b")
        && daemon.holds(1, at: 8192, on: "b"))
    let address = "volatile.eth0.hwaddr"
    let own = try daemon.metadata("/1.0/instances/a")?["config"]?[address]
    let other = try daemon.metadata("/1.0/instances/b")?["config"]?[address]
    #expect(own != nil && other != own)
    #expect(try daemon.metadata("/1.0/instances/b")?["config"]?["user.x"] == "2")
    #expect(try daemon.carryOut("/1.0/instances/a", "DELETE") == "")
    #expect(try daemon.give(file) == "")
    #expect(try daemon.metadata("/1.0/instances/a")?["config"]?[address] == own)
    #expect(try daemon.metadata("/1.0/instances/a")?["description"] == "first")
    try daemon.write(9, at: 0, on: "a")
    #expect(try daemon.carryOut("/1.0/instances/a", "PUT", #"{"restore":"s"}"#) == "")
    #expect(try daemon.holds(7, at: 0, on: "a") && daemon.holds(0, at: 1 << 20, on: "a"))
    #expect(try daemon.metadata("/1.0/instances/a")?["config"]?["user.x"] == "1")
    #expect(
      try daemon.metadata("/1.0/instances/a/snapshots?recursion=1")?.array?.first?["description"] == "d")
    // The first one's backup went with it.
    #expect(try daemon.metadata(backups) == [])
    #expect(daemon.exports == [] && before > 0)
    for name in ["a", "b"] { #expect(try daemon.carryOut("/1.0/instances/\(name)", "DELETE") == "") }
    #expect(daemon.layerFiles == [])
    #expect(try daemon.sql("SELECT (SELECT COUNT(*) FROM layers) + (SELECT COUNT(*) FROM backups)") == "0")
  }

  @Test func namesAndGoes() async throws {
    let daemon = try await startWithInstance()
    let backups = "/1.0/instances/a/backups"
    #expect(try daemon.carryOut(backups, "POST", #"{"name":"one","instance_only":true}"#) == "")
    #expect(try daemon.metadata(backups + "/one")?["instance_only"] == true)
    #expect(try daemon.carryOut(backups, "POST", #"{"name":"one"}"#).contains("`one` already"))
    #expect(try daemon.carryOut(backups, "POST", #"{"name":"../x"}"#).contains("letters, digits"))
    #expect(
      try daemon.carryOut(backups, "POST", #"{"compression_algorithm":"xz"}"#).contains("`xz`"))
    #expect(try daemon.carryOut(backups, "POST", #"{"optimized_storage":true}"#).contains("dir"))
    #expect(try daemon.carryOut(backups + "/one", "POST", #"{"name":"two"}"#) == "")
    #expect(try daemon.curl(backups + "/one").status == 404)
    #expect(try daemon.give(daemon.fetch(backups + "/two/export", "two"), ["X-Incus-name": "b"]) == "")
    #expect(try daemon.metadata("/1.0/instances/b/snapshots") == [])
    #expect(try daemon.holds(7, at: 0, on: "b") && daemon.holds(8, at: 1 << 20, on: "b"))
    #expect(try daemon.carryOut(backups + "/two", "DELETE") == "")
    #expect(try daemon.curl(backups + "/two/export").status == 404)
    #expect(daemon.exports == [])
    // Those whose time is over are gone when a daemon looks.
    let old = #"{"name":"old","expires_at":"2020-01-01T00:00:00Z"}"#
    #expect(try daemon.carryOut(backups, "POST", old) == "")
    daemon.killNow()
    try await daemon.restart()
    #expect(try await eventually { try daemon.exports == [] && daemon.metadata(backups) == [] })
  }

  /// To another pool, whose disk the default profile's is not.
  @Test func goesToOtherPools() async throws {
    let daemon = try await startWithInstance()
    #expect(
      try daemon.curl("/1.0/storage-pools", "POST", body: #"{"name":"fast","driver":"dir"}"#).status == 201)
    #expect(try daemon.carryOut("/1.0/instances/a/backups", "POST", #"{"name":"x"}"#) == "")
    let file = try daemon.fetch("/1.0/instances/a/backups/x/export", "x")
    #expect(try daemon.give(file, ["X-Incus-name": "b", "X-Incus-pool": "nothing"]).contains("`nothing`"))
    #expect(try daemon.give(file, ["X-Incus-name": "b", "X-Incus-pool": "fast"]) == "")
    #expect(try daemon.metadata("/1.0/instances/b")?["expanded_devices"]?["root"]?["pool"] == "fast")
    #expect(try daemon.carryOut("/1.0/instances/b", "PATCH", #"{"description":"x"}"#) == "")
    #expect(try daemon.curl("/1.0/storage-pools/fast", "DELETE").status == 409)
    #expect(try daemon.carryOut("/1.0/instances/b", "DELETE") == "")
    #expect(try daemon.curl("/1.0/storage-pools/fast", "DELETE").status == 200)
    #expect(!FileManager.default.fileExists(atPath: daemon.folder.path + "/storage-pools/fast"))
  }

  /// What is no backup, or not whole, or says what is not so, ends in one line and leaves nothing.
  @Test func refusesWhatIsWrong() async throws {
    let daemon = try await startWithInstance()
    #expect(
      try daemon.carryOut("/1.0/instances/a/backups", "POST", #"{"name":"x","compression_algorithm":"none"}"#)
        == "")
    let sound = try daemon.fetch("/1.0/instances/a/backups/x/export", "x")
    // What was kept for the backup is put together with what is above it.
    #expect(await eventually { daemon.layerFiles.count == 3 })
    let (layers, rows) = (daemon.layerFiles, try daemon.sql("SELECT COUNT(*) FROM layers"))
    let script = URL(filePath: #filePath).deletingLastPathComponent().path + "/../Backups/wrong-backups"
    let made = try run("python3", [script, sound, daemon.folder.path + "/wrong"])
    #expect(made.code == 0, "\(made.errors)")
    let cases = try FileManager.default.contentsOfDirectory(atPath: daemon.folder.path + "/wrong").sorted()
    #expect(cases.count > 20)
    for name in cases {
      let error = try daemon.give("\(daemon.folder.path)/wrong/\(name)", ["X-Incus-name": "b"])
      #expect(!error.isEmpty && !error.contains("\n") && error.utf8.count < 400, "\(name): \(error)")
      #expect(!error.contains("its log says more"), "\(name): \(error)")
      #expect(daemon.layerFiles == layers && daemon.exports.count == 1, "\(name)")
      #expect(try daemon.metadata("/1.0/instances") == ["/1.0/instances/a"], "\(name)")
    }
    #expect(try daemon.sql("SELECT COUNT(*) FROM layers") == rows)
    #expect(try daemon.sql("SELECT COUNT(*) FROM instances") == "1")
    // It is the script that makes them wrong.
    #expect(try daemon.give(sound, ["X-Incus-name": "b"]) == "")
  }

  /// What a daemon that dies leaves under way, the next one removes; what somebody else put there stays.
  @Test func leavesNothingWhenItDies() async throws {
    let daemon = try await startWithInstance()
    let backups = "/1.0/instances/a/backups"
    #expect(try daemon.carryOut(backups, "POST", #"{"name":"kept"}"#) == "")
    let file = try daemon.fetch(backups + "/kept/export", "kept")
    // A body that does not end.
    let upload = try ProgramRun(
      "sh",
      [
        "-c",
        "(cat \(file); sleep 1000) | exec curl -sS --unix-socket \(daemon.socket) -X POST -T - "
          + "-H 'Content-Type: application/octet-stream' http://localhost/1.0/instances",
      ], lasts: true)
    defer { upload.process.terminate() }
    #expect(await eventually { daemon.exports.contains { $0.hasSuffix(".import") } })
    daemon.killNow()
    let folder = daemon.folder.path + "/exports/"
    for name in ["1.new", "2.import", "2.import.tar", "somebody's"] {
      try Data("x".utf8).write(to: URL(filePath: folder + name))
    }
    // A backup that was being written, and an instance that was being made of one.
    let id = "11111111-2222-4333-8444-555555555555"
    try Data("x".utf8).write(to: URL(filePath: folder + id))
    try Data("x".utf8).write(to: URL(filePath: daemon.folder.path + "/layers/" + id))
    _ = try daemon.sql(
      """
      INSERT INTO backups (id, instance, name, pool, created_at, only, size, state)
        SELECT '\(id)', id, 'half', 'default', 0, 0, 0, 'making' FROM instances;
      INSERT INTO layers VALUES ('\(id)', 'default', NULL, 'raw', 512, 'making', NULL, 0, 3)
      """)
    try await daemon.restart()
    #expect(await eventually { daemon.exports.count == 2 && !daemon.layerFiles.contains(id) })
    #expect(daemon.exports.contains("somebody's"))
    #expect(try daemon.metadata(backups) == [.string(backups + "/kept")])
    #expect(try daemon.sql("SELECT COUNT(*) FROM backups") == "1")
  }

  @Test func asksForRights() async throws {
    let daemon = try await startWithInstance()
    _ = try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#)
    #expect(try daemon.curl("/1.0/instances/a/backups?project=lab").status == 404)
    #expect(try daemon.carryOut("/1.0/instances/a/backups", "POST", #"{"name":"x"}"#) == "")
    let file = try daemon.fetch("/1.0/instances/a/backups/x/export", "x")
    #expect(try daemon.give(file, path: "/1.0/instances?project=lab") == "")
    #expect(try daemon.metadata("/1.0/instances?project=lab") == ["/1.0/instances/a"])
    _ = try daemon.curl("/1.0/projects/lab", "PATCH", body: #"{"config":{"limits.instances":"1"}}"#)
    let error = try daemon.give(file, ["X-Incus-name": "b"], path: "/1.0/instances?project=lab")
    #expect(error.contains("limited to 1"))
    #expect(daemon.exports.count == 1)
  }
}

extension TestDaemon {
  /// What lies where backups are.
  var exports: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path + "/exports")) ?? []).sorted()
  }

  /// Writes the answer to a file in the daemon's folder, by curl(1), and returns its path.
  func fetch(_ path: String, _ name: String) throws -> String {
    let file = "\(folder.path)/\(name).file"
    let answer = try run(
      "curl", ["-sS", "-f", "--unix-socket", socket, "-o", file, "http://localhost\(path)"])
    if answer.code != 0 { throw APIError(.failed, answer.errors) }
    return file
  }

  /// Sends a file as octets, waits for the operation that it begins, and gives its error; empty when it was done.
  func give(
    _ file: String, _ headers: [String: String] = [:], path: String = "/1.0/instances"
  ) throws -> String {
    let all = headers.merging(["Content-Type": "application/octet-stream", "Expect": ""]) { $1 }
    let answer = try curl(path, "POST", headers: all, arguments: ["--data-binary", "@\(file)"])
    guard answer.json["type"] == "async", let operation = answer.json["operation"]?.string else {
      return answer.status < 300 ? "" : answer.json["error"]?.string ?? "\(answer.status)"
    }
    let ended = try curl("\(operation)/wait").json["metadata"]
    return ended?["status_code"] == 200 ? "" : ended?["err"]?.string ?? "?"
  }
}
