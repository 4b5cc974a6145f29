import Foundation
import HostSystem
internal import VolaryHost

/// Shows how many bytes of how many are done, in a line on standard error that changes; nothing where that is no
/// terminal.
final class ByteProgress {
  /// Nanoseconds between two texts.
  private static let pause: UInt64 = 100_000_000
  private let isShown: Bool
  private var last: UInt64 = 0

  init(isQuiet: Bool = false) { isShown = !isQuiet && isatty(STDERR_FILENO) == 1 }

  func show(_ done: UInt64, _ total: UInt64) {
    guard isShown else { return }
    let now = monotonicNanoseconds()
    guard now >= last + Self.pause else { return }
    last = now
    let share = Int(Double(done) / Double(max(1, total)) * 100)
    write("\r\u{1b}[K\(share) % of \(ByteCount.text(Int64(clamping: total)))")
  }

  func clear() { if last > 0 { write("\r\u{1b}[K") } }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
