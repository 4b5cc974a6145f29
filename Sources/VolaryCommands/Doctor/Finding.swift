internal import VolaryHost

/// One thing that `volary doctor` looked at.
struct Finding: Codable, Equatable, Sendable {
  enum Verdict: String, Codable, Sendable {
    case ok
    /// Machines run; something is slower or missing that one may want.
    case note
    /// Machines cannot run, or images cannot be made, before it is mended.
    case missing
  }

  let name: String
  let verdict: Verdict
  let detail: String
  /// The command or the step that mends it.
  let remedy: String?

  init(_ name: String, _ verdict: Verdict, _ detail: String, remedy: String? = nil) {
    self.name = name
    self.verdict = verdict
    self.detail = detail
    self.remedy = remedy
  }
}
