package import NIOCore
package import NIOWebSocket

/// One end of an open websocket (RFC 6455). Sending waits while the other end does not read.
package struct WebSocket: Sendable {
  package enum Message: Equatable, Sendable {
    case text(String)
    case binary(ByteBuffer)
  }

  /// Bytes of the largest message, and of the largest frame, that are taken.
  package static let largestMessage = 1 << 20

  /// How long a closing frame may take to go: the other end may not read at all.
  private static let lastFrame: TimeAmount = .seconds(60)

  private let channel: any Channel
  private let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
  /// Whether this is the client's end, which has to mask what it sends (section 5.3).
  private let masks: Bool
  /// What the other end sends, until it closes; for one reader. Pings are answered while somebody reads.
  package let messages: Messages

  package func send(_ text: String) async throws {
    try await send(.text, ByteBuffer(string: text))
  }

  package func send(_ bytes: ByteBuffer) async throws { try await send(.binary, bytes) }

  /// Says that no more comes, and why (section 7.4). Returns when that has gone with all that was sent before:
  /// the end of a channel throws away what is still to go.
  package func close(_ code: WebSocketClosure.Code = .normal, reason: String = "") async throws {
    var bytes = ByteBuffer()
    bytes.writeInteger(code.rawValue)
    // A control frame holds 125 bytes.
    var rest = reason[...]
    while rest.utf8.count > 123 { rest.removeLast() }
    bytes.writeSubstring(rest)
    let gone = channel.eventLoop.makePromise(of: Void.self)
    let deadline = channel.eventLoop.scheduleTask(in: Self.lastFrame) {
      gone.fail(WebSocketClosure(.lost, "the other end does not read"))
    }
    gone.futureResult.whenComplete { _ in deadline.cancel() }
    channel.writeAndFlush(frame(.connectionClose, bytes)).cascade(to: gone)
    try await withTaskCancellationHandler {
      try await gone.futureResult.get()
    } onCancel: {
      gone.fail(CancellationError())
    }
  }

  private func send(_ opcode: WebSocketOpcode, _ bytes: ByteBuffer) async throws {
    try await outbound.write(frame(opcode, bytes))
  }

  private func frame(_ opcode: WebSocketOpcode, _ bytes: ByteBuffer) -> WebSocketFrame {
    WebSocketFrame(fin: true, opcode: opcode, maskKey: masks ? .random() : nil, data: bytes)
  }
}

extension WebSocket {
  /// Makes a channel that has been upgraded ready for ``run(_:masks:_:)``. On its event loop.
  package static func wrap(_ channel: any Channel) throws -> NIOAsyncChannel<WebSocketFrame, WebSocketFrame> {
    try channel.pipeline.syncOperations.addHandler(
      NIOWebSocketFrameAggregator(
        minNonFinalFragmentSize: 1, maxAccumulatedFrameCount: 4096, maxAccumulatedFrameSize: largestMessage))
    return try NIOAsyncChannel(wrappingChannelSynchronously: channel)
  }

  /// Calls `body` with the open websocket, and closes it when `body` is done: with the code and the reason of
  /// a ``WebSocketClosure`` that it throws.
  package static func run<Result: Sendable>(
    _ channel: NIOAsyncChannel<WebSocketFrame, WebSocketFrame>, masks: Bool,
    _ body: (WebSocket) async throws -> Result
  ) async throws -> Result {
    try await channel.executeThenClose { inbound, outbound in
      let messages = Messages(inbound: inbound, outbound: outbound, masks: masks)
      let socket = WebSocket(channel: channel.channel, outbound: outbound, masks: masks, messages: messages)
      do {
        let result = try await body(socket)
        try? await socket.close()
        return result
      } catch {
        let closure =
          error is CancellationError
          ? WebSocketClosure(.goingAway, "this end goes") : error as? WebSocketClosure
        let code = closure?.code ?? .failed
        try? await socket.close(
          code.mayBeSent ? code : .protocolError, reason: closure?.reason ?? "this end failed")
        throw error
      }
    }
  }

  /// The messages of the other end. Thrown is a ``WebSocketClosure`` when it closes for another reason than
  /// being done.
  package struct Messages: AsyncSequence, Sendable {
    package typealias Element = Message
    fileprivate let inbound: NIOAsyncChannelInboundStream<WebSocketFrame>
    fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
    fileprivate let masks: Bool

    package func makeAsyncIterator() -> Iterator {
      Iterator(frames: inbound.makeAsyncIterator(), outbound: outbound, masks: masks)
    }

    package struct Iterator: AsyncIteratorProtocol {
      fileprivate var frames: NIOAsyncChannelInboundStream<WebSocketFrame>.AsyncIterator
      fileprivate let outbound: NIOAsyncChannelOutboundWriter<WebSocketFrame>
      fileprivate let masks: Bool

      package mutating func next() async throws -> Message? {
        while let frame = try await frames.next() {
          var data = frame.unmaskedData
          switch frame.opcode {
          case .text:
            guard let text = String(validating: data.readableBytesView, as: UTF8.self) else {
              throw WebSocketClosure(.malformed, "a text message is not UTF-8")
            }
            return .text(text)
          case .binary: return .binary(data)
          case .ping:
            try await outbound.write(
              WebSocketFrame(fin: true, opcode: .pong, maskKey: masks ? .random() : nil, data: data))
          case .connectionClose:
            let code =
              data.readInteger(as: UInt16.self).map { WebSocketClosure.Code(rawValue: $0) } ?? .normal
            if code == .normal || code == .goingAway { return nil }
            throw WebSocketClosure(code, data.readString(length: data.readableBytes) ?? "")
          default: continue
          }
        }
        throw WebSocketClosure(.lost, "the connection ended without a word")
      }
    }
  }
}

/// Why a websocket is closed, told to the other end or by it.
package struct WebSocketClosure: Error, Equatable, Sendable {
  /// The numbers of RFC 6455, section 7.4, and of IANA's registry.
  package struct Code: RawRepresentable, Equatable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Whether it may stand in a frame: some numbers are for one's own use alone.
    var mayBeSent: Bool { [1000...1003, 1007...1014, 3000...4999].contains { $0.contains(rawValue) } }

    package static let normal = Code(rawValue: 1000)
    package static let goingAway = Code(rawValue: 1001)
    /// What came is not what RFC 6455 allows.
    package static let protocolError = Code(rawValue: 1002)
    /// The connection ended without a closing frame; never sent.
    package static let lost = Code(rawValue: 1006)
    package static let malformed = Code(rawValue: 1007)
    /// What was asked for may not be, or is not there.
    package static let policyViolation = Code(rawValue: 1008)
    package static let failed = Code(rawValue: 1011)
    /// The other end reads too slowly, and what it missed is gone ("try again later").
    package static let tooSlow = Code(rawValue: 1013)
  }

  package let code: Code
  package let reason: String

  package init(_ code: Code, _ reason: String) {
    self.code = code
    self.reason = reason
  }
}
