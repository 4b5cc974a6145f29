internal import CHost
internal import Glibc

/// One end of a connected Unix socket: bytes, and descriptors that travel with them (unix(7)).
package final class UnixSocket: Sendable {
  /// How the socket cuts what is sent.
  package enum Kind: Sendable {
    /// A stream of bytes.
    case stream
    /// Messages, in order; the peer's end shows.
    case sequencedPacket
    /// Messages; the peer's end does not show.
    case datagram

    /// The number that system calls take.
    var type: Int32 {
      switch self {
      case .stream: Int32(SOCK_STREAM.rawValue)
      case .sequencedPacket: Int32(SOCK_SEQPACKET.rawValue)
      case .datagram: Int32(SOCK_DGRAM.rawValue)
      }
    }
  }

  /// Descriptors that fit in one message.
  package static let mostDescriptors = 16

  package let descriptor: Descriptor

  package init(_ descriptor: Descriptor) { self.descriptor = descriptor }

  /// A connected pair, both ends close-on-exec.
  package static func pair(_ kind: Kind) throws(Errno) -> (UnixSocket, UnixSocket) {
    var ends: [Int32] = [-1, -1]
    try retrying { Int(socketpair(AF_UNIX, kind.type | Int32(SOCK_CLOEXEC.rawValue), 0, &ends)) }
    return (UnixSocket(Descriptor(owning: ends[0])), UnixSocket(Descriptor(owning: ends[1])))
  }

  /// Whether the descriptor is a socket of this kind.
  package func isOf(_ kind: Kind) -> Bool {
    var type: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor.raw, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == kind.type
  }

  /// Sends bytes, and up to ``mostDescriptors`` descriptors with the first of them. Returns how many
  /// bytes went. A peer that is gone is an `EPIPE`, never a signal.
  @discardableResult
  package func send(_ bytes: UnsafeRawBufferPointer, descriptors: [Descriptor] = []) throws(Errno) -> Int {
    let fds = descriptors.map(\.raw)
    while true {
      let sent = volary_send_descriptors(
        descriptor.raw, bytes.baseAddress, bytes.count, fds, Int32(clamping: fds.count))
      if sent != -Int(EINTR) {
        return try withExtendedLifetime(descriptors) { () throws(Errno) in try check(sent) }
      }
    }
  }

  /// Sends an array of bytes, as ``send(_:descriptors:)``.
  @discardableResult
  package func send(_ bytes: [UInt8], descriptors: [Descriptor] = []) throws(Errno) -> Int {
    var result: Result<Int, Errno> = .success(0)
    bytes.withUnsafeBytes { buffer in
      result = Result { () throws(Errno) in try send(buffer, descriptors: descriptors) }
    }
    return try result.get()
  }

  /// Receives up to `capacity` bytes and the descriptors that came with them. No bytes and no
  /// descriptors mean that the peer closed its end.
  package func receive(capacity: Int) throws(Errno) -> (bytes: [UInt8], descriptors: [Descriptor]) {
    var fds = [Int32](repeating: -1, count: Self.mostDescriptors)
    var came: Int32 = 0
    var received = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: capacity) { buffer, count in
      repeat {
        came = Int32(fds.count)
        received = volary_receive_descriptors(descriptor.raw, buffer.baseAddress, capacity, &fds, &came)
      } while received == -Int(EINTR)
      count = max(0, received)
    }
    try check(received)
    return (bytes, fds.prefix(Int(came)).map { Descriptor(owning: $0) })
  }

  /// Whether there is something to receive (the peer's end included) within `milliseconds` (-1: waits
  /// for ever).
  package func waitUntilReadable(milliseconds: Int32) throws(Errno) -> Bool {
    try wait(Int16(POLLIN), milliseconds)
  }

  /// Whether there is room to send within `milliseconds` (-1: waits for ever).
  package func waitUntilWritable(milliseconds: Int32) throws(Errno) -> Bool {
    try wait(Int16(POLLOUT), milliseconds)
  }

  private func wait(_ events: Int16, _ milliseconds: Int32) throws(Errno) -> Bool {
    var entry = pollfd(fd: descriptor.raw, events: events, revents: 0)
    return try retrying { Int(poll(&entry, 1, milliseconds)) } > 0
  }

  /// Says that nothing more will be sent; receiving goes on.
  package func finishSending() { _ = shutdown(descriptor.raw, Int32(SHUT_WR)) }
}
