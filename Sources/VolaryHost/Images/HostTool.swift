package import Foundation
import Glibc
import HostSystem

/// Runs programs of the host.
///
/// They see `LC_ALL=C`, so that what they say can be recognized, no standard input, and no descriptor of ours: a
/// program that another thread starts at the same moment does not hold the end of this one's pipe. They end with
/// this process.
package enum HostTool {
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
    let process: Running
    do {
      process = try start(
        path, arguments, in: folder,
        environment: ProcessInfo.processInfo.environment.merging(environment) { $1 }
          .merging(["LC_ALL": "C", "PATH": searchPath.joined(separator: ":")]) { $1 })
    } catch {
      throw ImageError("cannot start \(path): \(error)")
    }
    let (text, words) = process.readToEnd(line: line)
    let exit = process.child.wait()
    Interruption.waitIfEnding()
    guard exit == .code(0) else {
      throw failure(of: program, doing: action, exit: exit, words: words.isEmpty ? text : words)
    }
    return text
  }

  /// A program that has been started, and our ends of what it writes.
  private struct Running {
    let child: ChildProcess
    let output: Descriptor
    let errors: Descriptor

    /// What comes on both until the program, and whoever has its streams from it, has closed them. They are read
    /// side by side: a program that fills one must not wait for ever. `line` gets the lines of the output.
    func readToEnd(line: (@Sendable (String) -> Void)?) -> (output: String, errors: String) {
      var said = [Data(), Data()]
      var open = [(0, output), (1, errors)]
      var start = 0
      var buffer = [UInt8](repeating: 0, count: 64 << 10)
      while !open.isEmpty {
        var entries = open.map { pollfd(fd: $0.1.raw, events: Int16(POLLIN), revents: 0) }
        guard (try? retrying { Int(poll(&entries, nfds_t(entries.count), -1)) }) != nil else { break }
        for (entry, (stream, descriptor)) in zip(entries, open) where entry.revents != 0 {
          let count = buffer.withUnsafeMutableBytes { (try? descriptor.read(into: $0)) ?? 0 }
          said[stream] += buffer[..<count]
          if count == 0 { open.removeAll { $0.0 == stream } }
        }
        guard let line else { continue }
        while let end = said[0][start...].firstIndex(of: UInt8(ascii: "\n")) {
          line(String(decoding: said[0][start..<end], as: UTF8.self))
          start = end + 1
        }
      }
      return (String(decoding: said[0], as: UTF8.self), String(decoding: said[1], as: UTF8.self))
    }
  }

  /// Its ends of the pipes are closed here as this returns, so that ours end with it.
  private static func start(
    _ path: String, _ arguments: [String], in folder: URL?, environment: [String: String]
  ) throws(Errno) -> Running {
    let (output, itsOutput) = try Descriptor.pipe()
    let (errors, itsErrors) = try Descriptor.pipe()
    let child = try ChildProcess(
      path: path, arguments: [path] + arguments,
      descriptors: [try Descriptor.open("/dev/null", O_RDONLY), itsOutput, itsErrors],
      environment: environment.map { "\($0)=\($1)" }, folder: folder?.path)
    return Running(child: child, output: output, errors: errors)
  }

  private static func failure(
    of program: String, doing action: String, exit: ChildProcess.Exit?, words: String
  ) -> ImageError {
    let lines = words.split(separator: "\n").map(String.init).filter { !$0.allSatisfy(\.isWhitespace) }
    let last = Array(lines.suffix(8))
    let how =
      switch exit {
      case .signal(let number): "\(program) was ended by signal \(number)"
      case .code(let code): "\(program) ended with status \(code)"
      case nil: "\(program) cannot be waited for"
      }
    return ImageError("\(action) failed: \(how)", log: last)
  }
}
