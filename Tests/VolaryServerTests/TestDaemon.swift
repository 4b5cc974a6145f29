import Foundation
import Glibc
import HostPrograms
import HostSystem
import VolaryAPI

/// A daemon in a process of its own, with the part for tests (Tests/DaemonSupport); killed with the value.
final class TestDaemon: @unchecked Sendable {  // `process` changes between requests only
  struct Answer {
    let status: Int
    let headers: [String: String]
    let body: Data

    var json: JSONValue { (try? APICoding.decode(JSONValue.self, from: body)) ?? .null }
    var text: String { String(decoding: body, as: UTF8.self) }
  }

  let folder: TestFolder
  private let program: String
  private(set) var process: ProgramRun
  var socket: String { folder.path + "/volaryd.sock" }
  var pid: Int32 { process.identifier }

  /// `program` may be `volaryd` itself, with all its parts.
  init(folder: TestFolder = TestFolder(), program: String = "volary-test-daemon") async throws {
    self.folder = folder
    self.program = program
    process = try Self.start(folder, program)
    try await untilReady()
  }

  deinit { process.process.terminate() }

  /// What it says goes into a file in its folder.
  private static func start(_ folder: TestFolder, _ program: String) throws -> ProgramRun {
    let log = try Descriptor.open(folder.path + "/log", O_WRONLY | O_CREAT | O_APPEND)
    return try ProgramRun(
      "\(builtPrograms)/\(program)", program == "volaryd" ? ["--data", folder.path] : [folder.path],
      input: try Descriptor.open("/dev/null", O_RDONLY),
      output: log, errors: log, lasts: true)
  }

  /// A daemon that is to end soon, by its own will: what it says of that.
  static func refusal(_ folder: TestFolder) throws -> ProgramRun.Outcome {
    try ProgramRun("\(builtPrograms)/volary-test-daemon", [folder.path]).finish()
  }

  /// The daemon again, after its end.
  func restart() async throws {
    process = try Self.start(folder, program)
    try await untilReady()
  }

  /// Ends it as power cuts do.
  func killNow() { process.process.terminate() }

  /// Asks it to end, and says how it did; nil when it has not in time.
  func terminate(within seconds: Double = 120) async -> ChildProcess.Exit? {
    process.signal(SIGTERM)
    _ = await eventually(seconds: seconds) { process.hasEnded }
    return process.process.exit
  }

  /// Has something happen again and again until a listener has heard of it, or its stream has ended.
  func knock(until heard: AsyncStream<Void>) async {
    let knocking = Task {
      while !Task.isCancelled {
        _ = try? curl("/1.0/projects/default", "PATCH", body: "{}")
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    for await _ in heard { break }
    knocking.cancel()
  }

  /// Returns when each of its event loops has answered a request that came after all those under way.
  func takeTurns() throws {
    for _ in 0..<2 * ProcessInfo.processInfo.processorCount { _ = try curl("/healthz") }
  }

  /// A listener at its events, by curl(1), from the moment when it listens.
  func eventStream(_ query: String = "", headers: [String: String] = [:]) throws -> ProgramRun {
    var arguments = ["-sSN", "--unix-socket", socket, "-H", "Accept: text/event-stream"]
    for (name, value) in headers { arguments += ["-H", "\(name): \(value)"] }
    let run = try ProgramRun("curl", arguments + ["http://localhost/1.0/events\(query)"], lasts: true)
    guard try run.awaitOutput(": events after", within: 120) else {
      throw APIError(.unreachable, "no stream of events came: \(run.output) \(run.errors)")
    }
    return run
  }

  private func untilReady() async throws {
    let ready = await eventually(seconds: 120) {
      process.hasEnded || (try? curl("/readyz"))?.status == 200
    }
    if ready, !process.hasEnded { return }
    let words = (try? String(contentsOfFile: folder.path + "/log", encoding: .utf8)) ?? ""
    throw APIError(.unreachable, "the daemon did not start: \(words.suffix(500))")
  }

  /// A request by curl(1).
  func curl(
    _ path: String, _ method: String = "GET", headers: [String: String] = [:], body: String? = nil,
    arguments: [String] = []
  ) throws -> Answer {
    var all = ["-sS", "--max-time", "120", "-i", "--path-as-is", "-g", "--unix-socket", socket]
    all += method == "HEAD" ? ["--head"] : ["-X", method]
    for (name, value) in headers { all += ["-H", "\(name): \(value)"] }
    if body != nil { all += ["--data-binary", "@-"] }
    let outcome = try ProgramRun("curl", all + arguments + ["http://localhost\(path)"])
      .finish(input: Array((body ?? "").utf8))
    guard outcome.code == 0 else {
      throw APIError(.unreachable, "curl ended with \(outcome.code): \(outcome.errors)")
    }
    return try Self.parse(outcome.outputBytes)
  }

  static func parse(_ output: [UInt8]) throws -> Answer {
    var rest = Data(output)
    while true {
      guard let end = rest.range(of: Data("\r\n\r\n".utf8)) else { throw APIError(.failed, "no header") }
      let lines = String(decoding: rest[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
      rest = rest[end.upperBound...]
      let status = Int(lines[0].split(separator: " ")[1]) ?? 0
      if status == 100 { continue }
      var headers: [String: String] = [:]
      for line in lines.dropFirst() {
        let parts = line.split(separator: ":", maxSplits: 1)
        headers[parts[0].lowercased()] = parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : ""
      }
      return Answer(status: status, headers: headers, body: Data(rest))
    }
  }

  var client: APIClient { APIClient(.unix(path: socket)) }
}
