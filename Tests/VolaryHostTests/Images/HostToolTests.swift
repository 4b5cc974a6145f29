import Foundation
import HostPrograms
import HostSystem
import Synchronization
import Testing
import VolaryHost

struct HostToolTests {
  @Test func linesComeOneByOneAndAllAtTheEnd() throws {
    let folder = try TemporaryFolder()
    let lines = Mutex<[String]>([])
    let text = try HostTool.run(
      "sh", ["-c", "echo $LC_ALL; pwd -P; echo \"$OWN\"; echo aside >&2; printf half"], in: folder.url,
      environment: ["OWN": "a b", "LC_ALL": "de_DE.UTF-8"], doing: "trying"
    ) { line in lines.withLock { $0.append(line) } }
    let place = folder.url.resolvingSymlinksInPath().path
    #expect(text == "C\n\(place)\na b\nhalf")
    // What no line end follows is no line.
    #expect(lines.withLock { $0 } == ["C", place, "a b"])
    #expect(try HostTool.run("cat", [], doing: "reading nothing") == "")
  }

  @Test func moreThanAPipeHoldsComesFromBothStreams() throws {
    let script = "head -c 300000 /dev/zero | tr '\\0' e >&2; head -c 300000 /dev/zero | tr '\\0' o"
    #expect(
      try HostTool.run("sh", ["-c", script], doing: "filling") == String(repeating: "o", count: 300_000))
  }

  @Test func failuresKeepTheLastWords() {
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i >&2; done; echo out; exit 3"
    let coded = #expect(throws: ImageError.self) { try HostTool.run("sh", ["-c", script], doing: "trying") }
    #expect(coded?.message == "trying failed: sh ended with status 3")
    #expect(coded?.log == (3...10).map { "line \($0)" })
    let silent = #expect(throws: ImageError.self) {
      try HostTool.run("sh", ["-c", "echo out; kill -TERM $$"], doing: "trying")
    }
    #expect(silent?.message == "trying failed: sh was ended by signal 15" && silent?.log == ["out"])
    let missing = #expect(throws: ImageError.self) { try HostTool.run("no-such-tool", [], doing: "trying") }
    #expect(missing?.message.contains("'no-such-tool' is missing") == true)
    let nowhere = #expect(throws: ImageError.self) {
      try HostTool.run("true", [], in: URL(fileURLWithPath: "/nonexistent"), doing: "trying")
    }
    #expect(nowhere?.message.hasPrefix("cannot start /") == true)
  }

  /// A program's output ends with it, whatever other threads start meanwhile and leave running.
  @Test func programsHoldNothingOfEachOther() throws {
    let folder = try TemporaryFolder()
    let end = folder.url.appendingPathComponent("end").path
    let isOver = Atomic(false)
    let started = Atomic(0)
    // Those that stay until they are told to go.
    let long = try (0..<2).map { _ in
      try HostSystem.Thread.start(name: "long") {
        var waits: [HostSystem.Thread] = []
        while !isOver.load(ordering: .acquiring), waits.count < 40 {
          let wait = try? HostSystem.Thread.start(name: "wait") {
            started.add(1, ordering: .relaxed)
            _ = try? HostTool.run(
              "sh", ["-c", "until [ -e \"$0\" ]; do sleep 0.2; done", end], doing: "waiting")
          }
          if let wait { waits.append(wait) }
          usleep(5000)
        }
        for wait in waits { wait.join() }
      }
    }
    let ended = Atomic(0)
    let short = try (0..<4).map { _ in
      try HostSystem.Thread.start(name: "short") {
        for _ in 0..<50 where (try? HostTool.run("true", [], doing: "nothing")) != nil {
          ended.add(1, ordering: .releasing)
        }
      }
    }
    let deadline = monotonicNanoseconds() + 120 * 1_000_000_000
    while ended.load(ordering: .acquiring) < 200, monotonicNanoseconds() < deadline { usleep(20_000) }
    let count = ended.load(ordering: .acquiring)
    isOver.store(true, ordering: .releasing)
    #expect(FileManager.default.createFile(atPath: end, contents: nil))
    for thread in short + long { thread.join() }
    #expect(count == 200, "\(200 - count) programs of 200 seemed to run on")
    #expect(started.load(ordering: .relaxed) > 0)
  }
}
