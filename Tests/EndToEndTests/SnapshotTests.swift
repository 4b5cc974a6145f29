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
