import Foundation
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// `--profile` and `--perf-map`.
  @Suite(.serialized, .boots) struct ProfileTests {
    private static let work = "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done; exit 3"

    /// The file says what ran, names blocks, and shows the guest's code beside its translation.
    @Test func profileIsWritten() throws {
      let folder = TestFolder()
      let path = "\(folder.path)/profile.txt"
      let machine = try VolaryRun.job(Self.work, options: ["--profile", path])
      let outcome = try machine.finish(within: 300)
      #expect(outcome.exit == .code(3))
      #expect(outcome.errors == "")
      let text = try String(contentsOfFile: path, encoding: .utf8)
      for words in [
        "in translated code", "ns an instruction", "bytes used of", "Exits from translated code",
        "loads not made in line", "environment call from user mode", "supervisor timer interrupt",
        "Hottest of", "supervisor:0xffffffff8", "Registers: rbx=x15",
      ] { #expect(text.contains(words), "no '\(words)'") }
      // Rows of guest code with generated code beside it.
      #expect(text.matches(of: /0x[0-9a-f]+  [a-z.]+ +[a-z0-9(),-]+ +\+0x[0-9a-f]+ [a-z]+/).count > 20)
      #expect(machine.leftovers.isEmpty)
    }

    @Test func profileOnStandardError() throws {
      let outcome = try VolaryRun.job(Self.work, options: ["--profile", "-"]).finish(within: 300)
      #expect(outcome.exit == .code(3))
      #expect(outcome.errors.hasPrefix("Profile of 1 CPU over "))
    }

    /// perf finds the map by the number of the machine's process.
    @Test func perfMapNamesBlocks() throws {
      let machine = try VolaryRun.job("cat; \(Self.work)", options: ["--perf-map"])
      var path: String?
      let isThere = Bench.eventually {
        path = Bench.children(of: machine.pid).values.map { "/tmp/perf-\($0).map" }
          .first { (try? FileManager.default.attributesOfItem(atPath: $0)[.size] as? Int ?? 0) ?? 0 > 0 }
        return path != nil
      }
      #expect(isThere)
      #expect(try machine.finish(within: 300).exit == .code(3))
      let map = try #require(path)
      defer { try? FileManager.default.removeItem(atPath: map) }
      let text = try String(contentsOfFile: map, encoding: .utf8)
      #expect(text.contains(" volary:between-blocks\n"))
      #expect(text.matches(of: /[0-9a-f]+ [0-9a-f]+ supervisor:0xffffffff[0-9a-f]+/).count > 1000)
      #expect(text.matches(of: /[0-9a-f]+ [0-9a-f]+ user:0x[0-9a-f]+/).count > 100)
    }

    @Test func whereItCannotBe() throws {
      let nowhere = try VolaryRun.job("true", options: ["--profile", "/nonexistent/profile"]).finish(
        within: 60)
      #expect(nowhere.exit == .code(4))
      #expect(nowhere.errors.contains("cannot write the profile to /nonexistent/profile"))
      let interpreter = try VolaryRun.job("true", options: ["--engine", "interpreter", "--perf-map"])
        .finish(within: 200)
      #expect(interpreter.exit == .code(2))
    }
  }
}
