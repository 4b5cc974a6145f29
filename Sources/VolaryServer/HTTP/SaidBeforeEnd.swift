internal import NIOCore

/// Lets go what has been written before a connection's sending side ends.
///
/// NIO does so by itself, except where the other end has ended its own side: there it closes the connection at once,
/// and an answer that is larger than the socket's buffer is cut short.
final class SaidBeforeEnd: ChannelOutboundHandler {
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    guard mode == .output else {
      context.close(mode: mode, promise: promise)
      return
    }
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    // Nothing, but behind all the rest.
    context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer()))).whenComplete { _ in
      bound.value.close(mode: .output, promise: promise)
    }
  }
}
