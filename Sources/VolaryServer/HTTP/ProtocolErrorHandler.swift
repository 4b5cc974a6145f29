internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import VolaryAPI

/// Answers what is no HTTP with an error of ours, and ends the connection.
final class ProtocolErrorHandler: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias InboundOut = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private var isAnswering = false

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard error is HTTPParserError else {
      context.fireErrorCaught(error)
      return
    }
    // Amid another answer there is no place for this one.
    if isAnswering {
      context.close(promise: nil)
      return
    }
    let failure: APIError
    switch error {
    case HTTPParserError.headerOverflow: failure = .invalid("the header of the request is too large")
    case HTTPParserError.invalidMethod: failure = .invalid("the method of the request is none of HTTP's")
    default: failure = .invalid("the request is not HTTP/1.1")
    }
    let body = (try? EnvelopeWriter.error(failure)) ?? Data()
    let headers: HTTPHeaders = [
      "Content-Type": "application/json", "Content-Length": String(body.count), "Connection": "close",
    ]
    let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
    let channel = context.channel
    context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .head(let head): isAnswering = !(100..<200).contains(head.status.code)
    case .body: break
    case .end: isAnswering = false
    }
    context.write(data, promise: promise)
  }
}
