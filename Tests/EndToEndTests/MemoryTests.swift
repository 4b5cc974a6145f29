import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// Memory that comes back from guests that run.
  @Suite(.serialized, .boots) struct MemoryTests {
    private func launch(_ house: TestHouse, _ name: String) throws {
      try house.expect([
        "launch", Bench.imageName, name, "--arch", "riscv64", "--memory", "768MiB", "-n", "none",
      ])
    }

    /// What a guest freed is not the machine's for long (`VIRTIO_BALLOON_F_PAGE_REPORTING`).
    @Test func freeMemoryComesBack() throws {
      let house = try TestHouse()
      try launch(house, "a")
      _ = try house.type(
        "a", "mkdir /t; mount -t tmpfs none /t; head -c 400M /dev/zero >/t/x; sync; echo full=$((1+1))",
        until: "full=2")
      let full = try house.memory("a")
      #expect(full.usage > 400 << 20, "\(full)")
      _ = try house.type("a", "rm /t/x; echo gone=$((1+1))", until: "gone=2")
      var last = full
      let isBack = try Bench.eventually {
        last = try house.memory("a")
        // A page that is mapped in two places counts twice for the process.
        return last.usage < full.usage - (300 << 20) && last.reported > full.reported + (300 << 20)
      }
      #expect(isBack, "\(full) \(last)")
      #expect(last.given == 0, "\(last)")
      // It is there for who wants it again, and empty.
      let zeros = try Bench.sha256([UInt8](repeating: 0, count: 300 << 20))
      #expect(
        try house.type("a", "head -c 300M /dev/zero >/t/x; sha256sum </t/x; rm /t/x", until: "  -").contains(
          zeros))
      try house.expect(["delete", "a", "--force"])
    }

    /// A running guest gives memory up and gets it back (virtio 1.3 §5.5.6).
    @Test func limitsMoveTheBalloon() throws {
      let house = try TestHouse()
      try launch(house, "b")
      // The cache of what was read is in use, so that nothing of it is reported as free.
      _ = try house.type(
        "b", "cat /dev/vda >/dev/null; head -c 500M /dev/vda >/dev/null; echo read=$((1+1))", until: "read=2")
      let before = try house.memory("b")
      try house.expect(["config", "set", "b", "limits.memory=256MiB"])
      #expect(try house.share("memory", "promised") == 256 << 20)
      var after = before
      let isGiven = try Bench.eventually {
        after = try house.memory("b")
        return after.given == 512 << 20
      }
      #expect(isGiven && after.wanted == 512 << 20 && after.total == 256 << 20, "\(after)")
      #expect(after.usage < before.usage, "\(before) \(after)")
      #expect((after.available ?? 0) < 256 << 20, "\(after)")
      // A daemon that finds it again knows what it was asked for.
      try house.killDaemon()
      #expect(try house.memory("b").total == 256 << 20)
      #expect(try house.share("memory", "promised") == 256 << 20)
      // No more than it began with comes back without a restart.
      try house.expect(["config", "set", "b", "limits.memory=1GiB"])
      #expect(try Bench.eventually { try house.memory("b").given == 0 })
      #expect(try house.share("memory", "promised") == 768 << 20)
      let ratio = String(format: "%.12f", Double(400 << 20) / Double(try house.share("memory", "total")))
      try house.expect(["config", "set", "b", "limits.memory=300MiB"])
      try house.expect(["config", "set", "core.overcommit_memory=\(ratio)"])
      try house.expect(
        ["config", "set", "b", "limits.memory=700MiB"], code: 5, naming: "core.overcommit_memory")
      #expect(try house.run(["config", "get", "b", "limits.memory"]).output == "300MiB\n")
      #expect(try house.share("memory", "promised") == 300 << 20)
      #expect(try house.type("b", "echo alive=$((1+1))", until: "alive=2").contains("alive=2"))
      try house.expect(["delete", "b", "--force"])
    }
  }
}

extension TestHouse {
  struct Memory {
    var usage, total, wanted, given, reported: Int
    var available: Int?
  }

  /// What a running instance uses of memory, and what its guest says.
  func memory(_ name: String) throws -> Memory {
    let outcome = try run(["query", "/1.0/instances/\(name)/state"])
    let value = try JSONSerialization.jsonObject(with: Data(outcome.outputBytes)) as? [String: Any]
    let memory = try #require(value?["memory"] as? [String: Any], "\(outcome.errors)")
    let guest = try #require(memory["guest"] as? [String: Any])
    func number(_ object: [String: Any], _ key: String) throws -> Int { try #require(object[key] as? Int) }
    return Memory(
      usage: try number(memory, "usage"), total: try number(memory, "total"),
      wanted: try number(guest, "wanted"),
      given: try number(guest, "given"), reported: try number(guest, "reported"),
      available: guest["available"] as? Int)
  }
}
