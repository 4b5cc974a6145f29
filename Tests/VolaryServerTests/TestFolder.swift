import Foundation
import HostPrograms
import Glibc
import Logging
import VolaryServer

/// A folder that goes with the value.
final class TestFolder: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/volaryd-tests.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no folder for tests") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var database: String { path + "/volary.db" }
}

/// A logger that says nothing.
let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Waits until something holds, looking often; false when it does not in time.
func eventually(seconds: Double = 240, _ condition: () async throws -> Bool) async rethrows -> Bool {
  let deadline = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < deadline {
    if try await condition() { return true }
    try? await Task.sleep(for: .milliseconds(10))
  }
  return try await condition()
}

/// Runs a program to its end and gives what it wrote.
func run(_ program: String, _ arguments: [String]) throws -> (code: Int32, output: [UInt8], errors: String) {
  let outcome = try ProgramRun(program, arguments).finish()
  return (outcome.code, outcome.outputBytes, outcome.errors)
}
