import CHost
import Foundation
import Glibc
import HostSystem

/// A terminal that a test sits at (pts(4)).
final class PseudoTerminal {
  /// The person's end.
  let person: Descriptor
  /// The program's end.
  let program: Descriptor
  private(set) var screen = ""

  init(columns: UInt16, rows: UInt16) throws {
    person = try Descriptor.open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var unlocked: Int32 = 0
    var number: Int32 = 0
    guard volary_ioctl(person.raw, 0x4004_5431 /* TIOCSPTLCK */, &unlocked) == 0,
      volary_ioctl(person.raw, 0x8004_5430 /* TIOCGPTN */, &number) == 0
    else { throw Errno(errno) }
    program = try Descriptor.open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    guard volary_ioctl(program.raw, UInt(TIOCSWINSZ), &size) == 0 else { throw Errno(errno) }
    try person.setNonblocking(true)
  }

  func resize(columns: UInt16, rows: UInt16) {
    var size = winsize(ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    _ = volary_ioctl(person.raw, UInt(TIOCSWINSZ), &size)
  }

  /// The attributes that a program changes and has to bring back, as one text.
  var attributes: String {
    var found = termios()
    tcgetattr(program.raw, &found)
    return "\(found.c_iflag) \(found.c_oflag) \(found.c_cflag) \(found.c_lflag) \(found.c_cc)"
  }

  func type(_ text: String) {
    _ = text.withCString { write(person.raw, $0, strlen($0)) }
  }

  /// Reads until what came since the last call that found its text holds `text`.
  func awaitScreen(_ text: String, within seconds: Int) -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    while monotonicNanoseconds() < deadline {
      if let found = screen.range(of: text) {
        screen.removeSubrange(..<found.upperBound)
        return true
      }
      var entry = pollfd(fd: person.raw, events: Int16(POLLIN), revents: 0)
      poll(&entry, 1, 50)
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = read(person.raw, &buffer, buffer.count)
      if count > 0 { screen += String(decoding: buffer.prefix(count), as: UTF8.self) }
    }
    return false
  }
}
