internal import Foundation
internal import Glibc
internal import Synchronization
internal import VolaryAPI

/// Shows how far an operation is, in a line on standard error that changes; nothing where that is no terminal.
final class ProgressLine: Sendable {
  private let isShown: Bool
  private let last = Mutex("")

  init(isQuiet: Bool) { isShown = !isQuiet && isatty(STDERR_FILENO) == 1 }

  func show(_ progress: VolaryAPI.Progress) {
    guard isShown else { return }
    last.withLock { last in
      let text = progress.text
      guard text != last else { return }
      last = text
      write("\r\u{1b}[K" + text)
    }
  }

  func clear() { if isShown, !last.withLock({ $0 }).isEmpty { write("\r\u{1b}[K") } }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
