internal import AsyncHTTPClient
package import Foundation
package import NIOCore
internal import NIOHTTP1

/// Speaks to a daemon. Every failure is an ``APIError``. Call ``shutdown()`` before letting go of it.
package final class APIClient: Sendable {
  package let endpoint: APIEndpoint
  private let http: HTTPClient

  package init(_ endpoint: APIEndpoint) {
    self.endpoint = endpoint
    var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(10)))
    // Where nobody listens, nobody will in a moment: a command starts the daemon then.
    configuration.connectionPool.retryConnectionEstablishment = false
    if case .https(_, let tls, _) = endpoint { configuration.tlsConfiguration = tls }
    http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  /// Ends all connections.
  package func shutdown() async { try? await http.shutdown() }

  // MARK: - Requests

  /// What a GET gives, decoded.
  package func get<Value: Decodable & Sendable>(
    _ path: String, query: [(String, String)] = [], as type: Value.Type = Value.self
  ) async throws(APIError) -> Value {
    try await send("GET", path, query: query).metadata()
  }

  /// `etag` is sent as If-Match, so that what somebody else has changed meanwhile is not overwritten.
  @discardableResult
  package func put(
    _ path: String, query: [(String, String)] = [], _ body: some Encodable, etag: String? = nil
  ) async throws(APIError) -> APIReply {
    try await send("PUT", path, query: query, headers: ifMatch(etag), body: encoded(body))
  }

  @discardableResult
  package func patch(
    _ path: String, query: [(String, String)] = [], _ body: some Encodable, etag: String? = nil
  ) async throws(APIError) -> APIReply {
    try await send("PATCH", path, query: query, headers: ifMatch(etag), body: encoded(body))
  }

  /// `idempotencyKey` makes it safe to send the same again when no answer came.
  @discardableResult
  package func post(
    _ path: String, query: [(String, String)] = [], _ body: some Encodable, idempotencyKey: String? = nil
  ) async throws(APIError) -> APIReply {
    let headers = idempotencyKey.map { [("Idempotency-Key", $0)] } ?? []
    return try await send("POST", path, query: query, headers: headers, body: encoded(body))
  }

  @discardableResult
  package func delete(_ path: String, query: [(String, String)] = []) async throws(APIError) -> APIReply {
    try await send("DELETE", path, query: query)
  }

  /// Sends one request, and throws when its answer is an error. `seconds` bounds the wait for the answer.
  package func send(
    _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
    body: Data? = nil, seconds: Int64 = 120
  ) async throws(APIError) -> APIReply {
    let reply = try await raw(
      method, path, query: query, headers: headers, body: body, seconds: seconds)
    if reply.status < 400 { return reply }
    throw Self.failure(reply.status, reply.body, to: "\(method) \(path)")
  }

  /// Sends one request and gives its answer as it is.
  package func raw(
    _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
    body: Data? = nil, seconds: Int64 = 120
  ) async throws(APIError) -> APIReply {
    var request = HTTPClientRequest(url: endpoint.url(path, query: query))
    request.method = HTTPMethod(rawValue: method)
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    authorize(&request)
    if let body {
      request.headers.replaceOrAdd(name: "Content-Type", value: "application/json")
      request.body = .bytes(ByteBuffer(bytes: body))
    }
    do {
      let response = try await http.execute(request, timeout: .seconds(seconds))
      let bytes = try await response.body.collect(upTo: Self.largestAnswer)
      return APIReply(
        status: Int(response.status.code), headers: response.headers.map { ($0.name, $0.value) },
        body: Data(bytes.readableBytesView))
    } catch {
      throw APIError(connecting: endpoint, error)
    }
  }

  /// Sends a POST with a body that `next` gives piece by piece, until it gives none.
  @discardableResult
  package func upload(
    _ path: String, query: [(String, String)], headers: [(String, String)],
    _ next: @escaping @Sendable () async throws -> ByteBuffer?
  ) async throws -> APIReply {
    var request = HTTPClientRequest(url: endpoint.url(path, query: query))
    request.method = .POST
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    authorize(&request)
    let pieces = AsyncThrowingStream { try await next() }
    request.body = .stream(pieces, length: .unknown)
    do {
      let response = try await http.execute(request, timeout: .hours(24))
      let status = Int(response.status.code)
      let body = Data(try await response.body.collect(upTo: Self.largestAnswer).readableBytesView)
      if status >= 400 { throw Self.failure(status, body, to: "POST \(path)") }
      return APIReply(
        status: status, headers: response.headers.map { ($0.name, $0.value) }, body: body)
    } catch { throw APIError(connecting: endpoint, error) }
  }

  /// Calls `take` with the pieces of an answer as they come.
  package func download(
    _ path: String, query: [(String, String)], _ take: (ByteBuffer) async throws -> Void
  ) async throws {
    var request = HTTPClientRequest(url: endpoint.url(path, query: query))
    authorize(&request)
    let response: HTTPClientResponse
    do { response = try await http.execute(request, timeout: .hours(24)) } catch {
      throw APIError(connecting: endpoint, error)
    }
    let status = Int(response.status.code)
    if status >= 400 {
      let body = try await response.body.collect(upTo: Self.largestAnswer)
      throw Self.failure(status, Data(body.readableBytesView), to: "GET \(path)")
    }
    for try await piece in response.body { try await take(piece) }
  }

  private func authorize(_ request: inout HTTPClientRequest) {
    if case .https(_, _, let token?) = endpoint {
      request.headers.add(name: "Authorization", value: "Bearer \(token)")
    }
  }

  /// What an answer that is an error says.
  private static func failure(_ status: Int, _ body: Data, to request: String) -> APIError {
    if let envelope = try? APICoding.decode(ErrorEnvelope.self, from: body) { return envelope.apiError }
    return APIError(APIError.Code(status: status), "the daemon answered \(request) with status \(status)")
  }

  /// Bytes of an answer that this client is willing to hold.
  private static let largestAnswer = 256 << 20

  private func ifMatch(_ etag: String?) -> [(String, String)] { etag.map { [("If-Match", $0)] } ?? [] }

  private func encoded(_ body: some Encodable) throws(APIError) -> Data {
    do { return try APICoding.encode(body) } catch { throw APIError(.invalid, "\(error)") }
  }
}

