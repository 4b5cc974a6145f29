import Foundation
import Glibc
import HostSystem
import Testing

/// A pseudo-terminal with `volary run` in its foreground, and this test as the person.
private final class TestTerminal {
  let master: Descriptor
  let process: ChildProcess
  private(set) var seen = ""

  /// `setsid` makes the terminal the controlling one of `volary`.
  init(_ installation: TestInstallation, _ arguments: [String]) throws {
    master = try Descriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var locked: Int32 = 0
    var number: Int32 = -1
    guard ioctl(master.raw, 0x4004_5431 /* TIOCSPTLCK */, &locked) == 0,
      ioctl(master.raw, 0x8004_5430 /* TIOCGPTN */, &number) == 0
    else { throw Errno(errno) }
    let slave = try Descriptor.open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    process = try ChildProcess(
      path: "/usr/bin/setsid", arguments: ["setsid", "--ctty", "--wait", installation.volary] + arguments,
      descriptors: [slave, slave, slave], environment: installation.environment)
    try master.setNonblocking(true)
  }

  /// Waits until `text` has appeared.
  func expect(_ text: String, seconds: Int = 120) -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    while !seen.contains(text), monotonicNanoseconds() < deadline {
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = buffer.withUnsafeMutableBytes { read(master.raw, $0.baseAddress, $0.count) }
      if count > 0 { seen += String(decoding: buffer[..<count], as: UTF8.self) } else { usleep(5_000) }
    }
    return seen.contains(text)
  }

  func type(_ text: String) { _ = text.withCString { write(master.raw, $0, strlen($0)) } }

  func resize(_ columns: UInt16, _ rows: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = ioctl(master.raw, UInt(TIOCSWINSZ), &size)
  }

  /// Lines are edited and echoed, and keys make signals: what a shell expects to find.
  var isCooked: Bool {
    var attributes = termios()
    tcgetattr(master.raw, &attributes)
    let all = tcflag_t(ICANON | ECHO | ISIG)
    return attributes.c_lflag & all == all && attributes.c_oflag & tcflag_t(OPOST) != 0
  }

  var isRaw: Bool {
    var attributes = termios()
    tcgetattr(master.raw, &attributes)
    return attributes.c_lflag & tcflag_t(ICANON | ECHO | ISIG) == 0
  }

  /// `volary` itself: the foreground of the terminal.
  var foreground: Int32 { tcgetpgrp(master.raw) }
}

@Suite struct TerminalTests {
  private let installation: TestInstallation

  init() throws { installation = try TestInstallation() }

  private func start() throws -> TestTerminal {
    let terminal = try TestTerminal(
      installation, ["run", try installation.image("shell"), "--network", "none"])
    #expect(terminal.isCooked)
    #expect(terminal.expect("welcome"), "\(terminal.seen)")
    #expect(terminal.isRaw)
    return terminal
  }

  @Test func handsKeysThroughAndRestores() throws {
    let terminal = try start()
    #expect(terminal.seen.contains("Ctrl-] leaves it"))
    terminal.type("hello\u{3}\u{1a}")  // Ctrl-C and Ctrl-Z are the guest's
    #expect(terminal.expect("HELLO\u{3}\u{1a}"))
    terminal.type("q")
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(3))
    #expect(terminal.isCooked)
  }

  @Test func tellsTheGuestItsSize() throws {
    let terminal = try start()
    terminal.resize(123, 45)
    #expect(terminal.expect("<123x45>"))
    terminal.type("q")
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(3))
  }

  @Test func leavesByTheEscapeKey() throws {
    let terminal = try start()
    terminal.type("\u{1d}")
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(0))
    #expect(terminal.isCooked)
  }

  @Test func restoresWhenTheMachineCrashes() throws {
    let terminal = try start()
    terminal.type("c")
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(1))
    #expect(terminal.expect("killed by signal 6", seconds: 5))
    #expect(terminal.isCooked)
  }

  @Test(arguments: [SIGTERM, SIGHUP, SIGQUIT, SIGINT])
  func restoresOnASignal(_ signal: Int32) throws {
    let terminal = try start()
    kill(terminal.foreground, signal)
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(128 + signal))
    #expect(terminal.isCooked)
  }

  /// A fault of `volary` itself.
  @Test(arguments: [SIGSEGV, SIGILL, SIGABRT])
  func restoresOnAFault(_ signal: Int32) throws {
    let terminal = try start()
    kill(terminal.foreground, signal)
    #expect(terminal.process.wait(milliseconds: 120_000) != nil)
    #expect(terminal.isCooked)
  }

  /// Stopped from outside, the terminal is the shell's; continued, the guest's again.
  @Test func restoresWhileItIsStopped() throws {
    let terminal = try start()
    let volary = terminal.foreground
    kill(volary, SIGTSTP)
    let deadline = monotonicNanoseconds() + 120_000_000_000
    while !terminal.isCooked, monotonicNanoseconds() < deadline { usleep(5_000) }
    #expect(terminal.isCooked)
    // Nothing but the process's state tells that it has stopped by now.
    while (try? String(contentsOfFile: "/proc/\(volary)/stat", encoding: .utf8))?.contains(") T ") == false,
      monotonicNanoseconds() < deadline
    { usleep(5_000) }
    kill(volary, SIGCONT)
    while !terminal.isRaw, monotonicNanoseconds() < deadline { usleep(5_000) }
    #expect(terminal.isRaw)
    terminal.type("q")
    #expect(terminal.process.wait(milliseconds: 120_000) == .code(3))
    #expect(terminal.isCooked)
  }
}
