import Foundation
import HostPrograms
import Testing
import VolaryAPI

/// Volumes of a real daemon whose machines do not run; QEMU writes and reads them.
@Suite struct VolumeTests {
  private static let volumes = "/1.0/storage-pools/default/volumes/custom"

  private func start() async throws -> TestDaemon {
    let folder = TestFolder()
    _ = try SmallImage(in: folder)
    return try await TestDaemon(folder: folder, program: "volaryd")
  }

  private func make(_ daemon: TestDaemon, _ name: String, _ config: String = #""size":"8MiB""#) throws
    -> String
  {
    let body = #"{"name":"\#(name)","type":"custom","content_type":"block","config":{\#(config)}}"#
    let answer = try daemon.curl(Self.volumes, "POST", body: body)
    return answer.status == 201 ? "" : answer.json["error"]?.string ?? "\(answer.status)"
  }

  private func makeInstance(_ daemon: TestDaemon, _ name: String, _ devices: String = "") throws -> String {
    try daemon.carryOut(
      "/1.0/instances", "POST",
      #"{"name":"\#(name)","source":{"type":"image","alias":"small"},"devices":{"eth0":{"type":"none"}\#(devices)}}"#
    )
  }

  private static func device(_ source: String) -> String {
    #"{"devices":{"data":{"type":"disk","pool":"default","source":"\#(source)","path":""}}}"#
  }

  @Test func comesAndGoes() async throws {
    let daemon = try await start()
    #expect(try make(daemon, "data") == "")
    #expect(try make(daemon, "data").contains("a volume `data` already"))
    #expect(try make(daemon, "../x").contains("letters, digits"))
    #expect(try make(daemon, "x", #""size":"1""#).contains("cannot be the size"))
    #expect(try make(daemon, "x", #""block.filesystem":"ext4""#).contains("no key `block.filesystem`"))
    for kind in ["filesystem", "iso"] {
      let body = #"{"name":"x","type":"custom","content_type":"\#(kind)"}"#
      #expect(try daemon.curl(Self.volumes, "POST", body: body).json["error"]?.string?.contains(kind) == true)
    }
    let one = try daemon.metadata(Self.volumes + "/data")
    #expect(one?["config"]?["size"] == "8MiB" && one?["content_type"] == "block" && one?["used_by"] == [])
    let state = try daemon.metadata(Self.volumes + "/data/state")
    #expect(state?["usage"]?["total"] == .integer(8 << 20) && state?["usage"]?["used"] == .integer(0))
    #expect(try daemon.metadata(Self.volumes) == [.string(Self.volumes + "/data")])
    let promised = "/1.0/storage-pools/default/resources"
    #expect(try daemon.metadata(promised)?["space"]?["promised"] == .integer(8 << 20))
    // It becomes larger, and no smaller.
    #expect(
      try daemon.curl(Self.volumes + "/data", "PATCH", body: #"{"config":{"size":"12MiB"}}"#).status == 200)
    #expect(
      try daemon.curl(Self.volumes + "/data", "PATCH", body: #"{"config":{"size":"8MiB"}}"#).status == 400)
    #expect(try daemon.metadata(Self.volumes + "/data/state")?["usage"]?["total"] == .integer(12 << 20))
    #expect(try daemon.metadata(promised)?["space"]?["promised"] == .integer(12 << 20))
    let tag = try #require(try daemon.curl(Self.volumes + "/data").headers["etag"])
    let put = #"{"description":"d","config":{"size":"12MiB","user.x":"1"}}"#
    #expect(
      try daemon.curl(Self.volumes + "/data", "PUT", headers: ["If-Match": tag], body: put).status == 200)
    #expect(
      try daemon.curl(Self.volumes + "/data", "PUT", headers: ["If-Match": tag], body: put).status == 412)
    #expect(try daemon.curl(Self.volumes + "/data", "POST", body: #"{"name":"other"}"#).status == 200)
    #expect(try daemon.curl(Self.volumes + "/data").status == 404)
    #expect(try daemon.metadata(Self.volumes + "/other")?["description"] == "d")
    #expect(
      try daemon.curl("/1.0/projects/default", "PATCH", body: #"{"config":{"limits.disk":"14MiB"}}"#).status
        == 200)
    #expect(
      try make(daemon, "more").contains("limited to 14.0 MiB") || make(daemon, "more").contains("limited to"))
    #expect(try daemon.curl(Self.volumes + "/other", "DELETE").status == 200)
    #expect(try make(daemon, "more") == "")
    #expect(try daemon.curl(Self.volumes + "/more", "DELETE").status == 200)
    #expect(daemon.layerFiles == [])
    #expect(try daemon.sql("SELECT COUNT(*) FROM layers") == "0")
  }

