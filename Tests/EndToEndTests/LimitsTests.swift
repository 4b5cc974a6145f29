import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// What machines may take of the host.
  @Suite(.serialized, .boots) struct LimitsTests {
    /// By the kernel or by the machine itself, and changed while it runs. Only what is too fast fails.
    @Test func ratesOfADiskAreHeld() throws {
      let house = try TestHouse()
      let launch = ["launch", Bench.imageName, "c", "--arch", "riscv64", "--memory", "128MiB", "-n", "none"]
      try house.expect(launch + ["-d", "root,io.cache=fast"], code: 2, naming: "io.cache")
      try house.expect(launch + ["-d", "root,io.cache=none", "-d", "root,limits.write=2MiB"])
      func seconds(_ command: String) throws -> Double {
        let started = ContinuousClock.now
        try house.expect(["exec", "c", "--", "sh", "-c", command])
        return (ContinuousClock.now - started) / .seconds(1)
      }
      // All but what an idle disk may do at once: a tenth of a second and one request.
      #expect(try seconds("dd if=/dev/zero of=/big bs=256k count=24 oflag=direct") > 2.6)
      #expect(try !house.run(["query", "/1.0/instances/c"]).output.contains("LimitsHeld"))
      let devices =
        #"{"devices":{"root":{"type":"disk","path":"/","pool":"default","limits.read":"100iops"}}}"#
      try house.expect(["query", "-X", "PATCH", "-d", devices, "/1.0/instances/c"])
      #expect(try seconds("dd if=/big of=/dev/null bs=4k count=200 iflag=direct") > 1.8)
      try house.expect(["delete", "c", "--force"])
    }

    /// Limits that this host may or may not hold: it says what it does not.
    @Test func limitsAreHeldOrSaidNotToBe() throws {
      let house = try TestHouse()
      for (key, value) in [
        ("limits.cpu.allowance", "half"), ("limits.cpu.priority", "11"), ("limits.disk.priority", "-1"),
      ] {
        try house.expect(
          ["launch", Bench.imageName, "c", "--arch", "riscv64", "-c", "\(key)=\(value)"], code: 2, naming: key
        )
      }
      try house.expect([
        "launch", Bench.imageName, "c", "--arch", "riscv64", "--memory", "128MiB", "-n", "none", "-c",
        "limits.cpu.priority=7",
      ])
      let pid = try house.instance("c").pid
      func group() throws -> String {
        let text = try String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8)
        return String(text.split(separator: "\n").first { $0.hasPrefix("0::") } ?? "")
      }
      func told() throws -> String { try house.run(["query", "/1.0/instances/c"]).output }
      let hasCPU = try !house.run(["doctor"]).output.contains(
        /no controller .*cpu|cgroup v2 is mounted nowhere|not delegated/)
      if hasCPU {
        #expect(try !told().contains("LimitsHeld"))
      } else {
        // Niceness is what is left.
        #expect(try !told().contains("LimitsHeld"))
        #expect(getpriority(Int32(PRIO_PROCESS.rawValue), UInt32(pid)) == 3)
      }
      try house.expect(["config", "set", "c", "limits.cpu.allowance=20ms/100ms"])
      let answer = try told()
      #expect(answer.contains("limits.cpu.allowance is not held") == !hasCPU, "\(answer)")
      try house.expect(["config", "unset", "c", "limits.cpu.allowance"])
      #expect(try !told().contains("LimitsHeld"))
      let inGroup = try group()
      try house.expect(["delete", "c", "--force"])
      if inGroup.contains("/volary/") {
        let root = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8).split(separator: "\n")
          .first { $0.contains(" - cgroup2 ") }?.split(separator: " ")[4]
        #expect(!FileManager.default.fileExists(atPath: "\(root ?? "")\(inGroup.dropFirst(3))"))
      }
    }
  }
}
