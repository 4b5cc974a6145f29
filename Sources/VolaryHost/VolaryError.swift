internal import Glibc
package import HostSystem

/// Why a command failed, for the person who gave it.
package struct VolaryError: Error, Equatable, Sendable {
  /// The process's exit code, the same for the same kind of failure everywhere.
  package enum Code: Int32, Sendable {
    case failed = 1
    case usage = 2
    case daemonUnreachable = 3
    case notFound = 4
    case conflict = 5
    case denied = 6
    case timedOut = 124
  }

  package let code: Code
  /// What could not be done and why, in one line without a full stop.
  package let message: String
  /// What to do about it, where something can be done.
  package let wayOut: String?
  /// What the guest or a program said last, oldest first.
  package let lastWords: [String]

  package init(_ code: Code, _ message: String, wayOut: String? = nil, lastWords: [String] = []) {
    self.code = code
    self.message = message
    self.wayOut = wayOut
    self.lastWords = lastWords
  }

  /// A failure without a code of its own.
  package init(_ message: String, wayOut: String? = nil, lastWords: [String] = []) {
    self.init(.failed, message, wayOut: wayOut, lastWords: lastWords)
  }

  /// One line for the error, and one for each of the last words.
  package var report: String {
    let line = "volary: " + message + (wayOut.map { "; " + $0 } ?? "")
    return ([line] + lastWords.map { "  | " + $0 }).joined(separator: "\n")
  }
}

extension VolaryError.Code {
  /// The code for what the system would not do.
  package init(_ error: Errno) { self = error == .notFound ? .notFound : error.isDenial ? .denied : .failed }
}

extension Errno {
  /// Whether it is rights that are lacking.
  var isDenial: Bool { [Errno(EACCES), Errno(EPERM), Errno(EROFS)].contains(self) }
}

/// An error of another room that knows how to be told to a person.
package protocol VolaryErrorConvertible: Error {
  var volaryError: VolaryError { get }
}
