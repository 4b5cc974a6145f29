extension APIClient {
  /// Waits until an operation has ended and returns it; `progress` is told how far it is, at most four times a
  /// second. Throws when the operation failed or was cancelled.
  @discardableResult
  package func wait(
    for operation: OperationObject, progress: (@Sendable (Progress) -> Void)? = nil
  ) async throws(APIError) -> OperationObject {
    var current = operation
    var told: Progress?
    while !current.statusCode.isFinal {
      let seconds = progress == nil ? "60" : "0.25"
      current = try await send(
        "GET", operation.path + "/wait", query: [("timeout", seconds)], seconds: 90
      ).metadata()
      if let new = current.progress, new != told {
        told = new
        progress?(new)
      }
    }
    if let failure = current.failure { throw failure }
    return current
  }

  /// Asks for an operation's end before its time.
  package func cancel(_ operation: OperationObject) async throws(APIError) {
    try await delete(operation.path)
  }
}
