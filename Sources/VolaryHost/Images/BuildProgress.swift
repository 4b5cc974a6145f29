import Foundation
import Synchronization

/// Shows how far a long task is, on standard error: a line that changes on a terminal, else a line
/// a phase.
package final class BuildProgress: Sendable {
  private struct State {
    var phase = 0
    var name = ""
    /// What the line says now, so that it is written only when it changes.
    var shown = ""
  }

  private let phases: Int
  private let isTerminal: Bool
  private let isQuiet: Bool
  private let state = Mutex(State())

  package init(phases: Int, quiet: Bool = false) {
    self.phases = phases
    self.isQuiet = quiet
    self.isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
  }

  func begin(_ name: String) {
    state.withLock { state in
      state.phase += 1
      state.name = name
      if isTerminal {
        show(Self.line(state.phase, phases, name, fraction: nil), &state)
      } else {
        write("[\(state.phase)/\(phases)] \(name)\n")
      }
    }
  }

  /// `fraction` of the phase is done, 0 to 1.
  func update(_ fraction: Double, detail: String = "") {
    guard isTerminal else { return }
    state.withLock { state in
      var line = Self.line(state.phase, phases, state.name, fraction: fraction)
      if !detail.isEmpty { line += "  " + detail.prefix(30) }
      show(line, &state)
    }
  }

  /// Something worth keeping on the screen.
  package func note(_ text: String) {
    state.withLock { state in
      write(isTerminal ? "\r\u{1b}[K\(text)\n" : "\(text)\n")
      state.shown = ""
    }
  }

  /// Takes the changing line away.
  func end() {
    state.withLock { state in
      if isTerminal, !state.shown.isEmpty { write("\r\u{1b}[K") }
      state.shown = ""
    }
  }

  /// `[3/7] downloading packages   [########------]  57 %`
  package static func line(_ phase: Int, _ phases: Int, _ name: String, fraction: Double?) -> String {
    let start = "[\(phase)/\(phases)] \(name)"
    guard let fraction else { return start }
    let part = min(max(fraction, 0), 1)
    let width = 20
    let filled = Int(part * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: width - filled)
    let percent = String(Int(part * 100))
    return start.padding(toLength: max(34, start.count), withPad: " ", startingAt: 0)
      + " [\(bar)] " + String(repeating: " ", count: 3 - percent.count) + percent + " %"
  }

  private func show(_ line: String, _ state: inout State) {
    guard line != state.shown else { return }
    state.shown = line
    write("\r\u{1b}[K" + line)
  }

  private func write(_ text: String) {
    guard !isQuiet else { return }
    FileHandle.standardError.write(Data(text.utf8))
  }
}
