internal import Foundation
package import HTTPTypes
package import HummingbirdCore
package import Logging
internal import NIOCore
internal import VolaryAPI

/// Who is at the other end of a connection, as far as the connection tells.
package enum Peer: Equatable, Sendable {
  case unix(user: UInt32)
  case network(address: String, certificate: ClientCertificate?)
}

/// What a client showed in its TLS handshake, which proves that it has the key.
package struct ClientCertificate: Equatable, Sendable {
  /// SHA-256 of its DER form, in hexadecimal digits.
  package let fingerprint: String
  package let pem: String
}

/// Finds out who asks; nil for somebody unknown.
package typealias Authenticator = @Sendable (Peer, HTTPFields) async throws -> Identity?

/// Takes a request to its route and its answer back: the one place where rights are checked, input is
/// validated, changes are written down, and errors become answers.
package struct Dispatcher: Sendable {
  /// Bytes of a body that is read into memory.
  static let largestBody = 1 << 20
  /// How long a body may take to come.
  static let bodyPatience: Duration = .seconds(30)

  private let table: RouteTable
  private let authenticate: Authenticator
  private let keys: IdempotencyKeys
  private let audit: AuditLog
  private let logger: Logger

  package init(
    table: RouteTable, authenticate: @escaping Authenticator, store: Store, logger: Logger
  ) {
    self.table = table
    self.authenticate = authenticate
    keys = IdempotencyKeys(store: store)
    audit = AuditLog(store: store, logger: logger)
    self.logger = logger
  }

  // MARK: - Requests

  package func respond(to request: Request, from peer: Peer) async -> Reply {
    do {
      return try await answer(request, from: peer)
    } catch {
      return .failed(APIError(anything: error, logger: logger))
    }
  }

  private func answer(_ request: Request, from peer: Peer) async throws -> Reply {
    let (path, query) = try Self.split(request.head.path ?? "/")
    if request.method == .options, path == "*" { return Self.options(Route.Method.allCases) }
    let match = try table.find(path)
    if request.method == .options { return Self.options(Array(match.methods.keys)) }
    // A HEAD is a GET whose body stays here (RFC 9110, section 9.3.2).
    let method = request.method == .head ? .get : Route.Method(rawValue: request.method.rawValue)
    guard let method, let route = match.methods[method] else { return Self.notAllowed(request.method, match) }
    if !method.isSafe { try Self.checkOrigin(request.headers, host: request.head.authority) }
    var call = try await admit(
      route, match, path: path, query: query, request.headers, isHead: request.method == .head, from: peer)
    if let action = route.webSocket, Self.asksForWebSocket(request.headers) { try await action.check(call) }
    if let action = route.tunnel { try await action.check(call) }
    let action = Self.action(of: route, request.headers)
    if case .respond = action { call = try await read(request.body, into: call) }
    // What is stopped or deleted makes room, also on a disk that is full.
    let makesRoom = method == .delete || method == .put && path.hasSuffix("/state")
    return try await DiskReserve.$mayBeUsed.withValue(makesRoom) { [call] in
      let reply =
        switch action {
        case .stream(let respond): try await respond(call, request.body)
        case .respond(let respond), .either(let respond, _): try await once(call, respond)
        }
      if !method.isSafe { await audit.note(call, reply, project: route.isOfProject ? call.project : nil) }
      return reply
    }
  }

  /// Checks everything that comes before the body.
  private func admit(
    _ route: Route, _ match: RouteTable.Match, path: Substring, query: Substring, _ headers: HTTPFields,
    isHead: Bool = false, from peer: Peer
  ) async throws -> Call {
    let identity = try await authenticate(peer, headers)
    try route.right.check(identity)
    let query = try QueryValues(parsing: query)
    for parameter in route.query {
      if let value = query[parameter] {
        try parameter.check(value)
      } else if parameter.isRequired {
        throw APIError.invalid("`\(parameter.name)` has to be given in the query")
      }
    }
    let call = Call(
      identity: identity, method: route.method, isHead: isHead, path: String(path),
      parameters: match.parameters,
      query: query, headers: headers, body: ByteBuffer(), peer: peer)
    if route.isOfProject, let identity, !identity.reaches(project: call.project) {
      throw APIError.denied("you have no part in the project `\(call.project)`")
    }
    return call
  }

  private func read(_ body: RequestBody, into call: Call) async throws -> Call {
    let length = call.headers[.contentLength].flatMap { Int($0) } ?? 0
    if length > Self.largestBody { throw Self.tooLarge }
    if length == 0, call.headers[.transferEncoding] == nil { return call }
    var call = call
    do {
      call.body = try await withThrowingTaskGroup(of: ByteBuffer.self) { group in
        group.addTask { try await body.collect(upTo: Self.largestBody) }
        group.addTask {
          try await Task.sleep(for: Self.bodyPatience)
          throw APIError(.timedOut, "the body of the request did not come in time")
        }
        defer { group.cancelAll() }
        return try await group.next() ?? ByteBuffer()
      }
    } catch is NIOTooManyBytesError {
      throw Self.tooLarge
    } catch let error where !(error is APIError || error is CancellationError) {
      // The connection has ended, or what came is no HTTP. Such an error may hold some of the body: no log has it.
      throw APIError.invalid("the body of the request did not come whole")
    }
    return call
  }

  /// A POST with an Idempotency-Key is carried out once.
  private func once(_ call: Call, _ respond: Route.Respond) async throws -> Reply {
    guard call.method == .post, let key = call.headers[.idempotencyKey] else {
      return try await respond(call)
    }
    return try await keys.respond(to: call, key: key) { try await respond(call) }
  }

  // MARK: - Upgrades

  /// Whether a request to open a websocket or a tunnel is granted. When not, the request is answered as any other,
  /// which says why.
  func grants(
    _ upgrade: UpgradeGate.Upgrade, _ target: String, _ headers: HTTPFields, from peer: Peer
  ) async -> Bool {
    do {
      switch upgrade {
      case .webSocket:
        let (action, call) = try await find(\.webSocket, target, headers, from: peer)
        try await action.check(call)
      case .tunnel:
        let (action, call) = try await find(\.tunnel, target, headers, from: peer)
        try await action.check(call)
      }
      return true
    } catch { return false }
  }

  func run(_ socket: WebSocket, _ target: String, _ headers: HTTPFields, from peer: Peer) async throws {
    do {
      let (action, call) = try await find(\.webSocket, target, headers, from: peer)
      try await action.run(call, socket)
    } catch let error as APIError {
      throw WebSocketClosure(error.code == .gone ? .tooSlow : .policyViolation, error.message)
    }
  }

  func run(
    _ channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>, _ target: String, _ headers: HTTPFields,
    from peer: Peer
  ) async throws {
    let (action, call) = try await find(\.tunnel, target, headers, from: peer)
    try await channel.executeThenClose { try await action.run(call, $0, $1) }
  }

  private func find<Action>(
    _ action: KeyPath<Route, Action?>, _ target: String, _ headers: HTTPFields, from peer: Peer
  ) async throws -> (Action, Call) {
    let (path, query) = try Self.split(target)
    let match = try table.find(path)
    guard let route = match.methods[.get], let action = route[keyPath: action] else {
      throw APIError.invalid("\(path) cannot be upgraded to that")
    }
    try Self.checkOrigin(headers, host: headers[.hostField])
    return (action, try await admit(route, match, path: path, query: query, headers, from: peer))
  }

  // MARK: - Details

  private static func action(of route: Route, _ headers: HTTPFields) -> Route.Action {
    guard case .either(let respond, let stream) = route.action else { return route.action }
    return headers[.contentType]?.lowercased() == "application/octet-stream"
      ? .stream(stream) : .respond(respond)
  }

  /// A browser says which site's page asks (RFC 6454, section 7). Those of other sites may change nothing and
  /// listen to nothing, whatever certificate the browser holds.
  private static func checkOrigin(_ headers: HTTPFields, host: String?) throws(APIError) {
    guard let origin = headers[.origin] else { return }
    if origin.components(separatedBy: "://").last != host {
      throw .denied("a page of \(origin.prefix(80)) may not ask this")
    }
  }

  private static var tooLarge: APIError {
    APIError(.tooLarge, "the body of a request holds at most \(largestBody >> 20) MiB")
  }

  /// What the gate refuses comes here without its wish for an upgrade, but with its key.
  private static func asksForWebSocket(_ headers: HTTPFields) -> Bool { headers[.secWebSocketKey] != nil }

  /// Path and query of a request's target, which may be a whole URL (RFC 9112, section 3.2).
  private static func split(_ target: String) throws(APIError) -> (path: Substring, query: Substring) {
    var rest = target[...]
    if !rest.hasPrefix("/"), let scheme = rest.range(of: "://") {
      rest = rest[scheme.upperBound...]
      rest = rest[(rest.firstIndex(of: "/") ?? rest.endIndex)...]
      if rest.isEmpty { rest = "/" }
    }
    rest = rest.prefix { $0 != "#" }
    guard let mark = rest.firstIndex(of: "?") else { return (rest, "") }
    return (rest[..<mark], rest[rest.index(after: mark)...])
  }

  private static func options(_ methods: [Route.Method]) -> Reply {
    Reply(status: .noContent, headers: [.allow: allowed(methods)], body: .bytes(ByteBuffer()))
  }

  private static func notAllowed(_ method: HTTPRequest.Method, _ match: RouteTable.Match) -> Reply {
    let allowed = allowed(Array(match.methods.keys))
    var reply = Reply.failed(
      APIError(.methodNotAllowed, "this path knows \(allowed), not \(method.rawValue.prefix(20))"))
    reply.headers[.allow] = allowed
    return reply
  }

  private static func allowed(_ methods: [Route.Method]) -> String {
    let names = methods.map(\.rawValue) + (methods.contains(.get) ? ["HEAD"] : []) + ["OPTIONS"]
    return names.sorted().joined(separator: ", ")
  }
}
