import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

/// Servers behind TLS, with certificates that openssl makes.
@Suite struct NBDTLSTests {
  /// Folders `server` and `client` of an authority, and `other` of one that nobody knows.
  static func certificates(in folder: URL, name: String) throws {
    func openssl(_ words: String) throws {
      _ = try run("openssl", words.split(separator: " ").map(String.init), in: folder)
    }
    for authority in ["ca", "stranger"] {
      try openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=\(authority) -keyout \(authority).key -out \(authority).pem"
      )
    }
    for (role, authority) in [("server", "ca"), ("client", "ca"), ("other", "stranger")] {
      let place = folder.appendingPathComponent(role)
      try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
      let kind = role == "server" ? "server" : "client"
      try "subjectAltName=DNS:\(name)\n".write(
        to: folder.appendingPathComponent("names"), atomically: true, encoding: .utf8)
      try openssl(
        "req -newkey rsa:2048 -nodes -subj /CN=\(role) -keyout \(role)/\(kind)-key.pem -out \(role).csr")
      try openssl(
        "x509 -req -in \(role).csr -CA \(authority).pem -CAkey \(authority).key -CAcreateserial -days 3 -extfile names -out \(role)/\(kind)-cert.pem"
      )
      try FileManager.default.copyItem(
        at: folder.appendingPathComponent("\(authority).pem"), to: place.appendingPathComponent("ca-cert.pem")
      )
    }
  }

  /// A port of this host that was free a moment ago.
  static func freePort() throws -> UInt16 {
    let socket = Descriptor(owning: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(socket.raw, $0, size) == 0 && getsockname(socket.raw, $0, &size) == 0
      }
    }
    guard result else { throw Errno(errno) }
    return UInt16(bigEndian: address.sin_port)
  }

  /// A server of the name `localhost`, or of another.
  static func withServer(
    name: String = "localhost", tls: String = "require",
    _ body: (_ folder: String, _ port: UInt16) throws -> Void
  ) throws {
    let folder = try TemporaryFolder()
    try certificates(in: folder.url, name: name)
    let port = try freePort()
    let server = try ProgramRun(
      "nbdkit",
      [
        "-f", "-i", "127.0.0.1", "-p", "\(port)", "--tls=\(tls)",
        "--tls-certificates=\(folder.url.path)/server", "--tls-verify-peer", "memory", "1M",
      ])
    let probe = try NBDLocation("nbd://127.0.0.1:\(port)")
    for _ in 0..<5000 {
      if (try? probe.connect()) != nil || server.hasEnded { break }
      usleep(2000)
    }
    try body(folder.url.path, port)
  }

  @Test func `who knows whom`() throws {
    try Self.withServer { folder, port in
      let place = "nbds://localhost:\(port)/?tls-certificates=\(folder)"
      let disk = try NBDImage(NBDLocation(place + "/client"), readOnly: false)
      var model = NBDModel([UInt8](repeating: 0, count: 1 << 20), seed: 2)
      try model.operate(on: disk, steps: 100)
      // Another authority than the server's, none at all, no TLS, and a folder that is not there.
      for text in [
        place + "/other", "nbds://localhost:\(port)/", "nbd://localhost:\(port)/", place + "/missing",
      ] {
        #expect {
          try NBDImage(NBDLocation(text), readOnly: false)
        } throws: { "\($0)".hasPrefix("cannot use \(text): ") && !"\($0)".contains("\n") }
      }
    }
  }

  @Test func `a certificate for another name`() throws {
    try Self.withServer(name: "elsewhere.example") { folder, port in
      #expect(throws: DiskImageError.self) {
        try NBDImage(
          NBDLocation("nbds://localhost:\(port)/?tls-certificates=\(folder)/client"), readOnly: false)
      }
    }
  }

  @Test func `a server without TLS`() throws {
    try Self.withServer(tls: "off") { folder, port in
      #expect(throws: DiskImageError.self) {
        try NBDImage(
          NBDLocation("nbds://localhost:\(port)/?tls-certificates=\(folder)/client"), readOnly: false)
      }
      let plain = try NBDImage(NBDLocation("nbd://localhost:\(port)"), readOnly: false)
      #expect(plain.size == 1 << 20)
    }
  }
}
