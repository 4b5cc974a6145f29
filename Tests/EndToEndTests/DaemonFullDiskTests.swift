import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// The disk that holds the daemon's data is full: what cannot be written down is refused in one line, what is
  /// there goes on, and nothing is lost or left.
  @Suite(.serialized, .runsPrograms, .mounts) struct DaemonFullDiskTests {
    @Test(.boots) func refusesAndGoesOn() throws {
      let (house, disk) = (try TestHouse(), try SmallDisk("size=320m"))
      let place = house.folder.path
      // From here on the house's folder is that disk.
      try #require(mount(disk.path, place, nil, UInt(MS_BIND), nil) == 0)
      defer { umount2(place, Int32(MNT_DETACH)) }
      try FileManager.default.createSymbolicLink(
        atPath: "\(place)/images", withDestinationPath: "\(Bench.data)/images")
      // An instance's disk is larger than this one; little of it is used.
      try house.expect(["config", "set", "core.overcommit_disk=100"])
      try house.expect(launch("one"))
      let pid = try house.instance("one").pid
      try #require(pid > 1)
      _ = try house.type("one", "echo here=$((40+2)) >/kept; sync; cat /kept", until: "here=42")

      let other = try Descriptor.open("\(place)/other", O_RDWR | O_CREAT, mode: 0o600)
      try fill(disk, with: other)
      try expectRefusals(house)
      try expectGoingOn(house)
      #expect(try house.instance("one").pid == pid)

      // Nor does a daemon that is killed need room to come back.
      try house.killDaemon()
      #expect(Bench.isAlive(pid))
      try fill(disk, with: other)
      #expect(try house.instance("one").pid == pid)
      try expectGoingOn(house)
      try expectRefusals(house)
      #expect(house.instanceFolders.count == 1)

      // There is room again, and a second one takes little of it.
      try other.truncate(to: 0)
      try house.expect(["config", "set", "one", "user.note=x"])
      #expect(try house.run(["config", "get", "one", "user.note"]).output == "x\n")
      #expect(try house.type("one", "cat /kept", until: "here=42").contains("here=42"))
      try house.expect(launch("two"))
      try house.expect(["delete", "two", "--force"])
      #expect(Bench.eventually { house.instanceFolders.count == 1 })
      // What makes room is not in want of it.
      try fill(disk, with: other)
      try house.expect(["stop", "one", "--force"])
      try other.truncate(to: 0)
      try house.expect(["start", "one"])
      #expect(try house.type("one", "cat /kept", until: "here=42").contains("here=42"))
      try fill(disk, with: other)
      try house.expect(["delete", "one", "--force"])
      try other.truncate(to: 0)
      try house.expect(launch("two"))
      try house.expect(["delete", "two", "--force"])
      #expect(house.instanceFolders == [])
      #expect(Bench.eventually { house.machines.isEmpty })
      #expect(Bench.eventually { disk.usedBytes < 16 << 20 }, "\(disk.content)")

      try house.endDaemon()
      let check = try ProgramRun(
        "sqlite3", ["\(place)/volary.db", "PRAGMA integrity_check; SELECT count(*) FROM instances"])
      #expect(try check.finish(within: 60).output == "ok\n0\n")
    }

    private func launch(_ name: String) -> [String] {
      ["launch", Bench.imageName, name, "--arch", "riscv64", "--memory", "128MiB", "-n", "none"]
    }

    /// It runs, or waits for room for what it writes by itself.
    private func expectGoingOn(_ house: TestHouse) throws {
      let list = try house.run(["list", "-f", "csv"]).output
      #expect(list.contains("one,RUNNING") || list.contains("one,FROZEN"), "\(list)")
    }

    /// Whatever would have to be written down.
    private func expectRefusals(_ house: TestHouse) throws {
      try expectRefusal(house, launch("two"))
      try expectRefusal(
        house, ["config", "set", "one", "user.note=\(String(repeating: "x", count: 5000))"])
      try expectRefusal(house, ["project", "create", "lab"])
      try expectRefusal(house, ["profile", "create", "small"])
      #expect(!(try house.run(["project", "list", "-f", "csv"]).output.contains("lab")))
      #expect(!(try house.run(["list", "-q"]).output.contains("two")))
    }

    private func expectRefusal(_ house: TestHouse, _ arguments: [String]) throws {
      let outcome = try house.run(arguments)
      #expect(
        outcome.code == 1 && outcome.errors.isOneLine(naming: house.folder.path, "make room"),
        "\(arguments.prefix(3)): \(outcome.code) \(outcome.errors)")
    }

    /// Takes what is free, to the last page; a guest may write meanwhile.
    private func fill(_ disk: SmallDisk, with file: Descriptor) throws {
      var end = lseek(file.raw, 0, SEEK_END)
      for _ in 0..<1000 {
        let free = off_t(disk.freeBytes)
        if free == 0 { return }
        if posix_fallocate(file.raw, end, free) == 0 { end += free }
      }
      Issue.record("the disk is not full: \(disk.freeBytes) bytes are free")
    }
  }
}
