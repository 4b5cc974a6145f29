internal import HostSystem
internal import VolaryAPI
internal import VolaryHost

extension APIError {
  /// What the host's side says, for a client.
  init(_ error: VolaryError) {
    let code: Code =
      switch error.code {
      case .usage: .invalid
      case .notFound: .notFound
      case .conflict: .conflict
      case .denied: .denied
      case .timedOut: .timedOut
      case .failed, .daemonUnreachable: .failed
      }
    let words =
      error.lastWords.isEmpty ? "" : " (it said last: \(error.lastWords.suffix(3).joined(separator: " / ")))"
    self.init(code, error.message + words, wayOut: error.wayOut)
  }

  /// As ``init(_:)``, for anything that the host's side throws.
  init(host error: any Error) {
    switch error {
    case let error as APIError: self = error
    case let error as VolaryError: self.init(error)
    case let error as any VolaryErrorConvertible: self.init(error.volaryError)
    default: self.init(.failed, "\(error)")
    }
  }
}

/// Runs what blocks on a thread of its own, so that none of the daemon's few is held up.
func offThread<Value: Sendable>(
  _ name: String, _ body: @escaping @Sendable () throws -> Value
) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    do {
      _ = try Thread.start(name: name) {
        continuation.resume(with: Result { () throws -> Value in try body() })
      }
    } catch {
      continuation.resume(throwing: APIError(.unavailable, "the host gives no more threads (\(error))"))
    }
  }
}
