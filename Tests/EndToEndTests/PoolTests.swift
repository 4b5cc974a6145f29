import Foundation
import HostPrograms
import Testing

extension EndToEndTests {
  /// What a host promises to instances.
  @Suite(.serialized, .boots) struct PoolTests {
    /// Of several that start at the same moment as many do as there is room for; those that a daemon finds again count.
    @Test func onlyWhatFitsStarts() throws {
      let house = try TestHouse()
      let names = ["a", "b", "c", "d"]
      for name in names {
        try house.expect([
          "launch", Bench.imageName, name, "--arch", "riscv64", "--memory", "128MiB", "-n", "none",
          "--stopped",
        ])
      }
      let total = try house.share("memory", "total")
      #expect(try house.share("memory", "promised") == 0)
      // Room for two and a half of them.
      let ratio = String(format: "%.12f", Double(320 << 20) / Double(total))
      try house.expect(
        ["config", "set", "core.overcommit_memory=x"], code: 2, naming: "core.overcommit_memory")
      try house.expect(["config", "set", "core.overcommit_memory=\(ratio)"])
      let starts = try names.map { try house.begin(["start", $0]) }
      let codes = try starts.map { try $0.finish(within: 200) }
      #expect(codes.map(\.code).sorted() == [0, 0, 5, 5], "\(codes.map(\.errors))")
      for outcome in codes where outcome.code == 5 {
        #expect(outcome.errors.isOneLine(naming: "raise core.overcommit_memory"), "\(outcome.errors)")
      }
      #expect(try house.share("memory", "promised") == 256 << 20)
      #expect(try house.share("cpus", "promised") == 2)
      try house.killDaemon()
      #expect(try house.share("memory", "promised") == 256 << 20)
      let (running, waiting) = (
        names[codes.firstIndex { $0.code == 0 } ?? 0], names[codes.firstIndex { $0.code == 5 } ?? 0]
      )
      try house.expect(["start", waiting], code: 5, naming: "stop an instance")
      try house.expect(["stop", running, "--force"])
      try house.expect(["start", waiting])
      let text = try house.run(["info", "--resources"]).output
      #expect(text.contains("memory") && text.contains("256.0 MiB"), "\(text)")
      #expect(
        try house.run(["query", "/metrics"]).output.contains(
          "\nvolary_host_memory_promised_bytes 268435456\n"))
      for name in names { try house.expect(["delete", name, "--force"]) }
      #expect(try house.share("memory", "promised") == 0)
    }

    @Test func diskIsPromisedWhenItIsMade() throws {
      let house = try TestHouse()
      let total = try house.share("disk", "total")
      try house.expect([
        "config", "set", "core.overcommit_disk=\(String(format: "%.12f", Double(5 << 30) / Double(total)))",
      ])
      func make(_ name: String, _ size: String) -> [String] {
        ["launch", Bench.imageName, name, "--arch", "riscv64", "-n", "none", "--stopped", "--disk", size]
      }
      try house.expect(make("a", "4GiB"))
      try house.expect(make("b", "4GiB"), code: 5, naming: "raise core.overcommit_disk")
      #expect(try house.run(["list", "-q"]).output == "a\n")
      try house.expect(
        [
          "query", "-X", "PATCH", "/1.0/instances/a", "-d",
          #"{"devices":{"root":{"type":"disk","path":"/","size":"6GiB"}}}"#,
        ],
        code: 5, naming: "delete an instance")
      #expect(try house.share("disk", "promised") == 4 << 30)
      try house.expect(["config", "unset", "core.overcommit_disk"])
      try house.expect(make("b", "4GiB"))
      for name in ["a", "b"] { try house.expect(["delete", name]) }
    }
  }
}

extension TestHouse {
  /// A figure of the host's pool.
  func share(_ kind: String, _ figure: String) throws -> Int {
    let outcome = try run(["query", "/1.0/resources"])
    let value = try JSONSerialization.jsonObject(with: Data(outcome.outputBytes)) as? [String: Any]
    let share = (value?["pool"] as? [String: Any])?[kind] as? [String: Any]
    return try #require(share?[figure] as? Int, "\(outcome.errors)")
  }
}
