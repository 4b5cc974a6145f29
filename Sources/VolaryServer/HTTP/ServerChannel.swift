internal import Glibc
internal import HTTPTypes
package import HummingbirdCore
package import Logging
package import NIOCore
internal import NIOHTTP1
internal import NIOHTTPTypes
internal import NIOHTTPTypesHTTP1
package import NIOSSL
internal import NIOWebSocket
internal import ServiceLifecycle
internal import SwiftASN1
internal import VolaryAPI

/// One connection to the daemon: HTTP/1.1 until it ends, or a websocket from its first request on.
package struct ServerChannel: HTTPChannelHandler {
  /// How long a connection may be silent between requests or within one.
  private static let idleTime: Duration = .seconds(60)
  /// How long the first request's head may take.
  private static let firstHead: TimeAmount = .seconds(30)

  package struct Value: ServerChildChannelValue {
    package let channel: any Channel
    let outcome: EventLoopFuture<Outcome>
    /// What it is counted under.
    let origin: String
  }

  enum Outcome: Sendable {
    case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
    case webSocket(NIOAsyncChannel<WebSocketFrame, WebSocketFrame>, target: String, headers: HTTPFields)
    case tunnel(NIOAsyncChannel<ByteBuffer, ByteBuffer>, target: String, headers: HTTPFields)
  }

  private let dispatcher: Dispatcher
  private let tls: NIOSSLContext?
  private let bounds = ConnectionBounds()
  package private(set) var responder: Responder

  /// `tls` for connections over the network.
  package init(_ dispatcher: Dispatcher, tls: NIOSSLContext? = nil) {
    self.dispatcher = dispatcher
    self.tls = tls
    responder = { _, _, _ in }
  }

  // MARK: - A new connection

  package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
    origin(of: channel).flatMapThrowing { origin in
      guard bounds.admit(origin) else {
        logger.warning("a connection of \(origin) is refused: it has \(ConnectionBounds.most)")
        channel.close(promise: nil)
        throw ChannelError.alreadyClosed
      }
      do { return Value(channel: channel, outcome: try begin(channel, logger: logger), origin: origin) } catch
      {
        bounds.leave(origin)
        throw error
      }
    }
  }

  private func begin(_ channel: any Channel, logger: Logger) throws -> EventLoopFuture<Outcome> {
    try channel.pipeline.syncOperations.addHandler(SaidBeforeEnd())
    if let tls {
      // Who it is that shows a certificate is looked at with each request.
      let handler = NIOSSLServerHandler(context: tls) { _, verdict in verdict.succeed(.certificateVerified) }
      try channel.pipeline.syncOperations.addHandler(handler)
    }
    let outcome = try configure(channel, logger: logger)
    let deadline = channel.eventLoop.scheduleTask(in: Self.firstHead) { channel.close(promise: nil) }
    outcome.whenComplete { _ in deadline.cancel() }
    return outcome
  }

  /// Whose connections it counts among: a user's or an address's.
  private func origin(of channel: any Channel) -> EventLoopFuture<String> {
    guard channel.localAddress?.protocol == .unix, let options = channel as? any SocketOptionProvider else {
      return channel.eventLoop.makeSucceededFuture(ConnectionBounds.origin(of: channel.remoteAddress))
    }
    return credentials(options).map { "uid:\($0.user)" }
  }

  private func credentials(_ options: any SocketOptionProvider) -> EventLoopFuture<Credentials> {
    options.unsafeGetSocketOption(level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
  }

  /// Whose process is at the other end (unix(7), SO_PEERCRED), or which address and certificate. From the first
  /// request on: before, there may be no certificate yet.
  private func peer(of channel: any Channel) -> EventLoopFuture<Peer> {
    guard channel.localAddress?.protocol == .unix, let options = channel as? any SocketOptionProvider else {
      let address = channel.remoteAddress?.ipAddress ?? "unknown"
      guard tls != nil else {
        return channel.eventLoop.makeSucceededFuture(.network(address: address, certificate: nil))
      }
      return channel.nioSSL_peerCertificate().map { certificate in
        .network(address: address, certificate: certificate.flatMap(ClientCertificate.init))
      }
    }
    return credentials(options).map { .unix(user: $0.user) }
  }

  /// The kernel's struct ucred (unix(7)).
  private struct Credentials: Sendable {
    let process: Int32
    let user: UInt32
    let group: UInt32
  }

  /// As NIO's own set-up for upgrades, with errors told in our words.
  private func configure(_ channel: any Channel, logger: Logger) throws -> EventLoopFuture<Outcome> {
    let encoder = HTTPResponseEncoder()
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16 << 10
    limits.maxHeaderListSize = 64 << 10
    limits.maxHeaderFieldCount = 200
    let decoder = ByteToMessageHandler(
      HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
    let pipelining = HTTPServerPipelineHandler()
    let errors = ProtocolErrorHandler()
    let gate = UpgradeGate { channel, head, upgrade in
      peer(of: channel).flatMap { peer in
        channel.eventLoop.makeFutureWithTask {
          await dispatcher.grants(upgrade, head.uri, HTTPFields(reading: head.headers), from: peer)
        }
      }
    }
    let extra: [any RemovableChannelHandler] = [decoder, pipelining, errors, gate]
    let upgrade = NIOTypedHTTPServerUpgradeHandler(
      httpEncoder: encoder, extraHTTPHandlers: extra,
      upgradeConfiguration: .init(upgraders: [upgrader, TunnelUpgrader()]) { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            HTTP1ToHTTPServerCodec(secure: false),
            HTTPConnectionStateHandler(idleTimeout: Self.idleTime, logger: logger),
          ])
          return .http(
            try NIOAsyncChannel(
              wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
          )
        }
      })
    let pipeline = channel.pipeline.syncOperations
    try pipeline.addHandlers([encoder, decoder, pipelining, errors, gate, upgrade])
    return upgrade.upgradeResultFuture
  }

  /// Whether it may was decided at the gate.
  private var upgrader: NIOTypedWebSocketServerUpgrader<Outcome> {
    NIOTypedWebSocketServerUpgrader<Outcome>(
      maxFrameSize: WebSocket.largestMessage,
      shouldUpgrade: { channel, head in
        channel.eventLoop.makeSucceededFuture(BrowserToken.answer(to: head.headers))
      },
      upgradePipelineHandler: { channel, head in
        channel.eventLoop.makeCompletedFuture {
          .webSocket(
            try WebSocket.wrap(channel), target: head.uri, headers: HTTPFields(reading: head.headers))
        }
      })
  }

  // MARK: - Its course

  package func handle(value: Value, logger: Logger) async {
    // A connection that has been dropped counts until nothing goes on any more that it began: streams notice late.
    defer { bounds.leave(value.origin) }
    // It may have gone before it asked.
    guard let outcome = try? await value.outcome.get(), let peer = try? await peer(of: value.channel).get()
    else { return }
    switch outcome {
    case .http(let channel):
      var connection = self
      connection.responder = { request, writer, _ in
        let reply = await dispatcher.respond(to: request, from: peer)
        try await Self.write(reply, to: writer, request: request)
      }
      await connection.handleHTTP(asyncChannel: channel, logger: logger)
    case .webSocket(let channel, let target, let headers):
      do {
        try await WebSocket.run(channel, masks: false) { socket in
          // The daemon's end is the end of every websocket.
          try await cancelWhenGracefulShutdown {
            try await dispatcher.run(socket, target, headers, from: peer)
          }
        }
      } catch {
        logger.debug("websocket \(target): \(error)")
      }
    case .tunnel(let channel, let target, let headers):
      do {
        try await cancelWhenGracefulShutdown {
          try await dispatcher.run(channel, target, headers, from: peer)
        }
      } catch { logger.debug("tunnel \(target): \(error)") }
    }
  }

  private static func write(
    _ reply: Reply, to writer: consuming ResponseWriter, request: Request
  ) async throws {
    var head = HTTPResponse(status: reply.status, headerFields: reply.headers)
    head.headerFields[.contentTypeOptions] = "nosniff"
    if head.headerFields[.cacheControl] == nil { head.headerFields[.cacheControl] = "no-store" }
    switch reply.body {
    case .bytes(let bytes):
      let isBodiless = reply.status == .noContent || reply.status == .notModified
      if !isBodiless { head.headerFields[.contentLength] = String(bytes.readableBytes) }
      let body = request.method == .head || isBodiless ? ResponseBody() : ResponseBody(byteBuffer: bytes)
      try await writer.write(response: head, body: body)
    case .stream(let body):
      // Without a length the end of a body is written, which a HEAD has none of: nothing may come behind it.
      if request.method == .head, head.headerFields[.contentLength] == nil {
        head.headerFields[.connection] = "close"
      }
      try await writer.write(response: head, body: request.method == .head ? ResponseBody() : body)
    }
  }
}

/// Gives a connection to the protocol of a tunnel. Whether it may was decided at the gate.
private struct TunnelUpgrader: NIOTypedHTTPServerProtocolUpgrader {
  let supportedProtocol = Route.TunnelAction.name
  let requiredUpgradeHeaders: [String] = []

  func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> { channel.eventLoop.makeSucceededFuture(initialResponseHeaders) }

  func upgrade(
    channel: any Channel, upgradeRequest: HTTPRequestHead
  ) -> EventLoopFuture<ServerChannel.Outcome> {
    channel.eventLoop.makeCompletedFuture {
      .tunnel(
        try NIOAsyncChannel(wrappingChannelSynchronously: channel), target: upgradeRequest.uri,
        headers: HTTPFields(reading: upgradeRequest.headers))
    }
  }
}

extension ClientCertificate {
  /// Nil when it cannot be written down.
  init?(_ certificate: NIOSSLCertificate) {
    guard let der = try? certificate.toDERBytes() else { return nil }
    let pem = PEMDocument(type: "CERTIFICATE", derBytes: der).pemString + "\n"
    self.init(fingerprint: ServerCertificate.fingerprint(der), pem: pem)
  }
}
