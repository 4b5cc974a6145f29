internal import GRDB
package import Logging
package import VolaryAPI

extension APIError {
  /// Of the disk that holds the daemon's data.
  static func diskIsFull(_ directory: String) -> APIError {
    APIError(
      .noSpace, "the disk of \(directory) is full",
      wayOut: "make room there: delete an instance or an image that is not needed")
  }

  /// Any error as one that can be sent. What nobody foresaw is logged, and the client is told no more than that.
  package init(anything error: any Error, logger: Logger) {
    switch error {
    case let error as APIError: self = error
    case let error as any APIErrorConvertible: self = error.apiError
    case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
      self = .diskIsFull("the daemon's data")
    case is CancellationError: self.init(.unavailable, "the daemon is ending")
    default:
      logger.error("unexpected: \(error)")
      self.init(.failed, "the daemon failed; its log says more")
    }
  }
}

/// An error of another room that knows how to be told over the API.
package protocol APIErrorConvertible: Error {
  var apiError: APIError { get }
}