  @Test func isAttachedToOne() async throws {
    let daemon = try await start()
    for name in ["a", "b"] { #expect(try makeInstance(daemon, name) == "") }
    for name in ["data", "more"] { #expect(try make(daemon, name) == "") }
    #expect(try daemon.carryOut("/1.0/instances/a", "PATCH", Self.device("nothing")).contains("`nothing`"))
    #expect(try daemon.carryOut("/1.0/instances/a", "PATCH", Self.device("data")) == "")
    #expect(try daemon.metadata(Self.volumes + "/data")?["used_by"] == ["/1.0/instances/a"])
    #expect(
      try daemon.carryOut("/1.0/instances/b", "PATCH", Self.device("data")).contains(
        "attached to the instance `a`"))
    let copy = #"{"name":"c","source":{"type":"copy","source":"a"}}"#
    #expect(try daemon.carryOut("/1.0/instances", "POST", copy).contains("attached to the instance `a`"))
    let second = String(Self.device("data").dropFirst(#"{"devices":{"#.count).dropLast(2))
    #expect(try makeInstance(daemon, "c", "," + second).contains("attached to the instance `a`"))
    for (method, body) in [("DELETE", ""), ("POST", #"{"name":"x"}"#)] {
      #expect(try daemon.curl(Self.volumes + "/data", method, body: body).status == 409)
    }
    #expect(try daemon.curl("/1.0/profiles/default", "PATCH", body: Self.device("data")).status == 400)
    let path = #"{"devices":{"x":{"type":"disk","pool":"default","source":"more","path":"/mnt"}}}"#
    #expect(try daemon.carryOut("/1.0/instances/a", "PATCH", path).contains("no path"))
    // A backup of an instance is of use beside it all the same.
    #expect(try daemon.carryOut("/1.0/instances/a/backups", "POST", #"{"name":"x"}"#) == "")
    #expect(
      try daemon.give(daemon.fetch("/1.0/instances/a/backups/x/export", "x"), ["X-Incus-name": "d"]) == "")
    #expect(try daemon.metadata("/1.0/instances/d")?["devices"]?["data"] == nil)
    #expect(try daemon.carryOut("/1.0/instances/d", "DELETE") == "")
    // Several may have one that is shared.
    let share = #"{"config":{"security.shared":"true"}}"#
    #expect(try daemon.curl(Self.volumes + "/data", "PATCH", body: share).status == 200)
    #expect(try daemon.carryOut("/1.0/instances/b", "PATCH", Self.device("data")) == "")
    let unshare = #"{"config":{"security.shared":""}}"#
    #expect(try daemon.curl(Self.volumes + "/data", "PATCH", body: unshare).status == 409)
    // It stays when an instance goes, and so does a project that has one.
    #expect(try daemon.carryOut("/1.0/instances/a", "DELETE") == "")
    #expect(try daemon.carryOut("/1.0/instances/b", "PATCH", #"{"devices":{"data":{}}}"#) == "")
    #expect(try daemon.metadata(Self.volumes + "/data")?["used_by"] == [])
    _ = try daemon.curl("/1.0/projects", "POST", body: #"{"name":"lab"}"#)
    let body = #"{"name":"data","content_type":"block","config":{"size":"1MiB"}}"#
    #expect(try daemon.curl(Self.volumes + "?project=lab", "POST", body: body).status == 201)
    #expect(try daemon.curl("/1.0/projects/lab", "DELETE").status == 409)
    #expect(try daemon.curl(Self.volumes + "/data?project=lab", "DELETE").status == 200)
    #expect(try daemon.curl("/1.0/projects/lab", "DELETE").status == 200)
  }

  @Test func isKeptAndCopied() async throws {
    let daemon = try await start()
    let (one, snapshots) = (Self.volumes + "/data", Self.volumes + "/data/snapshots")
    #expect(try make(daemon, "data") == "")
    try daemon.writeVolume(7, at: 0, on: "data")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"","expires_at":null}"#) == "")
    #expect(try daemon.metadata(snapshots) == [.string(snapshots + "/snap0")])
    try daemon.writeVolume(8, at: 0, on: "data")
    try daemon.writeVolume(9, at: 1 << 20, on: "data")
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"snap0"}"#).contains("already"))
    #expect(try daemon.carryOut(snapshots, "POST", #"{"name":"two"}"#) == "")
    func copy(_ name: String, _ of: String) throws -> String {
      try daemon.carryOut(
        Self.volumes, "POST",
        #"{"name":"\#(name)","type":"custom","content_type":"block","source":{"type":"copy","name":"\#(of)","pool":"default"}}"#
      )
    }
    #expect(try copy("b", "data") == "")
    #expect(try copy("c", "data/snap0") == "")
    #expect(try copy("d", "data/none").contains("no snapshot `none`"))
    #expect(try copy("b", "data").contains("already"))
    #expect(try daemon.curl(one, "PATCH", body: #"{"config":{"size":"16MiB"}}"#).status == 200)
    try daemon.writeVolume(5, at: 12 << 20, on: "data")
    #expect(try daemon.volumeHolds(8, at: 0, on: "b") && daemon.volumeHolds(9, at: 1 << 20, on: "b"))
    #expect(try daemon.volumeHolds(7, at: 0, on: "c") && daemon.volumeHolds(0, at: 1 << 20, on: "c"))
    #expect(try daemon.metadata(Self.volumes + "/b/snapshots")?.array?.count == 2)
    #expect(try daemon.curl(one, "PUT", body: #"{"restore":"snap0"}"#).status == 200)
    #expect(try daemon.volumeHolds(7, at: 0, on: "data") && daemon.volumeHolds(0, at: 12 << 20, on: "data"))
    #expect(try daemon.metadata(one + "/state")?["usage"]?["total"] == .integer(16 << 20))
    #expect(try daemon.carryOut(snapshots + "/snap0", "DELETE") == "")
    #expect(try daemon.volumeHolds(7, at: 0, on: "data") && daemon.volumeHolds(7, at: 0, on: "c"))
    // Out of the daemon, and back under another name.
    try daemon.writeVolume(4, at: 4 << 20, on: "data")
    #expect(try daemon.carryOut(one + "/backups", "POST", #"{"name":"x"}"#) == "")
    let file = try daemon.fetch(one + "/backups/x/export", "x")
    #expect(try daemon.give(file, path: Self.volumes).contains("already"))
    #expect(try daemon.give(file).contains("a backup of a volume"))
    #expect(try daemon.give(file, ["X-Incus-name": "e"], path: Self.volumes) == "")
    #expect(try daemon.volumeHolds(4, at: 4 << 20, on: "e") && daemon.volumeHolds(7, at: 0, on: "e"))
    #expect(
      try daemon.metadata(Self.volumes + "/e/snapshots") == [.string(Self.volumes + "/e/snapshots/two")])
    #expect(try daemon.curl(Self.volumes + "/e", "PUT", body: #"{"restore":"two"}"#).status == 200)
    #expect(try daemon.volumeHolds(9, at: 1 << 20, on: "e") && daemon.volumeHolds(0, at: 4 << 20, on: "e"))
    daemon.killNow()
    try await daemon.restart()
    #expect(try daemon.volumeHolds(9, at: 1 << 20, on: "e") && daemon.volumeHolds(8, at: 0, on: "b"))
    for name in ["data", "b", "c", "e"] {
      #expect(try daemon.curl(Self.volumes + "/" + name, "DELETE").status == 200)
    }
    #expect(daemon.layerFiles == [] && daemon.exports == [])
    #expect(try daemon.sql("SELECT (SELECT COUNT(*) FROM layers) + (SELECT COUNT(*) FROM backups)") == "0")
  }
}

extension TestDaemon {
  private func volumeDisk(_ name: String) throws -> (file: String, format: String) {
    let row = try sql(
      "SELECT layers.id || ' ' || format FROM volumes JOIN layers ON layer = layers.id WHERE name = '\(name)'"
    )
    let words = row.split(separator: " ").map(String.init)
    guard words.count == 2 else { throw APIError(.failed, "no volume \(name)") }
    return ("\(folder.path)/layers/\(words[0])", words[1])
  }

  func writeVolume(_ value: Int, at offset: Int, on name: String) throws {
    let disk = try volumeDisk(name)
    let done = try run("qemu-io", ["-f", disk.format, "-c", "write -P \(value) \(offset) 4096", disk.file])
    if done.code != 0 { throw APIError(.failed, done.errors) }
  }

  func volumeHolds(_ value: Int, at offset: Int, on name: String) throws -> Bool {
    let disk = try volumeDisk(name)
    let done = try run(
      "qemu-io", ["-r", "-f", disk.format, "-c", "read -P \(value) \(offset) 4096", disk.file])
    return done.code == 0 && !String(decoding: done.output, as: UTF8.self).contains("failed")
  }
}
