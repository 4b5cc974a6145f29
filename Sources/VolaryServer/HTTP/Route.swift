package import HummingbirdCore
package import NIOCore
package import VolaryAPI

/// A type that is read from JSON, as the document describes it.
package typealias DescribedType = any (Decodable & SendableMetatype).Type

/// One declaration of what the API can do. Requests are routed, checked and answered by it, and the OpenAPI
/// document is written from it.
package struct Route: Sendable {
  package enum Method: String, Sendable, CaseIterable {
    case get = "GET"
    case put = "PUT"
    case patch = "PATCH"
    case post = "POST"
    case delete = "DELETE"

    /// Whether it changes nothing (RFC 9110, section 9.2.1).
    var isSafe: Bool { self == .get }
  }

  /// What a route answers with.
  package enum Answer: Sendable {
    case object(DescribedType)
    /// Paths, or objects with `recursion`.
    case list(DescribedType)
    /// Lists by a word that says what is common to each.
    case groups(DescribedType)
    case nothing
    /// Something that is found at Location.
    case made
    case operation
    /// No envelope: bytes of a media type.
    case bytes(type: String)
  }

  package typealias Respond = @Sendable (Call) async throws -> Reply
  package typealias RespondToStream = @Sendable (Call, RequestBody) async throws -> Reply

  package enum Action: Sendable {
    /// The body is read before.
    case respond(Respond)
    /// The body is the route's own to read, and as large as it likes.
    case stream(RespondToStream)
    /// As ``stream(_:)`` where the request says that its body is octets, else as ``respond(_:)``.
    case either(Respond, RespondToStream)
  }

  /// What a route does with a websocket.
  package struct WebSocketAction: Sendable {
    /// Throws what is answered in place of an upgrade.
    package let check: @Sendable (Call) async throws -> Void
    package let run: @Sendable (Call, WebSocket) async throws -> Void

    package init(
      check: @escaping @Sendable (Call) async throws -> Void = { _ in },
      run: @escaping @Sendable (Call, WebSocket) async throws -> Void
    ) {
      self.check = check
      self.run = run
    }
  }

  /// What a route does with a connection that is no longer HTTP's: `Upgrade: sftp`.
  package struct TunnelAction: Sendable {
    /// The one protocol there is, as it stands in the header.
    package static let name = "sftp"

    /// Throws what is answered in place of an upgrade.
    package let check: @Sendable (Call) async throws -> Void
    package let run:
      @Sendable (
        Call, NIOAsyncChannelInboundStream<ByteBuffer>, NIOAsyncChannelOutboundWriter<ByteBuffer>
      ) async throws -> Void
  }

  package let method: Method
  /// With braces around what a request fills in: `/1.0/instances/{name}/state`.
  package let path: String
  /// What it does, for the document.
  package let summary: String
  package let right: Right
  package let query: [QueryParameter]
  package let request: DescribedType?
  package let answer: Answer
  package let action: Action
  package let webSocket: WebSocketAction?
  package let tunnel: TunnelAction?

  package init(
    _ method: Method, _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    request: DescribedType? = nil, answer: Answer, webSocket: WebSocketAction? = nil,
    tunnel: TunnelAction? = nil, action: Action
  ) {
    self.method = method
    self.path = path
    self.summary = summary
    self.right = right
    self.query = query
    self.request = request
    self.answer = answer
    self.webSocket = webSocket
    self.tunnel = tunnel
    self.action = action
  }

  /// Whether what it is about lies in the project that the query names.
  var isOfProject: Bool { query.contains(.project) }

  /// The names in the braces.
  var parameterNames: [String] {
    path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
  }
}

/// Part of the API, by one who looks after it.
package protocol RouteGroup: Sendable {
  var routes: [Route] { get }
  /// What it can do beyond Incus's version 1.0, by Incus's names where there are some.
  var apiExtensions: [String] { get }
}

extension RouteGroup {
  package var apiExtensions: [String] { [] }
}
