import Foundation
import Glibc
import HostSystem

/// A program that runs, with pipes for its streams.
final class ProgramRun {
  /// How a program ended, and what it wrote.
  struct Outcome {
    var exit: ChildProcess.Exit?
    var outputBytes: [UInt8] = []
    var errorBytes: [UInt8] = []

    var output: String { String(decoding: outputBytes, as: UTF8.self) }
    var errors: String { String(decoding: errorBytes, as: UTF8.self) }
    /// The exit code; -1 for a program that a signal ended or that had to be killed.
    var code: Int32 { if case .code(let code) = exit { code } else { -1 } }
  }

  /// A program did not end in time, and was killed.
  struct TimedOut: Error, CustomStringConvertible {
    let arguments: [String]
    let outcome: Outcome
    var description: String {
      "\(arguments) did not end in time; output: \(outcome.output.suffix(500)); errors: \(outcome.errors.suffix(500))"
    }
  }

  let process: ChildProcess
  let arguments: [String]
  private var input: Descriptor?
  private let outputEnd: Descriptor
  private let errors: Descriptor
  private var outcome = Outcome()

  /// Starts a program; `environment` is added to this process's.
  init(_ path: String, _ arguments: [String], environment added: [String: String] = [:]) throws {
    signal(SIGPIPE, SIG_IGN)
    let (ourInput, itsInput) = try Self.pipe()
    let (itsOutput, ourOutput) = try Self.pipe()
    let (itsErrors, ourErrors) = try Self.pipe()
    let environment = Bench.environment.merging(added) { $1 }.map { "\($0)=\($1)" }
    process = try ChildProcess(
      path: path, arguments: [path] + arguments, descriptors: [itsInput, itsOutput, itsErrors],
      environment: environment)
    self.arguments = arguments
    input = ourInput
    outputEnd = ourOutput
    errors = ourErrors
    for end in [ourInput, ourOutput, ourErrors] { try end.setNonblocking(true) }
  }

  /// The writing and the reading end.
  private static func pipe() throws -> (Descriptor, Descriptor) {
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { throw Errno(errno) }
    return (Descriptor(owning: ends[1]), Descriptor(owning: ends[0]))
  }

  /// Writes `bytes`, ends the input, and reads until the program has ended and closed its output.
  func finish(input bytes: [UInt8] = [], within seconds: Int) throws -> Outcome {
    var rest = bytes[...]
    let ended = try pump(within: seconds) {
      if rest.isEmpty { self.input = nil } else { rest = self.write(rest) }
      return false
    }
    outcome.exit = process.wait(milliseconds: ended ? 5000 : 0)
    guard ended, outcome.exit != nil else {
      process.terminate()
      throw TimedOut(arguments: arguments, outcome: outcome)
    }
    return outcome
  }

  /// Reads until the output holds `text`; false when it does not in time. The input stays open.
  func awaitOutput(_ text: String, within seconds: Int) throws -> Bool {
    _ = try pump(within: seconds) { self.outcome.output.contains(text) }
    return outcome.output.contains(text)
  }

  /// What came so far.
  var output: String { outcome.output }

  /// Writes a line's worth of text and leaves the input open.
  func type(_ text: String) { _ = write(Array(text.utf8)[...]) }

  private func write(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard let input else { return [] }
    let count = bytes.withUnsafeBytes { Glibc.write(input.raw, $0.baseAddress, $0.count) }
    if count < 0 && errno != EAGAIN { return [] }
    return bytes.dropFirst(max(0, count))
  }

  /// Moves bytes until both outputs are closed (true), `step` says so, or the time is over (false).
  private func pump(within seconds: Int, step: () throws -> Bool) throws -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    var open = [(outputEnd, \Outcome.outputBytes), (errors, \Outcome.errorBytes)]
    while !open.isEmpty, monotonicNanoseconds() < deadline {
      if try step() { return false }
      var entries = open.map { pollfd(fd: $0.0.raw, events: Int16(POLLIN), revents: 0) }
      poll(&entries, nfds_t(entries.count), 10)
      open.removeAll { descriptor, path in
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = read(descriptor.raw, &buffer, buffer.count)
        if count > 0 { outcome[keyPath: path] += buffer.prefix(count) }
        return count == 0
      }
    }
    return open.isEmpty
  }
}
