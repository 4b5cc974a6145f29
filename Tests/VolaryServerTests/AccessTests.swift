import Foundation
import HostPrograms
import HostSystem
import NIOSSL
import Testing
import VolaryAPI
import VolaryServer

/// The daemon over the network: its certificate, tokens, clients' certificates.
struct AccessTests {
  /// A daemon that listens on the loopback network at a port of its own.
  private struct Server {
    let daemon: TestDaemon
    let base: String

    init() async throws {
      daemon = try await TestDaemon()
      let set = #"{"config":{"core.https_address":"127.0.0.1:0"}}"#
      #expect(try daemon.curl("/1.0", "PATCH", body: set).status == 200)
      let addresses = try daemon.curl("/1.0").json["metadata"]?["environment"]?["addresses"]
      guard case .array(let list)? = addresses, let address = list.first?.string else {
        throw APIError(.failed, "no address")
      }
      base = "https://" + address
    }

    /// A request over the network. The daemon's certificate is checked against the file that it keeps.
    func curl(_ path: String, _ method: String = "GET", body: String? = nil, _ arguments: [String] = [])
      throws
      -> TestDaemon.Answer
    {
      var all = [
        "-sS", "-i", "--max-time", "120", "--cacert", daemon.folder.path + "/server.crt", "-X", method,
      ]
      if let body { all += ["--data-binary", body] }
      let outcome = try ProgramRun("curl", all + arguments + [base + path]).finish()
      guard outcome.code == 0 else {
        throw APIError(.unreachable, "curl ended with \(outcome.code): \(outcome.errors)")
      }
      return try TestDaemon.parse(outcome.outputBytes)
    }

    func curl(_ path: String, _ arguments: [String]) throws -> TestDaemon.Answer {
      try curl(path, "GET", body: nil, arguments)
    }

    func token(_ body: String) throws -> String {
      let made = try daemon.curl("/1.0/tokens", "POST", body: body).json["metadata"]?["token"]
      return try #require(made?.string)
    }

    /// What curl needs to show a certificate that is made here.
    func clientCertificate(_ name: String) throws -> [String] {
      let (certificate, key) = (daemon.folder.path + "/\(name).crt", daemon.folder.path + "/\(name).key")
      let made = try ProgramRun(
        "openssl",
        [
          "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-days", "1",
          "-subj", "/CN=\(name)", "-keyout", key, "-out", certificate,
        ]
      ).finish()
      #expect(made.code == 0, "\(made.errors)")
      return ["--cert", certificate, "--key", key]
    }
  }

  private func bearer(_ token: String) -> [String] { ["-H", "Authorization: Bearer \(token)"] }

