import Foundation
import Glibc
package import HostSystem

/// A program of the host that runs, with pipes for its streams. It is killed with the object, which one task at a
/// time uses.
///
/// Foundation's `Process` will not do here: a program that another thread starts at the same moment inherits the
/// ends of its pipes, and of the socket by which it learns of the end, and then neither ends before that other one.
package final class ProgramRun {
  /// How a program ended, and what it wrote.
  package struct Outcome: Sendable {
    package var exit: ChildProcess.Exit?
    package var outputBytes: [UInt8] = []
    package var errorBytes: [UInt8] = []

    package var output: String { String(decoding: outputBytes, as: UTF8.self) }
    package var errors: String { String(decoding: errorBytes, as: UTF8.self) }
    /// The exit code; -1 for a program that a signal ended or that had to be killed.
    package var code: Int32 { if case .code(let code) = exit { code } else { -1 } }
  }

  /// A program did not end in time, and was killed.
  package struct TimedOut: Error, CustomStringConvertible {
    package let arguments: [String]
    package let outcome: Outcome
    package var description: String {
      "\(arguments) did not end in time; output: \(outcome.output.suffix(500)); errors: \(outcome.errors.suffix(500))"
    }
  }

  /// Seconds that a program has when its test does not say: many, for a host that does much else.
  package static let patience = 300

  package let process: ChildProcess
  package let arguments: [String]
  private var input: Descriptor?
  /// What is still to be written.
  private var typed: ArraySlice<UInt8> = []
  private var endsInput = false
  /// Our ends of the streams that have not been closed yet.
  private var open: [(descriptor: Descriptor, path: WritableKeyPath<Outcome, [UInt8]>)] = []
  private var outcome = Outcome()
  /// Where the output goes on that `nextLine` has not returned.
  private var line = 0
  private var buffer = [UInt8](repeating: 0, count: 64 << 10)

  /// Starts a program, which is a path or a name to be found in PATH. `environment` is added to this process's.
  ///
  /// Streams that are given go there, all others into pipes. A program is killed when the thread that started it
  /// ends, so that none is left by tests that were killed. A test that suspends may go on in another thread: what it
  /// starts `lasts`, and is killed when the tests end.
  package init(
    _ program: String, _ arguments: [String] = [], environment added: [String: String] = [:],
    in folder: String? = nil, input: Descriptor? = nil, output: Descriptor? = nil, errors: Descriptor? = nil,
    lasts: Bool = false
  ) throws {
    // Who writes to a program that has ended is told by an error.
    Glibc.signal(SIGPIPE, SIG_IGN)
    let path = try Self.find(program)
    self.arguments = [program] + arguments
    var descriptors: [Descriptor] = []
    if let input {
      descriptors.append(input)
    } else {
      let (reading, writing) = try Descriptor.pipe()
      descriptors.append(reading)
      self.input = writing
    }
    for (given, path) in [(output, \Outcome.outputBytes), (errors, \Outcome.errorBytes)] {
      if let given {
        descriptors.append(given)
      } else {
        let (reading, writing) = try Descriptor.pipe()
        descriptors.append(writing)
        open.append((reading, path))
      }
    }
    for end in open.map(\.descriptor) + [self.input].compactMap({ $0 }) { try end.setNonblocking(true) }
    let environment = ProcessInfo.processInfo.environment.merging(added) { $1 }
    let (given, all) = (descriptors, environment.map { "\($0)=\($1)" })
    let start: @Sendable () throws -> ChildProcess = {
      try ChildProcess(
        path: path, arguments: [program] + arguments, descriptors: given, environment: all, folder: folder)
    }
    process = try lasts ? LastingThread.shared.get().run(start) : start()
  }

  deinit { process.terminate() }

  /// The path of a program.
  private static func find(_ program: String) throws -> String {
    if program.contains("/") { return program }
    if let path = programPath(program) { return path }
    throw ProgramFailure(description: "the host has no program '\(program)'")
  }

  package var identifier: Int32 { process.identifier }
  package var hasEnded: Bool { process.reap() != nil }

  /// How the program ended; nil when it has not within so many seconds. Its streams are left alone.
  package func wait(within seconds: Int = patience) -> ChildProcess.Exit? {
    process.wait(milliseconds: Int32(seconds) * 1000)
  }

  /// Sends the program a signal, unless it has ended.
  package func signal(_ number: Int32) {
    if !hasEnded { Glibc.kill(identifier, number) }
  }

  /// Writes `bytes`, ends the input, and reads until the program has ended and closed its output, whose lines are
  /// told as they come.
  package func finish(
    input bytes: [UInt8] = [], within seconds: Int = patience, line: ((String) -> Void)? = nil
  ) throws -> Outcome {
    typed += bytes
    endsInput = true
    let deadline = Self.deadline(seconds)
    let closed = pump(until: deadline) {
      while let line, let text = self.nextLine() { line(text) }
      return false
    }
    let left = deadline - min(deadline, monotonicNanoseconds())
    outcome.exit = process.wait(milliseconds: Int32(left / 1_000_000))
    guard closed, outcome.exit != nil else {
      process.terminate()
      throw TimedOut(arguments: arguments, outcome: outcome)
    }
    return outcome
  }

  /// Reads until the output holds `text`; false when it does not in time. The input stays open.
  package func awaitOutput(_ text: String, within seconds: Int) throws -> Bool {
    _ = pump(until: Self.deadline(seconds)) { self.outcome.output.contains(text) }
    return outcome.output.contains(text)
  }

  /// As ``awaitOutput(_:within:)``, for what it writes to its standard error.
  package func awaitErrors(_ text: String, within seconds: Int) -> Bool {
    _ = pump(until: Self.deadline(seconds)) { self.outcome.errors.contains(text) }
    return outcome.errors.contains(text)
  }

  /// Waits until somebody, the program as a rule, takes connections at a Unix socket. That its file is there says
  /// less: it comes with bind(2), and until listen(2) connections are refused.
  package func awaitListener(at socket: String, within seconds: Int = patience) throws {
    let deadline = Self.deadline(seconds)
    while try !Self.hasListener(at: socket) {
      guard !hasEnded, monotonicNanoseconds() < deadline else {
        _ = pump(until: Self.deadline(1)) { false }
        throw ProgramFailure(
          description: "\(arguments) takes no connections at \(socket): \(errors.suffix(500))")
      }
      usleep(2000)
    }
  }

  /// By the table of sockets (proc_pid_net(5)), so that a server that counts its clients counts none for it.
  private static func hasListener(at socket: String) throws -> Bool {
    let accepts = "00010000"  // __SO_ACCEPTCON
    // The kernel gives a page at a time of what has no size.
    let file = try Descriptor.open("/proc/thread-self/net/unix", O_RDONLY)
    var (table, piece) = ([UInt8](), [UInt8](repeating: 0, count: 64 << 10))
    while case let count = try file.read(into: &piece), count > 0 { table += piece[..<count] }
    return String(decoding: table, as: UTF8.self).split(separator: "\n").contains {
      let fields = $0.split(separator: " ", maxSplits: 7)
      return fields.count == 8 && fields[3] == accepts && fields[7] == socket
    }
  }

  /// The next line of the output; nil when none comes in time or the program has closed its output.
  package func awaitLine(within seconds: Int = patience) -> String? {
    var found: String?
    _ = pump(until: Self.deadline(seconds)) {
      found = self.nextLine()
      return found != nil
    }
    return found
  }

  /// What came so far.
  package var output: String { outcome.output }
  package var errors: String { outcome.errors }

  /// Writes text and leaves the input open.
  package func type(_ text: String) {
    typed += Array(text.utf8)
    write()
  }

  private func nextLine() -> String? {
    guard let end = outcome.outputBytes[line...].firstIndex(of: UInt8(ascii: "\n")) else { return nil }
    defer { line = end + 1 }
    return String(decoding: outcome.outputBytes[line..<end], as: UTF8.self)
  }

  /// Writes what there is room for. A program that reads no more gets no more.
  private func write() {
    guard let input else { return }
    while !typed.isEmpty {
      let count = typed.withUnsafeBytes { Glibc.write(input.raw, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN { return }
      if count < 0 { typed = [] } else { typed = typed.dropFirst(count) }
    }
    if endsInput { self.input = nil }
  }

  private static func deadline(_ seconds: Int) -> UInt64 {
    monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
  }

  /// Moves bytes until both outputs are closed (true), `isDone`, or the time is over (false).
  private func pump(until deadline: UInt64, isDone: () -> Bool) -> Bool {
    write()
    while !isDone() {
      if open.isEmpty { return true }
      let now = monotonicNanoseconds()
      guard now < deadline else { return false }
      var entries = open.map { pollfd(fd: $0.descriptor.raw, events: Int16(POLLIN), revents: 0) }
      if let input, !typed.isEmpty {
        entries.append(pollfd(fd: input.raw, events: Int16(POLLOUT), revents: 0))
      }
      let milliseconds = min((deadline - now) / 1_000_000 + 1, 1000)
      guard poll(&entries, nfds_t(entries.count), Int32(milliseconds)) > 0 else { continue }
      write()
      open.removeAll { descriptor, path in
        guard let count = try? descriptor.read(into: &buffer) else { return false }
        outcome[keyPath: path] += buffer[..<count]
        return count == 0
      }
    }
    return false
  }
}

extension Descriptor {
  /// As ``read(into:)``, into an array.
  fileprivate func read(into buffer: inout [UInt8]) throws(Errno) -> Int {
    var result: Result<Int, Errno> = .success(0)
    buffer.withUnsafeMutableBytes { bytes in
      result = Result { () throws(Errno) in try read(into: bytes) }
    }
    return try result.get()
  }
}
