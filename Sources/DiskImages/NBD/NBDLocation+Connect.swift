internal import Glibc
package import HostSystem

extension NBDLocation {
  /// Connects to the server, within `milliseconds` for each of its addresses; names are resolved in the time that the
  /// host's resolver takes. For a machine's parent, too, which hands the socket over.
  package func connect(milliseconds: Int32 = 10_000) throws(Errno) -> Descriptor {
    switch server {
    case .socket(let path): try Self.connect(path: path)
    case .host(let host, let port): try Self.connect(host: host, port: port, milliseconds)
    }
  }

  private static func connect(path: String) throws(Errno) -> Descriptor {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw Errno(ENAMETOOLONG) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let socket = try open(AF_UNIX)
    try withUnsafeBytes(of: &address) { (bytes) throws(Errno) in
      guard let start = bytes.baseAddress else { return }
      _ = try retrying {
        Int(
          Glibc.connect(
            socket.raw, start.assumingMemoryBound(to: sockaddr.self),
            socklen_t(MemoryLayout<sockaddr_un>.size)))
      }
    }
    return socket
  }

  private static func connect(host: String, port: UInt16, _ milliseconds: Int32) throws(Errno) -> Descriptor {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_ADDRCONFIG
    var list: UnsafeMutablePointer<addrinfo>?
    let result = getaddrinfo(host, String(port), &hints, &list)
    guard result == 0 else { throw result == EAI_SYSTEM ? Errno(errno) : Errno(EHOSTUNREACH) }
    defer { freeaddrinfo(list) }
    var failure = Errno(EHOSTUNREACH)
    var next = list
    while let entry = next?.pointee {
      do throws(Errno) { return try connect(entry, milliseconds) } catch { failure = error }
      next = entry.ai_next
    }
    throw failure
  }

  private static func connect(_ entry: addrinfo, _ milliseconds: Int32) throws(Errno) -> Descriptor {
    let socket = try open(entry.ai_family)
    try socket.setNonblocking(true)
    if Glibc.connect(socket.raw, entry.ai_addr, entry.ai_addrlen) < 0 {
      guard errno == EINPROGRESS else { throw Errno(errno) }
      guard try UnixSocket(socket).waitUntilWritable(milliseconds: milliseconds) else { throw .timedOut }
      var code: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      guard getsockopt(socket.raw, SOL_SOCKET, SO_ERROR, &code, &size) == 0 else { throw Errno(errno) }
      guard code == 0 else { throw Errno(code) }
    }
    // Requests are short, and none is to wait for another.
    var on: Int32 = 1
    setsockopt(socket.raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    return socket
  }

  private static func open(_ family: Int32) throws(Errno) -> Descriptor {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    return Descriptor(owning: Int32(try retrying { Int(socket(family, type, 0)) }))
  }
}
