import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// Pools in two places: either is lost and comes back while a guest writes, and all that it has synced is there.
  @Suite(.serialized, .boots) struct MirrorTests {
    private let size: Int64 = 1 << 30

    /// A house with an instance `a` in a mirrored pool.
    private func settle(_ one: String, _ two: String, memory: String = "128MiB") throws -> TestHouse {
      let house = try TestHouse()
      try house.expect(["storage", "create", "safe", "--path", one, "--mirror", two])
      // The disk is larger than what holds it; little of it is used.
      try house.expect(["config", "set", "core.overcommit_disk=100"])
      try house.expect([
        "launch", Bench.imageName, "a", "--arch", "riscv64", "--memory", memory, "-n", "none", "-s", "safe",
      ])
      return house
    }

    /// Runs a command in a guest, once it listens.
    private func inside(_ house: TestHouse, _ command: String, of name: String = "a") throws -> String {
      var outcome = try house.run(["exec", name, "--", "sh", "-c", command])
      for _ in 0..<100 where outcome.code != 0 {
        usleep(500_000)
        outcome = try house.run(["exec", name, "--", "sh", "-c", command])
      }
      #expect(outcome.code == 0, "\(command): \(outcome.errors)")
      return outcome.output
    }

    /// Has a guest write a file, and returns what all of its files are.
    private func write(_ house: TestHouse, _ file: String, mebibytes: Int = 8) throws -> String {
      try inside(
        house,
        "dd if=/dev/urandom of=/kept-\(file) bs=1M count=\(mebibytes) 2>/dev/null; sync; sha256sum /kept-*")
    }

    private func conditions(_ house: TestHouse, _ name: String = "a") throws -> [String] {
      let all = try house.get("/1.0/instances/\(name)")["conditions"] as? [[String: Any]] ?? []
      return all.filter { $0["type"] as? String == "DiskDegraded" }.compactMap { $0["reason"] as? String }
    }

    private func layers(_ path: String) throws -> Set<String> {
      Set(try FileManager.default.contentsOfDirectory(atPath: "\(path)/layers"))
    }

    @Test(.loops) func aSideFailsAndComesBackWhileAGuestWrites() throws {
      let (one, two) = (try LoopDisk(bytes: size), try LoopDisk(bytes: size))
      let house = try settle(one.path, two.path)
      _ = try write(house, "1")
      #expect(try conditions(house) == [])
      let pid = try house.instance("a").pid
      // What is made while both are there is on both.
      try house.expect(["snapshot", "create", "a", "whole"])
      _ = try inside(house, "sync")
      #expect(try conditions(house) == [])
      #expect(try layers(one.path) == layers(two.path))

      // One side is gone. The guest notices nothing; who looks is told.
      try two.fail()
      _ = try write(house, "2")
      #expect(try conditions(house) == ["SideMissing"])
      #expect(try house.run(["list", "-f", "csv"]).output.contains("storage repair safe"))
      #expect(
        try house.run(["query", "/metrics"]).output.contains("volary_instance_disk_degraded{name=\"a\""))
      // Nobody holds it any more.
      try two.unmount()
      #expect(try house.run(["storage", "list", "-f", "csv"]).output.contains("DEGRADED"))
      try house.expect(["storage", "repair", "safe"], code: 5, naming: two.path)

      // Snapshots, copies and forks go on.
      try house.expect(["snapshot", "create", "a", "alone"])
      try house.expect(["copy", "a/alone", "b"])
      let sums = try write(house, "3")

      // It is back with what it held then; the daemon is killed amid it all.
      try two.mount()
      let repair = try house.begin(["storage", "repair", "safe"])
      try house.killDaemon()
      _ = try? repair.finish(within: 60)
      #expect(
        try Bench.eventually {
          let code = try house.run(["storage", "repair", "safe"]).code
          return try code == 0 && conditions(house) == []
        })
      #expect(try house.instance("a").pid == pid)
      #expect(try inside(house, "sha256sum /kept-*") == sums)
      #expect(try layers(one.path) == layers(two.path))

      // The other side is lost, and its machine with it: what came back is all there is.
      kill(pid, SIGKILL)
      #expect(try Bench.eventually { try house.instance("a").status == "Stopped" })
      try one.unmount()
      try house.expect(["start", "a"])
      #expect(try inside(house, "sha256sum /kept-*") == sums)
      #expect(try conditions(house) == ["SideMissing"])
      try house.expect(["start", "b"])
      #expect(
        try inside(house, "sha256sum /kept-*", of: "b")
          == sums.split(separator: "\n").dropLast().map { "\($0)\n" }.joined())
      try house.expect(["snapshot", "restore", "a", "alone"])
      let later = try write(house, "4")
      try house.expect(["stop", "b", "--force"])

      // Stale as it is, it is never read: it gets what it lacks, of machines that run and of those that do not.
      try one.mount()
      try house.expect(["storage", "repair", "safe"])
      #expect(try conditions(house) == [] && conditions(house, "b") == [])
      try house.expect(["stop", "a", "--force"])
      try two.unmount()
      try house.expect(["start", "a"])
      #expect(try inside(house, "sha256sum /kept-*") == later)
      try house.expect(["delete", "a", "b", "--force"])
      try two.mount()
      try house.expect(["storage", "repair", "safe"])
      #expect(try layers(one.path).isEmpty && layers(two.path).isEmpty)
      #expect(try FileManager.default.contentsOfDirectory(atPath: "\(house.folder.path)/mirrors") == [])
      try house.expect(["storage", "delete", "safe"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: two.path) == [])
    }

    @Test(.loops) func aRebuildIsCutShort() throws {
      let (one, two) = (try LoopDisk(bytes: size), try LoopDisk(bytes: size))
      let house = try settle(one.path, two.path)
      try two.fail()
      let sums = try write(house, "1", mebibytes: 200)
      try two.unmount()
      try two.mount()
      // The machine dies amid the rebuild, and the daemon.
      let repair = try house.begin(["storage", "repair", "safe"])
      _ = try Bench.eventually { try conditions(house) != ["SideMissing"] }
      kill(try house.instance("a").pid, SIGKILL)
      _ = try? repair.finish(within: 100)
      try house.killDaemon()
      // From the side that has everything.
      try house.expect(["start", "a"])
      #expect(try inside(house, "sha256sum /kept-*") == sums)
      #expect(
        try Bench.eventually {
          try house.run(["storage", "repair", "safe"]).code == 0 && conditions(house) == []
        })
      try house.expect(["stop", "a", "--force"])
      try one.unmount()
      try house.expect(["start", "a"])
      #expect(try inside(house, "sha256sum /kept-*") == sums)
    }

    @Test(.mounts) func aSideIsReplacedByAnEmptyDisk() throws {
      let (one, two) = (try SmallDisk("size=1g"), TestFolder())
      var second: SmallDisk? = try SmallDisk("size=1g")
      func bind() throws {
        let source = try #require(second).path
        try #require(mount(source, two.path, nil, UInt(MS_BIND), nil) == 0)
      }
      try bind()
      defer { umount2(two.path, Int32(MNT_DETACH)) }
      let house = try settle(one.path, two.path)
      try house.expect(["storage", "volume", "create", "safe", "data", "size=64MiB"])
      let sums = try write(house, "1")
      try house.expect(["storage", "repair", "--replace", "safe"], code: 5, naming: "both sides")
      try house.expect(["stop", "a", "--force"])
      try house.expect(["storage", "volume", "attach", "safe", "data", "a", "data"])

      // The disk is gone for good, and another is in its place: nothing is on it, and nobody takes it for the old one.
      umount2(two.path, Int32(MNT_DETACH))
      second = try SmallDisk("size=1g")
      try bind()
      try house.expect(["start", "a"])
      let data = try inside(
        house, "dd if=/dev/urandom of=/dev/vdb bs=1M count=4 conv=fsync 2>/dev/null; sha256sum /dev/vdb")
      #expect(try conditions(house) == ["SideMissing"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: two.path) == [])
      try house.expect(["storage", "repair", "safe"], code: 5, naming: "--replace")
      try house.expect(["storage", "repair", "--replace", "safe"])
      #expect(try conditions(house) == [])
      #expect(try layers(one.path) == layers(two.path))

      // From the new one alone.
      try house.expect(["stop", "a", "--force"])
      umount2(one.path, Int32(MNT_DETACH))
      try house.expect(["start", "a"])
      #expect(try inside(house, "sha256sum /kept-*") == sums)
      #expect(try inside(house, "sha256sum /dev/vdb") == data)
    }

    @Test(.runsPrograms) func refusesWhatMakesNoMirror() throws {
      let (house, place) = (try TestHouse(), TestFolder())
      let (one, two) = ("\(place.path)/one", "\(place.path)/two")
      try FileManager.default.createDirectory(atPath: one, withIntermediateDirectories: true)
      let create = ["storage", "create", "safe", "--path", one, "--mirror"]
      try house.expect(create + [two], code: 4, naming: "mkdir \(two)")
      // Nothing is left of the attempt.
      #expect(try FileManager.default.contentsOfDirectory(atPath: one) == [])
      try house.expect(create + [one], code: 5, naming: "one side")
      try house.expect(create + ["\(one)/in"], code: 5, naming: "one side")
      try house.expect(create + ["two"], code: 2, naming: "from / on")
      try FileManager.default.createDirectory(atPath: two, withIntermediateDirectories: true)
      try house.expect(create + [two])
      try house.expect(["storage", "create", "other", "--path", two], code: 5, naming: "`safe`")
      try house.expect(
        ["storage", "set", "safe", "volary.mirror=/tmp"], code: 2, naming: "stays where it is")
      try house.expect(["storage", "repair", "default"], code: 5, naming: "one place")
      try house.expect(["storage", "repair", "moon"], code: 4, naming: "`moon`")
      try house.expect(["storage", "repair", "safe"])
      try house.expect(["storage", "delete", "safe"])
      #expect(try FileManager.default.contentsOfDirectory(atPath: two) == [])
    }
  }
}
