import Foundation
import HostPrograms
import Testing

extension EndToEndTests {
  /// Storage pools, over the command line.
  @Suite(.serialized, .boots) struct StorageTests {
    @Test func instancesLieInTheirPools() throws {
      let (house, place) = (try TestHouse(), TestFolder())
      let fast = "\(place.path)/ssd"
      try house.expect(
        ["storage", "create", "fast", "dir", "source=\(fast)"], code: 4, naming: "mkdir \(fast)")
      try FileManager.default.createDirectory(atPath: fast, withIntermediateDirectories: true)
      try house.expect(["storage", "create", "fast", "dir", "source=\(fast)", "user.disk=new"])
      try house.expect(["storage", "create", "fast", "dir"], code: 5, naming: "`fast` already")
      try house.expect(["storage", "create", "two", "dir", "source=\(fast)"], code: 5, naming: "`fast`")
      try house.expect(
        ["storage", "create", "two", "dir", "source=\(house.folder.path)/x"], code: 5, naming: "`default`")
      try house.expect(["storage", "create", "two", "zfs"], code: 2, naming: "dir")
      try house.expect(["storage", "create", "two", "dir", "source=ssd"], code: 2, naming: "from / on")
      try house.expect(["storage", "create", "two", "dir", "size=1GiB"], code: 2, naming: "no key `size`")

      let launch = ["launch", Bench.imageName, "a", "--arch", "riscv64", "--memory", "128MiB", "-n", "none"]
      try house.expect(launch + ["-s", "moon"], code: 4, naming: "moon")
      try house.expect(launch + ["-s", "fast", "--disk", "5GiB"])
      #expect(house.instanceFolders.count == 1)
      // The image's disk and the instance's own, and nothing in the daemon's pool.
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(fast)/layers").count == 2)
      #expect(!FileManager.default.fileExists(atPath: "\(house.folder.path)/layers"))
      #expect(
        try house.type("a", "echo here=$((40+2)) >/kept; sync; cat /kept", until: "here=42").contains(
          "here=42"))
      let space = try #require(try house.get("/1.0/storage-pools/fast/resources")["space"] as? [String: Int])
      #expect(space["promised"] == 5 << 30)
      let df = try ProgramRun("/bin/df", ["-B1", "--output=size,used", fast]).finish().output
        .split(separator: "\n").last.map { $0.split(separator: " ").compactMap { Int($0) } }
      #expect(space["total"] == df?[0])
      #expect(abs((space["used"] ?? 0) - (df?[1] ?? 0)) < 1 << 30)
      #expect(try house.run(["storage", "list", "-f", "csv"]).output.contains("fast,dir,\(fast),"))
      let volumes = try house.run(["query", "/1.0/storage-pools/fast/volumes?recursion=1"]).output
      #expect(volumes.contains(#""size" : "5368709120""#), "\(volumes)")
      try house.expect(["storage", "delete", "fast"], code: 5, naming: "/1.0/instances/a")
      try house.expect(["storage", "delete", "default"], code: 5, naming: "always there")
      try house.expect(["storage", "set", "fast", "source=/tmp"], code: 2, naming: "stays where it is")
      try house.expect(
        ["query", "-X", "PATCH", "/1.0/instances/a", "-d", #"{"devices":{"root":{}}}"#], code: 2,
        naming: "cannot be moved")

      // The daemon dies, the machine goes on; the disk is where it was.
      try house.killDaemon()
      #expect(try house.type("a", "cat /kept", until: "here=42").contains("here=42"))
      try house.expect(["stop", "a", "--force"])

      // The pool is gone, as when it is not mounted: what was in it stays, and says why it does not start.
      try house.endDaemon()
      try FileManager.default.moveItem(atPath: fast, toPath: fast + ".away")
      try FileManager.default.createDirectory(atPath: fast, withIntermediateDirectories: true)
      #expect(try house.run(["list", "-f", "csv"]).output.contains("perhaps not mounted"))
      for command in [
        ["start", "a"], ["delete", "a"],
        ["launch", "\(Bench.imageName)", "b", "--arch", "riscv64", "-s", "fast"],
      ] {
        try house.expect(command, code: 5, naming: "the storage pool `fast` is not there")
      }
      #expect(try house.run(["storage", "list", "-f", "csv"]).output.contains("UNAVAILABLE"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: fast) == [])
      try house.killDaemon()
      #expect(try house.run(["list", "-q"]).output == "a\n")
      try FileManager.default.removeItem(atPath: fast)
      try FileManager.default.moveItem(atPath: fast + ".away", toPath: fast)
      // It is looked at again after a moment.
      #expect(try Bench.eventually { try house.run(["start", "a"]).code == 0 })
      #expect(try house.type("a", "cat /kept", until: "here=42").contains("here=42"))
      try house.expect(["delete", "a", "--force"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(fast)/layers") == [])

      // By a profile; then nothing is left of the pool but its directory.
      try house.expect(["profile", "create", "ssd", "-d", "root,pool=fast"])
      try house.expect([
        "launch", Bench.imageName, "b", "--arch", "riscv64", "--stopped", "-p", "default", "-p", "ssd",
      ])
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(fast)/layers").count == 2)
      try house.expect(["profile", "remove", "b", "ssd"], code: 2, naming: "cannot be moved")
      try house.expect(["delete", "b"])
      try house.expect(["storage", "delete", "fast"], code: 5, naming: "/1.0/profiles/ssd")
      try house.expect(["profile", "delete", "ssd"])
      try house.expect(["storage", "delete", "fast"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: fast) == [])
    }
  }
}
