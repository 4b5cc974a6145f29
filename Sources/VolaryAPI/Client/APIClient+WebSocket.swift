internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOWebSocket

extension APIClient {
  /// Opens a websocket (RFC 6455) and calls `body` with it; it is closed when `body` is done.
  package func webSocket<Result: Sendable>(
    _ path: String, query: [(String, String)] = [], _ body: (WebSocket) async throws -> Result
  ) async throws -> Result {
    let upgraded: WebSocketUpgrade
    do {
      upgraded = try await connect(APIEndpoint.target(path, query: query)).get()
    } catch {
      throw APIError(connecting: endpoint, error)
    }
    switch upgraded {
    case .open(let channel): return try await WebSocket.run(channel, masks: true, body)
    case .refused(let channel): throw await Self.refusal(channel)
    }
  }

  private func connect(_ target: String) async throws -> EventLoopFuture<WebSocketUpgrade> {
    let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connectTimeout(.seconds(10))
    switch endpoint {
    case .unix(let path):
      return try await bootstrap.connect(unixDomainSocketPath: path) { channel in
        channel.eventLoop.makeCompletedFuture {
          try Self.configure(channel, target: target, host: "localhost", token: nil)
        }
      }
    case .https(let base, let tls, let token):
      guard let url = URL(string: base), let host = url.host(percentEncoded: false) else {
        throw APIError(.invalid, "`\(base)` is no URL")
      }
      let context = try NIOSSLContext(configuration: tls)
      return try await bootstrap.connect(host: host, port: url.port ?? 443) { channel in
        channel.eventLoop.makeCompletedFuture {
          // Server names (RFC 6066) are names: an address is none.
          let name = (try? SocketAddress(ipAddress: host, port: 0)) == nil ? host : nil
          try channel.pipeline.syncOperations.addHandler(
            NIOSSLClientHandler(context: context, serverHostname: name))
          return try Self.configure(channel, target: target, host: host, token: token)
        }
      }
    }
  }

  private static func configure(
    _ channel: any Channel, target: String, host: String, token: String?
  ) throws -> EventLoopFuture<WebSocketUpgrade> {
    let upgrader = NIOTypedWebSocketClientUpgrader<WebSocketUpgrade>(
      maxFrameSize: WebSocket.largestMessage
    ) { channel, _ in
      channel.eventLoop.makeCompletedFuture { .open(try WebSocket.wrap(channel)) }
    }
    var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target)
    head.headers.add(name: "Host", value: host)
    head.headers.add(name: "Content-Length", value: "0")
    if let token { head.headers.add(name: "Authorization", value: "Bearer \(token)") }
    let upgrade = NIOTypedHTTPClientUpgradeConfiguration<WebSocketUpgrade>(
      upgradeRequestHead: head, upgraders: [upgrader]
    ) { channel in
      channel.eventLoop.makeCompletedFuture {
        .refused(try NIOAsyncChannel(wrappingChannelSynchronously: channel))
      }
    }
    var configuration = NIOUpgradableHTTPClientPipelineConfiguration(upgradeConfiguration: upgrade)
    // The first messages may come together with the answer.
    configuration.leftOverBytesStrategy = .forwardBytes
    return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
      configuration: configuration)
  }

  /// The error in an answer that is no upgrade.
  private static func refusal(
    _ channel: NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>
  ) async -> APIError {
    var (status, body) = (0, Data())
    try? await channel.executeThenClose { inbound, _ in
      for try await part in inbound {
        switch part {
        case .head(let head): status = Int(head.status.code)
        case .body(let bytes): if body.count < 1 << 20 { body.append(contentsOf: bytes.readableBytesView) }
        case .end: return
        }
      }
    }
    if let envelope = try? APICoding.decode(ErrorEnvelope.self, from: body) { return envelope.apiError }
    return APIError(APIError.Code(status: status), "the daemon opened no websocket (status \(status))")
  }
}

/// What came of a request for a websocket.
private enum WebSocketUpgrade: Sendable {
  case open(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>)
  case refused(NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>)
}
