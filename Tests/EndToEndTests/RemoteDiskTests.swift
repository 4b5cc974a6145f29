import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Disks of machines that servers have, by the Network Block Device protocol.
  @Suite(.serialized, .boots) struct RemoteDiskTests {
    private static let size: Int64 = 96 << 20

    private func launch(_ house: TestHouse, _ name: String, _ more: [String] = []) throws {
      try house.expect(
        ["launch", Bench.imageName, name, "--arch", "riscv64", "--memory", "192MiB", "-n", "none"] + more)
    }

    private func house(_ server: DiskServer) throws -> TestHouse {
      let house = try TestHouse()
      try house.expect(["storage", "create", "central", "nbd", "source=\(server.source)"])
      return house
    }

    private func isLost(_ house: TestHouse, _ name: String) throws -> Bool {
      let all = try house.get("/1.0/instances/\(name)")["conditions"] as? [[String: Any]] ?? []
      return all.contains { $0["type"] as? String == "DiskUnreachable" }
    }

    /// Two daemons use the disks of one server, one after the other.
    @Test func severalHostsReachADisk() throws {
      let server = try DiskServer.nbdkit(["data": Self.size, "more": 1 << 20])
      let (one, two) = (try house(server), try house(server))
      #expect(try one.run(["storage", "volume", "list", "central", "-f", "csv"]).output.contains("data"))
      try launch(one, "a", ["--stopped"])
      try one.expect(["storage", "volume", "attach", "central", "moon", "a"], code: 4, naming: "moon")
      try one.expect(["storage", "volume", "attach", "central", "data", "a"])
      try one.expect(["start", "a"])
      let script =
        "mkfs.ext4 -q /dev/vdb; mount /dev/vdb /mnt; "
        + "echo kept=$((40+2)) >/mnt/kept; umount /mnt; echo is=$((50+1))"
      #expect(try one.type("a", script, until: "is=51").contains("is=51"))
      try one.expect(
        ["storage", "volume", "detach", "central", "data", "a"], code: 5, naming: "stop it first")
      try one.expect(["stop", "a", "--force"])
      try one.expect(["storage", "volume", "detach", "central", "data", "a"])

      try launch(two, "b", ["--stopped"])
      try two.expect(["storage", "volume", "attach", "central", "data", "b", "--readonly"])
      try two.expect(["start", "b"])
      let read = "mount -o ro /dev/vdb /mnt; cat /mnt/kept"
      #expect(try two.type("b", read, until: "kept=42").contains("kept=42"))
      // Memory is not kept with what others may change.
      try two.expect(["snapshot", "create", "b", "--stateful"], code: 2, naming: "volumes")
      try two.expect(["snapshot", "create", "b"])
      try two.expect(["delete", "b", "--force"])
    }

    /// The server is killed and started again while a guest writes, and so is the daemon: what was flushed is there,
    /// and the guest goes on.
    @Test func aServerMayGoAndComeBack() throws {
      let server = try DiskServer.nbdkit(["data": Self.size])
      let house = try house(server)
      try launch(house, "a", ["--stopped"])
      try house.expect(["storage", "volume", "attach", "central", "data", "a"])
      try house.expect(["start", "a"])
      // Writes and flushes as fast as it can, until it is told to end; what has to be there is beside it.
      let script =
        "i=0; while ! test -e /tmp/stop; do i=$(((i+1)%40)); dd if=/dev/urandom of=/root/p bs=64k count=16 2>/dev/null; "
        + "dd if=/root/p of=/dev/vdb bs=64k seek=$((i*16)) conv=fsync,notrunc 2>/dev/null || echo lost=$((20+2)); "
        + "dd if=/root/p of=/root/all bs=64k seek=$((i*16)) conv=notrunc 2>/dev/null; done; "
        + "n=$(($(stat -c %s /root/all)/65536)); blockdev --flushbufs /dev/vdb; "
        + "dd if=/dev/vdb of=/root/back bs=64k count=$n iflag=direct 2>/dev/null; "
        + "for j in $(seq 16 16 $((n-1))); do cmp -s -n 1048576 -i $((j*65536)) /root/all /root/back || echo lost=$((20+2)) $j; "
        + "done; echo compared=$((n*1)); echo over=$((1+1))"
      _ = try house.type("a", "(\(script)) >/root/out 2>&1 & echo begun=$((1+2))", until: "begun=3")
      usleep(1_000_000)
      for _ in 0..<2 {
        server.kill()
        #expect(try Bench.eventually { try isLost(house, "a") })
        try server.start()
        #expect(try Bench.eventually { try !isLost(house, "a") })
      }
      // A daemon that comes later goes on with it, also where it was asked before it was there.
      try house.killDaemon()
      server.kill()
      usleep(500_000)
      #expect(try Bench.eventually { try isLost(house, "a") })
      try server.start()
      #expect(try Bench.eventually { try !isLost(house, "a") })
      try house.killDaemon()
      try house.expect(["list"])
      server.kill()
      #expect(try Bench.eventually { try isLost(house, "a") })
      try server.start()
      let answer = try house.type(
        "a",
        "touch /tmp/stop; while ! grep -q over=2 /root/out; do sleep 0.2; done; cat /root/out; echo end=$((3+4))",
        until: "end=7")
      #expect(answer.contains("compared=") && !answer.contains("lost=22"), "\(answer)")
      #expect(try !isLost(house, "a"))
      try house.expect(["delete", "a", "--force"])
      let log = try String(contentsOfFile: "\(house.folder.path)/volaryd.log", encoding: .utf8)
      #expect(log.contains("has lost its server") && log.contains("has its server again"))
    }

    /// What a server does that is in the place of a machine's: the guest sees errors, and its machine goes on.
    @Test(arguments: ["answers-noise", "hangs-up", "chunk-of-4-GiB", "answers-half"])
    func aMachineOutlivesItsServer(_ behaviour: String) throws {
      let server = try DiskServer.behaving(behaviour, bytes: 8 << 20)
      let script =
        "dd if=/dev/vdb of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || echo refused=$((40+2)); "
        + "dd if=/dev/zero of=/dev/vdb bs=4k count=1 oflag=direct 2>/dev/null || echo denied=$((40+3))"
      let run = try VolaryRun(
        [
          "run", "--arch", "riscv64", Bench.imageName, "--network", "none", "--disk", server.location("disk"),
          "--", "sh", "-c", script,
        ], environment: ["VOLARY_NBD_PATIENCE": "1000"])
      let outcome = try run.finish(within: 250)
      #expect(
        outcome.code == 0 && outcome.output == "refused=42\ndenied=43\n", "\(outcome.output)\(outcome.errors)"
      )
      #expect(outcome.errors.contains("the guest sees input and output errors"))
    }

    /// A server that loses what it may, whenever it dies, every few requests: what was flushed is there.
    @Test func nothingFlushedIsLost() throws {
      let server = try DiskServer.behaving("dies", bytes: 8 << 20)
      let script =
        "for i in 1 2 3; do dd if=/dev/urandom of=/tmp/p bs=1M count=8 2>/dev/null; "
        + "dd if=/tmp/p of=/dev/vdb bs=16k conv=fsync 2>/dev/null || echo refused=$((40+2)); done; sha256sum </tmp/p"
      let outcome = try VolaryRun.job(
        script, options: ["--network", "none", "--disk", server.location("disk")]
      ).finish(within: 250)
      #expect(outcome.code == 0 && !outcome.output.contains("refused"), "\(outcome.output)\(outcome.errors)")
      #expect(outcome.output.contains(try server.checksum("disk", bytes: 8 << 20)))
    }

    /// `volary run` gets its machine new connections, too.
    @Test func aRunHasItsDiskOnAServer() throws {
      let server = try DiskServer.nbdkit(["data": 16 << 20, "small": 1 << 20])
      let script =
        "dd if=/dev/urandom of=/tmp/p bs=1M count=8 2>/dev/null; dd if=/tmp/p of=/dev/vdb bs=1M conv=fsync 2>/dev/null; "
        + "echo wrote=$((1+1)); read line; dd if=/dev/zero of=/dev/vdb bs=1M seek=8 count=1 conv=fsync 2>/dev/null && "
        + "sha256sum </tmp/p"
      let run = try VolaryRun.job(
        script, options: ["--network", "none", "--disk", "\(server.location("data")),cache=writethrough"])
      #expect(try run.run.awaitOutput("wrote=2", within: 200))
      server.kill()
      run.run.type("go\n")
      usleep(2_000_000)
      try server.start()
      let outcome = try run.finish(within: 200)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(outcome.output.contains(try server.checksum("data", bytes: 8 << 20)))
      #expect(
        outcome.errors.contains("has lost its server") && outcome.errors.contains("has its server again"))

      for (disk, word) in [
        (server.location("moon"), "moon"), ("nbds://localhost/data", "tunnel"),
        ("nbd+unix:///x?socket=/nonexistent", "cannot be reached"),
      ] {
        let refused = try VolaryRun([
          "run", Bench.imageName, "--arch", "riscv64", "--disk", disk, "--", "true",
        ])
        .finish(within: 100)
        #expect(refused.code != 0 && refused.errors.isOneLine(naming: word), "\(refused.errors)")
      }
    }
  }
}
