import Foundation
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// A storage pool without room for what a guest writes: its machine stands still and says so, and goes on when there
  /// is some, and the guest saw nothing of it.
  @Suite(.serialized, .runsPrograms, .mounts) struct WantOfRoomTests {
    @Test(.boots) func machineWaitsForRoom() throws {
      let (house, disk) = (try TestHouse(), try SmallDisk("size=400m"))
      try house.expect(["config", "set", "core.overcommit_disk=100"])
      try house.expect(["storage", "create", "small", "dir", "source=\(disk.path)"])
      try house.expect([
        "launch", Bench.imageName, "one", "--arch", "riscv64", "--memory", "128MiB", "-n", "none", "-s",
        "small",
      ])
      _ = try house.type("one", "sync; echo up=$((40+2))", until: "up=42")

      // Room for a part of what it is about to write.
      let other = try Descriptor.open("\(disk.path)/other", O_RDWR | O_CREAT, mode: 0o600)
      try #require(posix_fallocate(other.raw, 0, off_t(disk.freeBytes) - 8 << 20) == 0)
      let work = "(head -c 32M /dev/urandom >/big; sha256sum /big >/sum; sync; echo fin >/fin; sync) &"
      _ = try house.type("one", "\(work) echo go=$((40+3))", until: "go=43")
      try #require(Bench.eventually { (try? house.instance("one").status) == "Frozen" })
      try expectStandstill(house)
      // Nor does a daemon that comes back take it for one that runs.
      try house.killDaemon()
      try expectStandstill(house)

      try other.truncate(to: 0)
      #expect(Bench.eventually { (try? house.instance("one").status) == "Running" })
      #expect((try house.get("/1.0/instances/one")["conditions"] as? [Any])?.isEmpty == true)
      let check =
        "while [ ! -e /fin ]; do sleep 1; done; sha256sum -c /sum; dmesg | grep -c 'I/O error'; echo end=$((40+4))"
      let seen = try house.type("one", check, until: "end=44")
      #expect(seen.contains("/big: OK") && seen.contains("\n0"), "\(seen)")
      try house.expect(["stop", "one", "--force"])
      for layer in try FileManager.default.contentsOfDirectory(atPath: "\(disk.path)/layers") {
        let path = "\(disk.path)/layers/\(layer)"
        guard try Descriptor.open(path, O_RDONLY).read(3, at: 0) == Array("QFI".utf8) else { continue }
        let outcome = try ProgramRun("qemu-img", ["check", path]).finish(within: 60)
        #expect(outcome.code == 0, "\(outcome.output)\(outcome.errors)")
      }
      try house.expect(["delete", "one"])
    }

    private func expectStandstill(_ house: TestHouse) throws {
      let instance = try house.get("/1.0/instances/one")
      #expect(instance["status"] as? String == "Frozen")
      let condition = (instance["conditions"] as? [[String: Any]])?.first
      #expect(condition?["type"] as? String == "DiskFull")
      #expect(
        condition?["message"] as? String
          == "the storage pool `small` has no room for what it writes to its disk, "
          + "and it stands still until there is some")
      let stop = try house.run(["stop", "one"])
      #expect(
        stop.code == 5 && stop.errors.isOneLine(naming: "`small` has no room", "make room", "--force"),
        "\(stop.code) \(stop.errors)")
      #expect(try house.run(["resume", "one"]).code == 5)
    }
  }
}
