internal import Glibc
internal import HostSystem

/// The host's end of a device: a socket, or a device file that acts like one, read and written
/// without blocking, with gathered buffers, and without the signal that a closed peer would raise.
final class HostChannel: Sendable {
  /// What one operation came to.
  enum Outcome: Equatable {
    case transferred(Int)
    /// Nothing now; the descriptor becomes ready later.
    case wouldBlock
    /// The peer is gone.
    case closed
    /// The operation failed, but the peer is there.
    case failed
  }

  /// The most buffers of a system call (`IOV_MAX`).
  private static let vectorLimit = 1024

  let descriptor: Descriptor
  /// The socket's type (socket(2)), or nil when the descriptor is no socket.
  let socketType: Int32?

  init(_ descriptor: Descriptor) throws(Errno) {
    self.descriptor = descriptor
    var type: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    let isSocket = getsockopt(descriptor.raw, SOL_SOCKET, SO_TYPE, &type, &size) == 0
    socketType = isSocket ? type : nil
    try descriptor.setNonblocking(true)
  }

  /// Whether a read of nothing is an empty message and not the end.
  var hasEmptyMessages: Bool { socketType == Int32(SOCK_DGRAM.rawValue) }

  /// Fills buffers in order; `transferred(0)` is the end of a stream.
  func read(into buffers: [UnsafeMutableRawBufferPointer]) -> Outcome {
    Self.withVectors(buffers.map { UnsafeRawBufferPointer($0) }) { vectors, count in
      Glibc.readv(descriptor.raw, vectors, Int32(count))
    }
  }

  /// Writes buffers in order.
  func write(_ buffers: [UnsafeRawBufferPointer]) -> Outcome {
    Self.withVectors(buffers) { vectors, count in
      guard socketType != nil else { return Glibc.writev(descriptor.raw, vectors, Int32(count)) }
      var message = msghdr()
      message.msg_iov = UnsafeMutablePointer(mutating: vectors)
      message.msg_iovlen = count
      return sendmsg(descriptor.raw, &message, Int32(MSG_NOSIGNAL))
    }
  }

  /// Tells the peer of a stream that no more will come.
  func endWriting() { _ = shutdown(descriptor.raw, Int32(SHUT_WR)) }

  /// Tells the peer of a stream that nothing more will be read.
  func endReading() { _ = shutdown(descriptor.raw, Int32(SHUT_RD)) }

  /// Whether nothing can pass in either direction any more, but for what waits to be read.
  var isHungUp: Bool {
    var entry = pollfd(fd: descriptor.raw, events: 0, revents: 0)
    return poll(&entry, 1, 0) > 0 && entry.revents & Int16(POLLHUP) != 0
  }

  /// Copies what waits in a socket and leaves it there, as ``read(into:)`` but for that.
  func peek(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    Self.outcome { recv(descriptor.raw, buffer.baseAddress, buffer.count, Int32(MSG_PEEK)) }
  }

  private static func withVectors(
    _ buffers: [UnsafeRawBufferPointer], _ call: (UnsafePointer<iovec>, Int) -> Int
  ) -> Outcome {
    let vectors = buffers.prefix(vectorLimit).map {
      iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
    }
    return outcome {
      vectors.withUnsafeBufferPointer { vectors in
        guard let first = vectors.baseAddress else { return 0 }
        return call(first, vectors.count)
      }
    }
  }

  private static func outcome(_ call: () -> Int) -> Outcome {
    do {
      return .transferred(try retrying(call))
    } catch {
      switch error.code {
      case EAGAIN: return .wouldBlock
      // EBADFD: a TAP device that was deleted.
      case EPIPE, ECONNRESET, ECONNREFUSED, ENOTCONN, EBADFD: return .closed
      default: return .failed
      }
    }
  }
}
