import Foundation
import Glibc
import HostPrograms
import Testing
import VolaryAPI

/// Requests that are wrong in every way that comes to mind, straight into the socket.
@Suite struct MalformedRequestTests {
  /// Sends bytes, ends the sending, and reads all that comes.
  private func exchange(_ path: String, _ bytes: [UInt8]) -> [UInt8] {
    let socket = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(socket) }
    var patience = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { return [] }
    _ = send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    shutdown(socket, Int32(SHUT_WR))
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(socket, &buffer, buffer.count, 0)
      if count <= 0 { return answer }
      answer += buffer[..<count]
    }
  }

  private static let targets = [
    "/1.0", "/1.0/projects", "/1.0/projects/default", "/1.0/operations", "/1.0/operations/x/wait?timeout=0",
    "/1.0/events?since=1", "/1.0/test/operations", "/1.0/test/echo", "*", "", "http://x", "//", "/%00",
    "/1.0/%ff",
    "/1.0/../../etc/passwd", "/1.0/projects?filter=%27", "/1.0/projects?recursion=-1", "/1.0/projects?x=%",
    "/1.0/projects?recursion=99999999999999999999", "/1.0/projects/" + String(repeating: "a", count: 9000),
  ]
  private static let methods = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW", "get", "",
  ]
  private static let bodies = [
    "", "{", "[]", "null", "{\"name\":null}", "{\"name\":{}}", "{\"name\":\"\u{0}\"}", "\u{feff}{}",
    "{\"steps\":1e999}",
    "{\"steps\":\"1\"}", "{\"config\":{\"limits.cpu\":\"-\"}}", String(repeating: "[", count: 100_000),
    // One more than Foundation reads, and nothing behind it.
    String(repeating: "[", count: 513), String(repeating: "{\"a\":", count: 513),
    "{\"name\":\"" + String(repeating: "a", count: 5000) + "\"}", "{\"name\":\"\\ud800\"}", "name=web",
  ]
  private static let headers = [
    "Host: x", "Host: x\r\nHost: y", "Content-Length: -1", "Content-Length: 99999999999999999999",
    "Content-Length: 5",
    "Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Upgrade: websocket\r\nConnection: upgrade",
    ": nothing",
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x",
    "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings", "If-Match: \"", "Idempotency-Key:",
    "Expect: 100-continue",
    "Last-Event-ID: x\r\nAccept: text/event-stream", "X: \u{1}", "Connection: close", "Range: bytes=0-",
    "Content-Type: text/plain",
  ]

  @Test func areAnsweredWithFourHundreds() async throws {
    let daemon = try await TestDaemon()
    var generator = SystemRandomNumberGenerator()
    var answered = 0
    for _ in 0..<400 {
      let body = try #require(Self.bodies.randomElement(using: &generator))
      let header = try #require(Self.headers.randomElement(using: &generator))
      let method = try #require(Self.methods.randomElement(using: &generator))
      let target = try #require(Self.targets.randomElement(using: &generator))
      let version =
        Bool.random(using: &generator)
        ? "HTTP/1.1" : ["HTTP/1.0", "HTTP/2.0", "HTTQ/1.1", ""].randomElement(using: &generator) ?? ""
      let length =
        header.contains("ength") || header.contains("ncoding") ? "" : "Content-Length: \(body.utf8.count)\r\n"
      var bytes = Array("\(method) \(target) \(version)\r\n\(header)\r\n\(length)\r\n\(body)".utf8)
      if Int.random(in: 0..<4, using: &generator) == 0, !bytes.isEmpty {
        for _ in 0..<3 {
          bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(
            in: 0...255, using: &generator)
        }
      }
      let answer = String(decoding: exchange(daemon.socket, bytes), as: UTF8.self)
      let request = String(decoding: bytes.prefix(300), as: UTF8.self)
      // An answer is HTTP and no failure of the daemon's; none is right for what is no whole request.
      for line in answer.split(separator: "\r\n") where line.hasPrefix("HTTP/1.") {
        answered += 1
        let status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        #expect(status < 500 && status >= 100, "\(request) → \(line)")
      }
      #expect(answer.isEmpty || answer.hasPrefix("HTTP/1."), "\(request) → \(answer.prefix(200))")
    }
    #expect(answered > 100)
    #expect(!daemon.process.hasEnded)
    #expect(try daemon.curl("/healthz").status == 200)
  }
}
