import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// Snapshots and copies of instances that run, over the command line.
  @Suite(.serialized, .boots) struct SnapshotTests {
    @Test func aMachineIsKeptWhileItRuns() throws {
      let house = try TestHouse()
      try house.expect([
        "launch", Bench.imageName, "a", "--arch", "riscv64", "--memory", "128MiB", "-n", "none",
      ])
      #expect(
        try house.type("a", "echo is=$((40+1)) >/kept; sync; cat /kept", until: "is=41").contains("is=41"))
      try house.expect(["snapshot", "create", "a"])
      #expect(
        try house.type("a", "echo is=$((40+2)) >/kept; sync; cat /kept", until: "is=42").contains("is=42"))
      // Of a machine that runs, as if its power had been cut.
      try house.expect(["copy", "a", "b", "--start"])
      #expect(try house.type("b", "cat /kept", until: "is=42").contains("is=42"))
      try house.expect(["copy", "a/snap0", "c"])
      try house.expect(["stop", "b", "--force"])

      // The daemon dies, the machine goes on in its new file.
      try house.killDaemon()
      #expect(
        try house.type("a", "echo is=$((40+3)) >/kept; sync; cat /kept", until: "is=43").contains("is=43"))
      try house.expect(["snapshot", "create", "a", "late"])
      #expect(try house.run(["list", "-f", "csv", "-c", "nS"]).output.hasSuffix("a,2\nb,1\nc,0\n"))

      // One that runs is ended, put back and started again.
      try house.expect(["snapshot", "restore", "a", "snap0"])
      #expect(try house.instance("a").status == "Running")
      #expect(try house.type("a", "cat /kept", until: "is=41").contains("is=41"))
      try house.expect(["stop", "a", "--force"])
      try house.expect(["snapshot", "restore", "a", "late"])
      try house.expect(["snapshot", "delete", "a", "snap0", "late"])
      try house.expect(["start", "a"])
      #expect(try house.type("a", "cat /kept", until: "is=43").contains("is=43"))
      try house.expect(["delete", "a", "--force"])
      try house.expect(["start", "c"])
      #expect(try house.type("c", "cat /kept", until: "is=41").contains("is=41"))
      // A larger disk shows with the next start.
      try house.expect(["stop", "c", "--force"])
      try house.expect(["query", "-X", "PATCH", "/1.0/instances/c", "-d", Self.larger])
      try house.expect(["start", "c"])
      let size = try house.type("c", "echo size=$(($(cat /sys/block/vda/size)/2048))", until: "size=6144")
      #expect(size.contains("size=6144"))
      try house.expect(["delete", "b", "c", "--force"])
      let layers = "\(house.folder.path)/layers"
      #expect(try FileManager.default.contentsOfDirectory(atPath: layers) == [])
    }

    /// More snapshots than a disk may stand on, each kept for a while, of a machine that never ends: what nobody needs
    /// any more is put together beneath it.
    @Test func snapshotsComeAndGoForEver() throws {
      let house = try TestHouse()
      try house.expect([
        "launch", Bench.imageName, "a", "--arch", "riscv64", "--memory", "128MiB", "-n", "none",
      ])
      let work = "while [ ! -e /stop ]; do head -c 300K /dev/urandom >>/big; sha256sum /big >/sum; sync; done"
      _ = try house.type("a", "(\(work); echo >/stopped) & echo is=$((40+1))", until: "is=41")
      let pid = try house.instance("a").pid
      let kept = 3
      for round in 0..<40 {
        try house.expect(["snapshot", "create", "a", "s\(round)"])
        if round >= kept { try house.expect(["snapshot", "delete", "a", "s\(round - kept)"]) }
        if round == 25 { try house.killDaemon() }
      }
      let layers = "\(house.folder.path)/layers"
      func count() -> Int { (try? FileManager.default.contentsOfDirectory(atPath: layers).count) ?? 0 }
      #expect(Bench.eventually { count() <= 14 }, "\(count())")
      let check =
        "touch /stop; while [ ! -e /stopped ]; do sleep 1; done; sha256sum -c /sum; echo is=$((40+2))"
      #expect(try house.type("a", check, until: "is=42").contains("/big: OK"))
      #expect(try house.instance("a").pid == pid)
      // Without a machine more is put together: the disk, its snapshots, and the image.
      try house.expect(["restart", "a", "--force"])
      #expect(
        try house.type("a", "sha256sum -c /sum; echo is=$((40+3))", until: "is=43").contains("/big: OK"))
      try house.expect(["stop", "a", "--force"])
      #expect(Bench.eventually { count() == kept + 2 }, "\(count())")
      try house.expect(["snapshot", "restore", "a", "s39"])
      try house.expect(["start", "a"])
      #expect(try house.type("a", "ls /big; echo is=$((40+4))", until: "is=44").contains("/big"))
      try house.expect(["delete", "a", "--force"])
    }

    private static let larger =
      #"{"devices":{"root":{"type":"disk","path":"/","pool":"default","size":"6GiB"}}}"#

    /// A daemon that is killed again and again amid snapshots and copies; `make soak` has hundreds of rounds.
    @Test func nothingIsLostWhenItIsKilled() throws {
      let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Soak/snapshots")
      let outcome = try ProgramRun(
        "/usr/bin/env",
        ["python3", script.path(percentEncoded: false), "--programs", Bench.programs, "--rounds", "8"]
      ).finish(within: 400)
      #expect(
        outcome.code == 0 && outcome.output.contains("nothing lost"), "\(outcome.output)\(outcome.errors)")
    }
  }
}
