internal import Glibc
internal import HostSystem
internal import NIOCore
internal import NIOPosix

extension UnixSocket {
  /// The stream as a channel of NIO's, which has a descriptor of its own.
  func channel() async throws -> NIOAsyncChannel<ByteBuffer, ByteBuffer> {
    try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .withConnectedSocket(fcntl(descriptor.raw, F_DUPFD_CLOEXEC, 0)) { channel in
        channel.eventLoop.makeCompletedFuture {
          try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
        }
      }
  }
}
