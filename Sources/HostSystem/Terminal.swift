internal import CHost
internal import Glibc

/// The terminal a person sits at. Raw mode hands every key through; ``restore()`` brings back the
/// attributes found, and so does the end of the object, a fault of this process, or its end by a signal
/// that cannot be caught: a process that waits for nothing else stands by while the mode is raw.
package final class Terminal {
  /// Characters a line, and lines.
  package struct Size: Equatable, Sendable {
    package var columns: UInt16
    package var rows: UInt16

    package init(columns: UInt16, rows: UInt16) {
      self.columns = columns
      self.rows = rows
    }
  }

  private let fd: Int32
  private var found: termios
  private var isRaw = false

  /// The terminal behind a descriptor of this process, which must outlive the object.
  package init(fd: Int32) throws(Errno) {
    self.fd = fd
    found = termios()
    var attributes = termios()
    try retrying { Int(tcgetattr(fd, &attributes)) }
    found = attributes
  }

  deinit { restore() }

  /// Whether a descriptor leads to a terminal.
  package static func isTerminal(_ fd: Int32) -> Bool { isatty(fd) == 1 }

  /// The size of the terminal behind a descriptor, or nil when it has none or says zero.
  package static func size(of fd: Int32) -> Size? {
    var window = winsize()
    guard volary_ioctl(fd, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
      return nil
    }
    return Size(columns: window.ws_col, rows: window.ws_row)
  }

  package var size: Size? { Self.size(of: fd) }

  /// Every key as it is typed, no echo, no signals, no translation. Attributes that were found when the
  /// object was made are what comes back.
  package func enterRawMode() throws(Errno) {
    var raw = found
    cfmakeraw(&raw)
    volary_guard_terminal(fd, &found)
    isRaw = true
    try retrying { Int(tcsetattr(fd, TCSANOW, &raw)) }
  }

  /// Brings back the attributes found. Harmless when they are current.
  package func restore() {
    guard isRaw else { return }
    isRaw = false
    _ = try? retrying { Int(tcsetattr(fd, TCSANOW, &found)) }
    volary_guard_terminal(-1, &found)
  }
}