  @Test func showsNobodyAnything() async throws {
    let server = try await Server()
    let root = try server.curl("/1.0")
    #expect(root.status == 200 && root.json["metadata"]?["auth"] == "untrusted")
    #expect(root.json["metadata"]?["environment"] == nil && root.json["metadata"]?["config"] == nil)
    for path in ["/1.0/projects", "/1.0/tokens", "/1.0/certificates", "/1.0/operations"] {
      #expect(try server.curl(path).status == 403)
    }
    for wrong in ["Bearer x", "Bearer", "Basic YTpi", "Bearer volary_" + String(repeating: "0", count: 64)] {
      #expect(
        try server.curl("/1.0/projects", [("Authorization: " + wrong)].flatMap { ["-H", $0] }).status == 403)
    }
    // A certificate that nobody let in is nobody's.
    #expect(try server.curl("/1.0/projects", server.clientCertificate("stranger")).status == 403)
    #expect(try server.curl("/1.0/certificates", "POST", body: #"{"type":"client"}"#).status == 403)
  }

  /// What openssl says of the certificate is what the daemon says of itself.
  @Test func hasACertificateOfItsOwn() async throws {
    let server = try await Server()
    let file = server.daemon.folder.path + "/server.crt"
    let text = try ProgramRun("openssl", ["x509", "-in", file, "-noout", "-fingerprint", "-sha256"]).finish()
    let digits = text.output.split(separator: "=").last.map {
      $0.replacing(":", with: "").lowercased().trimmingCharacters(in: .whitespacesAndNewlines)
    }
    let environment = try server.daemon.curl("/1.0").json["metadata"]?["environment"]
    #expect(environment?["certificate_fingerprint"]?.string == digits)
    let mode = try FileManager.default.attributesOfItem(atPath: server.daemon.folder.path + "/server.key")
    #expect(mode[.posixPermissions] as? Int == 0o600)
    // It stays over a restart, and the daemon listens again.
    #expect(await server.daemon.terminate() == .code(0))
    try await server.daemon.restart()
    let again = try server.daemon.curl("/1.0").json["metadata"]?["environment"]
    #expect(again?["certificate_fingerprint"]?.string == digits)
    #expect(again?["addresses"] != .array([]))
  }

  @Test func grantsWhatATokenSays() async throws {
    let server = try await Server()
    let looker = try server.token(#"{"name":"looker","role":"monitor"}"#)
    let admin = try server.token(#"{"name":"admin","role":"admin"}"#)
    #expect(try server.curl("/1.0/projects", bearer(looker)).status == 200)
    #expect(try server.curl("/1.0/projects", "POST", body: #"{"name":"a"}"#, bearer(looker)).status == 403)
    #expect(try server.curl("/1.0/tokens", bearer(looker)).status == 403)
    #expect(try server.curl("/1.0/projects", "POST", body: #"{"name":"a"}"#, bearer(admin)).status == 201)
    // Whose page it is counts where something is changed.
    let foreign = bearer(admin) + ["-H", "Origin: https://example.org"]
    #expect(try server.curl("/1.0/projects", "POST", body: #"{"name":"b"}"#, foreign).status == 403)
    let own = bearer(admin) + ["-H", "Origin: \(server.base)"]
    #expect(try server.curl("/1.0/projects", "POST", body: #"{"name":"b"}"#, own).status == 201)
    // Limited to a project: it sees that one alone, and changes nothing of the host.
    let limited = try server.token(#"{"name":"limited","role":"admin","projects":["a"]}"#)
    let seen = try server.curl("/1.0/projects", bearer(limited)).json["metadata"]
    #expect(seen == .array([.string("/1.0/projects/a")]))
    #expect(try server.curl("/1.0/projects", "POST", body: #"{"name":"c"}"#, bearer(limited)).status == 403)
    #expect(try server.curl("/1.0", "PATCH", body: "{}", bearer(limited)).status == 403)
    // A token that is deleted, or over, is good no more.
    let short = try server.token(#"{"name":"short","expires_in":1}"#)
    #expect(try await eventually { try server.curl("/1.0/projects", bearer(short)).status == 403 })
    #expect(try server.daemon.curl("/1.0/tokens/looker", "DELETE").status == 200)
    #expect(try server.curl("/1.0/projects", bearer(looker)).status == 403)
    // The store has no secret.
    for token in [looker, admin, limited] {
      let found = try ProgramRun("grep", ["-rlaF", String(token.suffix(40)), server.daemon.folder.path])
        .finish()
      #expect(found.output.isEmpty)
    }
  }

  @Test func letsAClientInOnce() async throws {
    let server = try await Server()
    let text = try server.token(#"{"name":"laptop","role":"operator","joins":true}"#)
    let token = try #require(JoinToken(text: text))
    #expect(token.addresses.map { "https://" + $0 } == [server.base])
    // It opens nothing but the one door.
    #expect(try server.curl("/1.0/projects", bearer(token.secret)).status == 403)
    let client = try server.clientCertificate("laptop")
    let body = #"{"type":"client","trust_token":"\#(text)"}"#
    let joined = try server.curl("/1.0/certificates", "POST", body: body, client)
    #expect(joined.status == 201)
    #expect(try server.curl("/1.0", client).json["metadata"]?["auth"] == "trusted")
    #expect(try server.curl("/1.0/projects", client).status == 200)
    // An operator changes nothing of the host.
    #expect(try server.curl("/1.0/tokens", client).status == 403)
    let second = try server.clientCertificate("second")
    #expect(try server.curl("/1.0/certificates", "POST", body: body, second).status == 403)
    let path = try #require(joined.headers["location"])
    #expect(try server.daemon.curl(path).json["metadata"]?["role"] == "operator")
    #expect(try server.daemon.curl(path, "DELETE").status == 200)
    #expect(try server.curl("/1.0/projects", client).status == 403)
    // Incus's way to a token: an operation that holds it, and that nobody finds again.
    let asked = try server.daemon.curl(
      "/1.0/certificates", "POST", body: #"{"name":"i","type":"client","token":true}"#)
    #expect(asked.json["metadata"]?["metadata"]?["secret"]?.string?.hasPrefix("volary_") == true)
    #expect(try server.daemon.curl(try #require(asked.headers["location"])).status == 404)
  }

  /// The same over our own client, and a websocket of it.
  @Test func speaksToOurClient() async throws {
    let server = try await Server()
    let token = try server.token(#"{"name":"t","role":"monitor"}"#)
    var tls = TLSConfiguration.makeClientConfiguration()
    tls.trustRoots = .file(server.daemon.folder.path + "/server.crt")
    let client = APIClient(.https(base: server.base, tls: tls, token: token))
    let projects: [String] = try await client.get("/1.0/projects")
    #expect(projects == ["/1.0/projects/default"])
    let heard = Task { () -> Bool in
      var heard = false
      try await client.events(types: [.lifecycle]) { _ in
        heard = true
        return false
      }
      return heard
    }
    let knock = Task {
      while !Task.isCancelled {
        _ = try? server.daemon.curl("/1.0/test/events", "POST", body: #"{"count":1,"bytes":1}"#)
        try await Task.sleep(for: .milliseconds(50))
      }
    }
    #expect(try await heard.value)
    knock.cancel()
    await client.shutdown()
  }

  @Test func listensWhereItIsTold() async throws {
    let server = try await Server()
    let daemon = server.daemon
    func set(_ address: String) throws -> TestDaemon.Answer {
      try daemon.curl("/1.0", "PATCH", body: #"{"config":{"core.https_address":"\#(address)"}}"#)
    }
    for wrong in ["nonsense:port", "127.0.0.1:70000", "[::1", "192.0.2.1:0"] {
      let answer = try set(wrong)
      #expect(answer.status == 400, "\(wrong): \(answer.text)")
      // It goes on where it was.
      #expect(try server.curl("/1.0").status == 200)
    }
    #expect(try daemon.curl("/1.0", "PATCH", body: #"{"config":{"core.nothing":"1"}}"#).status == 400)
    #expect(try daemon.curl("/1.0").json["metadata"]?["config"]?["core.https_address"] == "127.0.0.1:0")
    // The same port at another address, asked for over the network itself.
    let port = try #require(server.base.split(separator: ":").last)
    let admin = try server.token(#"{"name":"admin","role":"admin"}"#)
    let body = #"{"config":{"core.https_address":":\#(port)"}}"#
    #expect(try server.curl("/1.0", "PATCH", body: body, bearer(admin)).status == 200)
    #expect(try server.curl("/1.0").status == 200)
    #expect(try set("").status == 200)
    #expect(await eventually { (try? server.curl("/1.0")) == nil })
  }

  @Test(arguments: [
    ("1.2.3.4:5", "1.2.3.4", 5), (":8443", "0.0.0.0", 8443), ("[::]:1", "::", 1), ("::1", "::1", 8443),
    ("host", "host", 8443), ("[::1]", "::1", 8443),
  ])
  func readsAddresses(_ text: String, _ host: String, _ port: Int) throws {
    let read = try NetworkListener.parse(text)
    #expect(read.host == host && read.port == port)
  }
}
