import Foundation

/// Why something about an image failed, in one line that names the thing and the way out.
package struct ImageError: LocalizedError, CustomStringConvertible {
  /// What went wrong, by the exit code of the command line that reports it.
  package enum Code: Int32, Sendable {
    case failed = 1
    case usage = 2
    case notFound = 4
    case conflict = 5
    case denied = 6
  }

  package let code: Code
  package let message: String
  /// The last lines of what a program or a guest said, oldest first; for the reader's own diagnosis.
  package let log: [String]

  package init(_ code: Code, _ message: String, log: [String] = []) {
    self.code = code
    self.message = message
    self.log = log
  }

  /// A failure with the code `failed`.
  package init(_ message: String, log: [String] = []) {
    self.init(.failed, message, log: log)
  }

  package var errorDescription: String? { description }

  package var description: String {
    log.isEmpty ? message : ([message] + log.map { "  | \($0)" }).joined(separator: "\n")
  }
}
