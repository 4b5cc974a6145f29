import Foundation
import Synchronization

/// Watches the console of the machine that configures an image: keeps its last lines for a report of
/// failure, and counts dpkg's for the progress.
final class ConsoleTail: Sendable {
  private struct State {
    var lines: [String] = []
    var setUp = 0
  }

  private static let kept = 20
  private let total: Int
  private let progress: BuildProgress
  private let state = Mutex(State())

  init(setUpLines total: Int, progress: BuildProgress) {
    self.total = max(total, 1)
    self.progress = progress
  }

  var last: [String] { state.withLock { $0.lines } }

  @Sendable func add(_ text: String) {
    let line = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard !line.isEmpty else { return }
    let setUp = state.withLock { state in
      state.lines.append(line)
      if state.lines.count > Self.kept { state.lines.removeFirst() }
      if line.hasPrefix("Setting up ") { state.setUp += 1 }
      return state.setUp
    }
    let package = line.hasPrefix("Setting up ") ? String(line.split(separator: " ")[2]) : ""
    progress.update(Double(setUp) / Double(total), detail: package)
  }
}
