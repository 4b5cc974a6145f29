internal import NIOCore
internal import NIOHTTP1

/// Decides whether the first request of a connection becomes a websocket or a tunnel, before NIO's upgrade handler
/// sees it.
///
/// That handler can decide too, but of a request that it refuses neither head nor end comes out of it, so nobody
/// answers. What is refused here goes on without its wish, and is answered as any other request.
final class UpgradeGate: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart

  private enum State {
    /// The first head has not come yet.
    case first
    /// It asks for an upgrade; all that comes after it waits for the answer, and no more is read.
    case asking(held: [HTTPServerRequestPart], wantsMore: Bool)
    case open
  }

  enum Upgrade: Sendable {
    case webSocket, tunnel
  }

  private let isGranted: (any Channel, HTTPRequestHead, Upgrade) -> EventLoopFuture<Bool>
  private var state = State.first

  init(isGranted: @escaping (any Channel, HTTPRequestHead, Upgrade) -> EventLoopFuture<Bool>) {
    self.isGranted = isGranted
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch state {
    case .open:
      context.fireChannelRead(data)
    case .asking(var held, let wantsMore):
      held.append(unwrapInboundIn(data))
      state = .asking(held: held, wantsMore: wantsMore)
    case .first:
      guard case .head(let head) = unwrapInboundIn(data), head.headers.contains(name: "upgrade") else {
        state = .open
        context.fireChannelRead(data)
        return
      }
      state = .asking(held: [], wantsMore: false)
      guard let upgrade = Self.wanted(head) else {
        answer(context, head, granted: false)
        return
      }
      let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
      isGranted(context.channel, head, upgrade).hop(to: context.eventLoop).whenComplete { result in
        let (gate, context) = bound.value
        gate.answer(context, head, granted: (try? result.get()) ?? false)
      }
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    if case .asking = state { return }
    context.fireChannelReadComplete()
  }

  func read(context: ChannelHandlerContext) {
    guard case .asking(let held, _) = state, held.contains(where: \.isEnd) else {
      context.read()
      return
    }
    state = .asking(held: held, wantsMore: true)
  }

  private func answer(_ context: ChannelHandlerContext, _ head: HTTPRequestHead, granted: Bool) {
    guard case .asking(let held, let wantsMore) = state else { return }
    state = .open
    let channel = context.channel
    var head = head
    if !granted { head.headers.remove(name: "upgrade") }
    context.fireChannelRead(wrapInboundOut(.head(head)))
    for part in held { context.fireChannelRead(wrapInboundOut(part)) }
    context.fireChannelReadComplete()
    // With the upgrade done this handler is gone from the pipeline: from its end on.
    if wantsMore { channel.read() }
  }

  /// What is asked for, if all is there that the upgrade needs (for a websocket RFC 6455, section 4.2.1).
  private static func wanted(_ head: HTTPRequestHead) -> Upgrade? {
    let names = head.headers[canonicalForm: "upgrade"].map { $0.lowercased() }
    let connection = head.headers[canonicalForm: "connection"].map { $0.lowercased() }
    let length = head.headers.first(name: "content-length").map { $0 != "0" } ?? false
    let hasBody = length || head.headers.contains(name: "transfer-encoding")
    guard head.method == .GET, head.version == .http1_1, connection.contains("upgrade"), !hasBody else {
      return nil
    }
    if names == [Route.TunnelAction.name] { return .tunnel }
    let isWebSocket =
      names.contains("websocket") && head.headers.first(name: "sec-websocket-version") == "13"
      && head.headers["sec-websocket-key"].count == 1
    return isWebSocket ? .webSocket : nil
  }
}

extension HTTPServerRequestPart {
  fileprivate var isEnd: Bool {
    if case .end = self { true } else { false }
  }
}
