internal import CHost
internal import Glibc

extension UnixSocket {
  /// Bytes that a socket's path may have (unix(7): 108 with the zero behind it).
  package static let longestPath = 107

  /// Connects to the socket at a path, without waiting: `EAGAIN` when as many as it takes wait there already,
  /// `ECONNREFUSED` when nobody listens. The socket is nonblocking.
  package static func connect(toPath path: String, _ kind: Kind = .stream) throws(Errno) -> UnixSocket {
    let socket = try unconnected(kind)
    _ = try retrying {
      withAddress(path) { Int(Glibc.connect(socket.raw, $0, $1)) }
    }
    return UnixSocket(socket)
  }

  /// The next program that connected to a listening socket, as a nonblocking one; nil when there is none.
  package static func accept(on listener: Descriptor) throws(Errno) -> UnixSocket? {
    let result = volary_accept(listener.raw)
    if result == -EAGAIN || result == -ECONNABORTED || result == -EINTR { return nil }
    return UnixSocket(Descriptor(owning: try check(result)))
  }

  /// A socket of no address yet, nonblocking and close-on-exec.
  static func unconnected(_ kind: Kind) throws(Errno) -> Descriptor {
    let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    return Descriptor(owning: Int32(try retrying { Int(socket(AF_UNIX, kind.type | flags, 0)) }))
  }

  /// Lends a path in the form that system calls take. One that cannot be a socket's is refused as they would.
  static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int) -> Int {
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count <= longestPath, !bytes.contains(0) else {
      errno = ENAMETOOLONG
      return -1
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}
