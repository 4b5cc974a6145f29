import Foundation
import Glibc
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
  private(set) var process: Process
  var socket: String { folder.path + "/volaryd.sock" }
  var pid: Int32 { process.processIdentifier }

  /// `program` may be `volaryd` itself, with all its parts.
  init(folder: TestFolder = TestFolder(), program: String = "volary-test-daemon") async throws {
    self.folder = folder
    self.program = program
    process = Self.start(folder, program: program)
    try process.run()
    try await untilReady()
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  static func start(_ folder: TestFolder, program: String = "volary-test-daemon") -> Process {
    let built = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let process = Process()
    process.executableURL = URL(filePath: built).deletingLastPathComponent().appending(path: program)
    process.arguments = program == "volaryd" ? ["--data", folder.path] : [folder.path]
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    return process
  }

  /// The daemon again, after its end.
  func restart() async throws {
    process = Self.start(folder, program: program)
    try process.run()
    try await untilReady()
  }

  /// Ends it as power cuts do.
  func killNow() {
    kill(pid, SIGKILL)
    process.waitUntilExit()
  }

  /// Asks it to end, and says how it did; nil when it has not in time.
  func terminate(within seconds: Double = 60) async -> Int32? {
    kill(pid, SIGTERM)
    guard await eventually(seconds: seconds, { !process.isRunning }) else { return nil }
    return process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus
  }

  private func untilReady() async throws {
    let ready = await eventually(seconds: 30) {
      !process.isRunning || (try? curl("/readyz"))?.status == 200
    }
    guard ready, process.isRunning else { throw APIError(.unreachable, "the daemon did not start") }
  }

  /// A request by curl(1).
  func curl(
    _ path: String, _ method: String = "GET", headers: [String: String] = [:], body: String? = nil,
    arguments: [String] = []
  ) throws -> Answer {
    var all = ["-sS", "--max-time", "60", "-i", "--path-as-is", "-g", "--unix-socket", socket]
    all += method == "HEAD" ? ["--head"] : ["-X", method]
    for (name, value) in headers { all += ["-H", "\(name): \(value)"] }
    if body != nil { all += ["--data-binary", "@-"] }
    let (code, output, errors) = try run(
      "curl", all + arguments + ["http://localhost\(path)"], input: Data((body ?? "").utf8))
    guard code == 0 else { throw APIError(.unreachable, "curl ended with \(code): \(errors)") }
    return try Self.parse(output)
  }

  static func parse(_ output: Data) throws -> Answer {
    var rest = output
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
