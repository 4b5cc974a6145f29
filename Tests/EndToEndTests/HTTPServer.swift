import Foundation
import Glibc
import HostSystem

/// A server on the host's loopback that answers every request with the same bytes.
final class HTTPServer: Sendable {
  let port: UInt16
  private let listener: Descriptor

  init(_ body: [UInt8]) throws {
    let (listener, port) = try Loopback.listen()
    self.listener = listener
    self.port = port
    _ = try HostSystem.Thread.start(name: "http") {
      while true {
        let connection = accept(listener.raw, nil, nil)
        if connection < 0 { return }
        let client = Descriptor(owning: connection)
        var request = [UInt8](repeating: 0, count: 4096)
        _ = read(client.raw, &request, request.count)
        let head = "HTTP/1.0 200 OK\r\nContent-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        _ = try? Array(head.utf8).withUnsafeBytes { try client.writeAll($0) }
        _ = try? body.withUnsafeBytes { try client.writeAll($0) }
      }
    }
  }

  deinit { shutdown(listener.raw, Int32(SHUT_RDWR)) }
}

/// Sockets on 127.0.0.1.
enum Loopback {
  private static func address(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  private static func withAddress(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32)
    -> Int32
  {
    var address = address(port)
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  private static func stream() throws -> Descriptor {
    let fd = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw Errno(errno) }
    return Descriptor(owning: fd)
  }

  /// A listening socket and its port, which nobody else had.
  static func listen() throws -> (Descriptor, UInt16) {
    let listener = try stream()
    guard withAddress(0, { bind(listener.raw, $0, $1) }) == 0, Glibc.listen(listener.raw, 8) == 0 else {
      throw Errno(errno)
    }
    var found = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    _ = withUnsafeMutablePointer(to: &found) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(listener.raw, $0, &length) }
    }
    return (listener, UInt16(bigEndian: found.sin_port))
  }

  /// Sends `text` to a port and returns the answer; empty when nobody is there.
  static func ask(_ port: UInt16, _ text: String) throws -> String {
    let socket = try stream()
    guard withAddress(port, { connect(socket.raw, $0, $1) }) == 0 else { return "" }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket.raw, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    _ = try? Array(text.utf8).withUnsafeBytes { try socket.writeAll($0) }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = read(socket.raw, &buffer, buffer.count), count > 0 {
      answer += buffer.prefix(count)
    }
    return String(decoding: answer, as: UTF8.self)
  }
}
