import Foundation
import HostSystem
import Synchronization

/// Runs programs of the host.
///
/// They see `LC_ALL=C`, so that what they say can be recognized, and no standard input.
enum HostTool {
  struct Output: Sendable {
    let status: Int32
    let standardOutput: String
  }

  /// Where programs are looked for: an ordinary user's PATH often lacks the last two.
  static let searchPath: [String] = {
    let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
    let folders = path.split(separator: ":").map(String.init)
    return folders + ["/usr/sbin", "/sbin"].filter { !folders.contains($0) }
  }()

  /// The full path of a program, nil when the host has none of that name.
  package static func find(_ program: String) -> String? {
    searchPath.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Runs a program to its end and returns what it wrote.
  ///
  /// - Parameters:
  ///   - environment: variables added to the caller's.
  ///   - line: called with each line of standard output as it comes.
  /// - Throws: `ImageError` with the program's last words when it cannot be started or fails.
  @discardableResult
  package static func run(
    _ program: String, _ arguments: [String], in folder: URL? = nil, environment: [String: String] = [:],
    doing action: String, line: (@Sendable (String) -> Void)? = nil
  ) throws -> String {
    guard let path = find(program) else {
      throw ImageError("the program '\(program)' is missing: \(HostPackage.advice(forCommand: program))")
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = arguments
    if let folder { process.currentDirectoryURL = folder }
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
      .merging(["LC_ALL": "C", "PATH": searchPath.joined(separator: ":")]) { $1 }
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    do {
      try process.run()
    } catch {
      throw ImageError("cannot start \(path): \(error.localizedDescription)")
    }
    // One stream on a thread of its own: a program that fills the other must not wait for ever.
    let said = Mutex("")
    let finished = DispatchSemaphore(value: 0)
    let reader = Thread {
      let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      said.withLock { $0 = text }
      finished.signal()
    }
    reader.start()
    let text = readLines(of: output.fileHandleForReading, line: line)
    finished.wait()
    process.waitUntilExit()
    Interruption.waitIfEnding()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let words = said.withLock { $0 }.isEmpty ? text : said.withLock { $0 }
      throw failure(of: program, doing: action, process: process, words: words)
    }
    return text
  }

  private static func readLines(of handle: FileHandle, line: (@Sendable (String) -> Void)?) -> String {
    guard let line else { return String(decoding: handle.readDataToEndOfFile(), as: UTF8.self) }
    var all = Data()
    var start = 0
    while case let data = handle.availableData, !data.isEmpty {
      all.append(data)
      while let end = all[start...].firstIndex(of: UInt8(ascii: "\n")) {
        line(String(decoding: all[start..<end], as: UTF8.self))
        start = end + 1
      }
    }
    return String(decoding: all, as: UTF8.self)
  }

  private static func failure(
    of program: String, doing action: String, process: Process, words: String
  ) -> ImageError {
    let lines = words.split(separator: "\n").map(String.init).filter { !$0.allSatisfy(\.isWhitespace) }
    let last = Array(lines.suffix(8))
    let how =
      process.terminationReason == .exit
      ? "\(program) ended with status \(process.terminationStatus)"
      : "\(program) was ended by signal \(process.terminationStatus)"
    return ImageError("\(action) failed: \(how)", log: last)
  }
}
