import Foundation
import HostPrograms
import HostSystem

/// `volary` with a folder for temporary files of its own and a mark on all its processes, so that
/// what it leaves behind shows.
final class VolaryRun {
  let scratch = TestFolder()
  let run: ProgramRun
  private let token = "VOLARY_TEST_TOKEN=\(UUID().uuidString)"

  /// `programs` is the folder of the programs, when not the usual one. A test that suspends has it last.
  init(
    _ arguments: [String], programs: String = Bench.programs, environment: [String: String] = [:],
    lasts: Bool = false
  ) throws {
    run = try ProgramRun(
      "\(programs)/volary", arguments,
      environment: Self.environment(token: token, scratch: scratch).merging(environment) { $1 },
      lasts: lasts)
  }

  static func environment(token: String, scratch: TestFolder) -> [String: String] {
    let parts = token.split(separator: "=")
    return [String(parts[0]): String(parts[1]), "TMPDIR": scratch.path, "VOLARY_DATA": Bench.data]
  }

  var pid: Int32 { run.process.identifier }

  /// `volary run debian/13 OPTIONS -- sh -c SCRIPT`.
  static func job(_ script: String, options: [String] = [], lasts: Bool = false) throws -> VolaryRun {
    try VolaryRun(
      ["run", "--arch", "riscv64", Bench.imageName] + options + ["--", "sh", "-c", script], lasts: lasts)
  }

  /// As the program's own; the folder for temporary files stays until it has ended.
  func finish(input: [UInt8] = [], within seconds: Int) throws -> ProgramRun.Outcome {
    try run.finish(input: input, within: seconds)
  }

  /// Processes and files that are still there a moment after the end.
  var leftovers: [String] {
    var found: [String] = []
    _ = Bench.eventually {
      found = Bench.processes(withToken: token).map { "process \($0)" } + scratch.content
      return found.isEmpty
    }
    return found
  }
}
