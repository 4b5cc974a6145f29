internal import Foundation

/// The last lines that came over a channel, for telling what went wrong. Bounded whatever the guest
/// sends, and harmless to a terminal: control characters are left out.
package struct ConsoleLog {
  private static let mostLines = 200
  private static let longestLine = 400

  private var lines: [String] = []
  private var current: [UInt8] = []
  /// Inside an escape sequence, which ends with a letter.
  private var isEscaping = false

  package init() {}

  /// Takes bytes in and calls `line` for each line that they complete.
  package mutating func append(_ bytes: some Sequence<UInt8>, line: (String) -> Void = { _ in }) {
    for byte in bytes {
      switch byte {
      case 0x1b: isEscaping = true
      case _ where isEscaping:
        if (0x40...0x7e).contains(byte) && byte != UInt8(ascii: "[") { isEscaping = false }
      case UInt8(ascii: "\n"): endLine(line)
      case 0x09, 0x20...0x7e, 0x80...0xff:
        if current.count < Self.longestLine { current.append(byte) }
      default: break
      }
    }
  }

  private mutating func endLine(_ line: (String) -> Void) {
    let text = String(decoding: current, as: UTF8.self)
    current.removeAll(keepingCapacity: true)
    line(text)
    if text.isEmpty { return }
    if lines.count == Self.mostLines { lines.removeFirst() }
    lines.append(text)
  }

  /// Up to `count` lines, the last of them perhaps unfinished.
  package func last(_ count: Int) -> [String] {
    let unfinished = current.isEmpty ? [] : [String(decoding: current, as: UTF8.self)]
    return (lines + unfinished).suffix(count)
  }

  /// What the kernel said when it gave up, such as `Kernel panic - not syncing: …`; nil when it restarted
  /// in order since.
  package var panic: String? {
    let last = lines.last { $0.contains(Self.panicSign) || $0.contains("reboot: Restarting system") }
    guard let last, let sign = last.range(of: Self.panicSign) else { return nil }
    return last[sign.lowerBound...].replacingOccurrences(of: " ]---", with: "")
  }

  /// Whether a kernel's very last line is the last one here: it stands still after a panic
  /// (kernel/panic.c), and nothing more can come.
  package var endsInPanic: Bool {
    current.isEmpty && lines.last?.contains("---[ end " + Self.panicSign) == true
  }

  private static let panicSign = "Kernel panic - not syncing"
}
