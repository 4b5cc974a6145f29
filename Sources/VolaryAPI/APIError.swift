/// Why a request failed: what the daemon answers with, and what the client throws.
package struct APIError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kind of failure, by its HTTP status (RFC 9110, section 15).
  package enum Code: Int, Sendable, CaseIterable {
    case invalid = 400
    case unauthenticated = 401
    case denied = 403
    case notFound = 404
    case methodNotAllowed = 405
    case timedOut = 408
    case conflict = 409
    /// What was asked for was there, and is no more: events that are too old.
    case gone = 410
    case preconditionFailed = 412
    case tooLarge = 413
    /// Understood, but cannot be done as it stands: a quota, an Idempotency-Key with another body.
    case unprocessable = 422
    case upgradeRequired = 426
    case tooManyRequests = 429
    case failed = 500
    case notImplemented = 501
    case unavailable = 503
    case noSpace = 507
    /// The client's: no daemon answers. Never sent.
    case unreachable = 0

    /// The code that the command line ends with.
    package var exitCode: Int32 {
      switch self {
      case .invalid, .unprocessable: 2
      case .unreachable, .unavailable: 3
      case .notFound: 4
      case .conflict, .preconditionFailed: 5
      case .unauthenticated, .denied: 6
      case .timedOut: 124
      default: 1
      }
    }

    /// The word for programs, in the error's metadata.
    package var word: String { "\(self)" }

    /// The kind for any HTTP status: that of its class where the very number is not ours.
    package init(status: Int) { self = Code(rawValue: status) ?? (status >= 500 ? .failed : .invalid) }
  }

  package let code: Code
  /// What could not be done and why, in one line without a full stop.
  package let message: String
  /// What to do about it, where something can be done.
  package let wayOut: String?

  package init(_ code: Code, _ message: String, wayOut: String? = nil) {
    self.code = code
    self.message = message
    self.wayOut = wayOut
  }

  package var description: String { message + (wayOut.map { "; " + $0 } ?? "") }
}

extension APIError {
  package static func invalid(_ message: String, wayOut: String? = nil) -> APIError {
    APIError(.invalid, message, wayOut: wayOut)
  }
  package static func notFound(_ message: String, wayOut: String? = nil) -> APIError {
    APIError(.notFound, message, wayOut: wayOut)
  }
  package static func conflict(_ message: String, wayOut: String? = nil) -> APIError {
    APIError(.conflict, message, wayOut: wayOut)
  }
  package static func denied(_ message: String) -> APIError { APIError(.denied, message) }
}
