import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// What becomes of instances when the host comes up and goes down.
  @Suite(.serialized, .boots) struct HostBootTests {
    /// As if the host had been started anew since the last daemon: by the boot's identity it knows.
    private func boot(_ house: TestHouse) throws {
      try "another\n".write(toFile: "\(house.folder.path)/instances/boot", atomically: true, encoding: .utf8)
    }

    private func startedAt(_ house: TestHouse, _ name: String) throws -> String? {
      try house.get("/1.0/instances/\(name)/state")["started_at"] as? String
    }

    @Test func theyStartInOrder() throws {
      let house = try TestHouse(withTinyImage: ())
      let launch = ["launch", "tiny", "--stopped", "-n", "none"]
      try house.expect(["profile", "create", "first", "boot.autostart.priority=10", "boot.autostart.delay=2"])
      try house.expect(launch + ["late", "-c", "boot.autostart=true"])
      try house.expect(launch + ["early", "-c", "boot.autostart=true", "-p", "default", "-p", "first"])
      try house.expect(launch + ["middle", "-c", "boot.autostart=true", "-c", "boot.autostart.priority=3"])
      try house.expect(launch + ["never", "-c", "boot.autostart=false"])
      try house.expect(launch + ["unasked"])
      try house.expect(["launch", "tiny", "ran", "-n", "none"])
      try house.expect(["launch", "tiny", "ran-but-not-again", "-n", "none", "-c", "boot.autostart=false"])
      try house.endDaemon()
      // The host's end is the machines'.
      for pid in house.machines { kill(pid, SIGKILL) }
      #expect(Bench.eventually { house.machines.isEmpty })
      try boot(house)
      #expect(
        try Bench.eventually {
          try ["early", "middle", "late", "ran"].allSatisfy { try house.instance($0).status == "Running" }
        })
      let times = try ["early", "late", "middle", "ran"].map { try #require(try startedAt(house, $0)) }
      // By priority, then by name.
      #expect(times[0] < times[2] && times[2] < times[1] && times[1] < times[3], "\(times)")
      let dates = times.map {
        (try? Date($0, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
      }
      if let early = dates[0], let middle = dates[2] {
        #expect(middle.timeIntervalSince(early) >= 2)
      } else {
        Issue.record("\(times) are no times")
      }
      for name in ["never", "unasked", "ran-but-not-again"] {
        #expect(try house.instance(name).status == "Stopped", "\(name)")
      }
      #expect(try house.instance("ran-but-not-again").exit == "host-restarted")
    }

    /// A service that is restarted leaves machines alone; a host that goes down has them end first, and they run again
    /// with it.
    @Test func theyEndWithTheHostAndNotWithTheDaemon() throws {
      let house = try TestHouse()
      // In the place of systemd: says what the test wants.
      let says = "\(house.folder.path)/says"
      try FileManager.default.createDirectory(
        atPath: "\(house.folder.path)/bin", withIntermediateDirectories: true)
      let systemctl = "\(house.folder.path)/bin/systemctl"
      try "#!/bin/sh\n[ \"$*\" = is-system-running ] && cat \(says)\n".write(
        toFile: systemctl, atomically: true, encoding: .utf8)
      chmod(systemctl, 0o755)
      try "running\n".write(toFile: says, atomically: true, encoding: .utf8)
      house.additions = [
        "VOLARY_SERVICE": "system",
        "PATH": "\(house.folder.path)/bin:\(Bench.environment["PATH"] ?? "/usr/bin:/bin")",
      ]
      let launch = ["launch", Bench.imageName, "--arch", "riscv64", "--memory", "128MiB", "-n", "none"]
      try house.expect(launch + ["web"])
      try house.expect(launch + ["frozen", "-c", "boot.stop.priority=5"])
      _ = try house.type("web", "echo up=$((1+1))", until: "up=2")
      _ = try house.type("frozen", "echo up=$((1+1))", until: "up=2")
      try house.expect(["pause", "frozen"])
      let web = try house.instance("web").pid
      try house.endDaemon()
      #expect(Bench.isAlive(web))
      #expect(try house.instance("web").pid == web)
      // Images' first process hears only the daemon that started it.
      try house.expect(["restart", "web", "--force"])
      _ = try house.type("web", "echo up=$((1+1))", until: "up=2")

      try "stopping\n".write(toFile: says, atomically: true, encoding: .utf8)
      try house.endDaemon(within: 90)
      #expect(!Bench.isAlive(web))
      try "running\n".write(toFile: says, atomically: true, encoding: .utf8)
      for name in ["web", "frozen"] {
        let object = try house.get("/1.0/instances/\(name)")
        let exit = object["exit"] as? [String: Any]
        #expect(exit?["reason"] as? String == "host-shutdown")
        #expect(
          (exit?["message"] as? String)?.contains("was asked to end, and did") == true,
          "\(name): \(exit ?? [:])")
      }
      try house.endDaemon()
      try boot(house)
      #expect(
        try Bench.eventually {
          try ["web", "frozen"].allSatisfy { try house.instance($0).status == "Running" }
        })
      for name in ["web", "frozen"] { try house.expect(["delete", name, "--force"]) }
    }
  }
}
