import Glibc
import HostSystem

/// Real sockets on the host's loopback.
enum HostSockets {
  static func address(_ port: UInt16, _ host: IPv4Address = .loopback) -> sockaddr_in {
    sockaddr_in(
      sin_family: sa_family_t(AF_INET), sin_port: port.bigEndian,
      sin_addr: in_addr(s_addr: host.value.bigEndian), sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
  }

  static func with<Result>(
    _ address: sockaddr_in, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  static func make(_ kind: __socket_type) throws -> Descriptor {
    let descriptor = Descriptor(
      owning: Int32(
        try retrying { Int(socket(AF_INET, Int32(kind.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)) }))
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor.raw, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(descriptor.raw, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    return descriptor
  }

  /// A socket bound to a free port of the loopback address, or to a port of any address.
  static func bound(_ kind: __socket_type, port: UInt16 = 0, host: IPv4Address = .loopback) throws -> (
    Descriptor, UInt16
  ) {
    let descriptor = try make(kind)
    try retrying { Int(with(address(port, host)) { bind(descriptor.raw, $0, $1) }) }
    if kind == SOCK_STREAM { try retrying { Int(listen(descriptor.raw, 8)) } }
    var actual = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &actual) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor.raw, $0, &size) }
    }
    return (descriptor, UInt16(bigEndian: actual.sin_port))
  }

  /// A port that nobody has just now.
  static func freePort(_ kind: __socket_type = SOCK_STREAM) throws -> UInt16 { try bound(kind).1 }

  static func connected(_ kind: __socket_type, to port: UInt16) throws -> Descriptor {
    let descriptor = try make(kind)
    try retrying { Int(with(address(port)) { connect(descriptor.raw, $0, $1) }) }
    return descriptor
  }

  static func accepted(_ listener: Descriptor) throws -> Descriptor {
    Descriptor(owning: Int32(try retrying { Int(accept(listener.raw, nil, nil)) }))
  }

  static func read(_ descriptor: Descriptor, _ count: Int = 65536) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    let held = try buffer.withUnsafeMutableBytes { try descriptor.read(into: $0) }
    return Array(buffer[..<held])
  }

  static func readAll(_ descriptor: Descriptor) throws -> [UInt8] {
    var all: [UInt8] = []
    while case let part = try read(descriptor), !part.isEmpty { all += part }
    return all
  }

  static func write(_ bytes: [UInt8], to descriptor: Descriptor) throws {
    try bytes.withUnsafeBytes { try descriptor.writeAll($0) }
  }

  /// Serves one HTTP request on a thread: `body` with a length.
  static func serveOnce(_ body: [UInt8], on listener: Descriptor) throws -> HostSystem.Thread {
    try HostSystem.Thread.start(name: "http") {
      guard let client = try? accepted(listener), (try? read(client)) != nil else { return }
      let head = "HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
      try? write(Array(head.utf8) + body, to: client)
      shutdown(client.raw, Int32(SHUT_WR))
      _ = try? readAll(client)
    }
  }
}