/// A daemon's answer.
package struct APIReply: Sendable {
  package let status: Int
  package let headers: [(String, String)]
  package let body: Data

  /// The first header of that name, whatever its case.
  package func header(_ name: String) -> String? {
    headers.first { $0.0.lowercased() == name.lowercased() }?.1
  }

  package var etag: String? { header("ETag") }

  /// What the envelope holds.
  package func metadata<Value: Decodable & Sendable>(
    as type: Value.Type = Value.self
  ) throws(APIError) -> Value {
    let envelope: Envelope<Value>
    do { envelope = try APICoding.decode(Envelope<Value>.self, from: body) } catch {
      throw APIError(.failed, "the daemon's answer cannot be read: \(APICoding.sentence(about: error))")
    }
    guard let metadata = envelope.metadata else { throw APIError(.failed, "the daemon's answer is empty") }
    return metadata
  }

  /// The operation that was begun.
  package func operation() throws(APIError) -> OperationObject { try metadata() }
}

extension APIError {
  /// No connection, or one that broke.
  init(connecting endpoint: APIEndpoint, _ error: any Error) {
    let place: String
    switch endpoint {
    case .unix(let path): place = path
    case .https(let base, _, _): place = base
    }
    switch error {
    case let error as APIError: self = error
    case is CancellationError: self.init(.failed, "the request was cancelled")
    case let error as HTTPClientError where error == .deadlineExceeded || error == .readTimeout:
      self.init(.timedOut, "the daemon at \(place) did not answer in time")
    default:
      self.init(
        .unreachable, "no daemon answers at \(place) (\(error))", wayOut: "start it with `volaryd`")
    }
  }
}
