import Foundation
import HTTPTypes
import HostPrograms
import HummingbirdCore
import NIOCore
import Testing
import VolaryAPI
import VolaryPage
import VolaryServer

/// How the web page is served. What it does in a browser is shown by Tests/Page.
@Suite struct PageTests {
  @Test func servesItsFiles() async throws {
    let daemon = try await TestDaemon()
    for file in PageFile.all {
      let path = PageRoutes.path + file.name
      let answer = try daemon.curl(path)
      #expect(answer.status == 200, "\(path)")
      #expect(answer.body == Data(file.bytes), "\(path)")
      #expect(answer.headers["content-type"] == file.type)
      #expect(answer.headers["x-content-type-options"] == "nosniff")
      #expect(answer.headers["referrer-policy"] == "no-referrer")
      #expect(answer.headers["cross-origin-opener-policy"] == "same-origin")
      #expect(answer.headers["cross-origin-resource-policy"] == "same-origin")
      #expect(answer.headers["cache-control"] == "no-cache")
      let policy = try #require(answer.headers["content-security-policy"])
      #expect(policy.hasPrefix("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"))
      #expect(!policy.contains("unsafe") && !policy.contains("*") && !policy.contains("http"))
      // What the browser has already is not sent again.
      let tag = try #require(answer.headers["etag"])
      let again = try daemon.curl(path, headers: ["If-None-Match": tag])
      #expect(again.status == 304 && again.body.isEmpty && again.headers["etag"] == tag)
      #expect(again.headers["content-security-policy"] == policy)
      #expect(try daemon.curl(path, headers: ["If-None-Match": "\"other\""]).status == 200)
      let head = try daemon.curl(path, "HEAD")
      #expect(head.status == 200 && head.body.isEmpty)
      #expect(head.headers["content-length"] == "\(file.bytes.count)")
      #expect(try daemon.curl(path, "POST").status == 405)
    }
    #expect(try daemon.curl("/ui").body == Data(PageFile.all[0].bytes))
  }

  @Test(arguments: [
    "/ui/nothing.js", "/ui/../volary.db", "/ui/..%2fvolary.db", "/ui/%2e%2e/volary.db", "/ui/./page.css",
    "/ui//etc/passwd", "/ui/%2fetc%2fpasswd", "/ui/page.css/", "/ui/page.css/..", "/ui/PAGE.CSS",
    "/ui/main.js%00.css", "/ui/..%5cvolary.db",
  ])
  func servesNothingElse(_ path: String) async throws {
    let daemon = try await TestDaemon()
    let answer = try daemon.curl(path)
    // A slash at the end is the same path everywhere.
    let isSame = path == "/ui/page.css/"
    #expect(answer.status == (isSame ? 200 : 404), "\(answer.status)")
  }

  @Test func sendsBrowsersToThePage() async throws {
    let daemon = try await TestDaemon()
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    for accept in [browser, "text/html", "application/json;q=0.5, text/html;q=0.6"] {
      let answer = try daemon.curl("/", headers: ["Accept": accept])
      #expect(answer.status == 302 && answer.headers["location"] == "/ui/", "\(accept)")
      #expect(answer.headers["vary"] == "Accept")
    }
    for accept in [
      "*/*", "application/json", "", "text/html;q=0", "application/json, text/html;q=0.5", "text/*",
    ] {
      let answer = try daemon.curl("/", headers: ["Accept": accept])
      #expect(answer.status == 200 && answer.json["metadata"] == ["/1.0"], "\(accept)")
    }
  }

  /// The terminal is no part of the program: it is found when it is there, and its lack is told.
  @Test func findsTheTerminal() async throws {
    let folder = TestFolder()
    let routes = PageRoutes(
      terminal: TerminalParts(
        folders: [folder.path + "/a", folder.path + "/b"], packages: folder.path + "/c"))
    func ask(_ name: String) async throws -> (status: Int, body: Data, headers: HTTPFields) {
      let dispatcher = Dispatcher(
        table: RouteTable(routes.routes), authenticate: { _, _ in nil },
        store: try Store(directory: folder.path + "/\(UUID())"), logger: silent)
      let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: "/ui/" + name)
      let reply = await dispatcher.respond(
        to: Request(head: head, body: RequestBody(buffer: ByteBuffer())), from: .unix(user: 0))
      guard case .bytes(let bytes) = reply.body else { throw APIError(.failed, "a stream") }
      return (reply.status.code, Data(bytes.readableBytesView), reply.headers)
    }
    for part in TerminalParts.parts { #expect(try await ask(part.name).status == 404) }
    let missing = try APICoding.decode(JSONValue.self, from: try await ask("xterm.js").body)
    #expect(missing["metadata"]?["way_out"]?.string?.contains("node-xterm") == true)
    let packaged = folder.path + "/c/xterm/lib"
    try FileManager.default.createDirectory(atPath: packaged, withIntermediateDirectories: true)
    try Data("packaged".utf8).write(to: URL(filePath: packaged + "/xterm.js"))
    #expect(try await ask("xterm.js").body == Data("packaged".utf8))
    try FileManager.default.createDirectory(atPath: folder.path + "/b", withIntermediateDirectories: true)
    try Data("own".utf8).write(to: URL(filePath: folder.path + "/b/xterm.js"))
    let own = try await ask("xterm.js")
    #expect(own.body == Data("own".utf8) && own.headers[.contentType] == "text/javascript; charset=utf-8")
    #expect(own.headers[.contentSecurityPolicy] != nil)
    #expect(try await ask("xterm.css").status == 404)
  }

  /// What comes from outside never becomes markup or code, and nothing comes from another host.
  @Test(arguments: PageFile.all.map(\.name))
  func keepsToText(_ name: String) throws {
    let file = try #require(PageFile.all.first { $0.name == name })
    let text = String(decoding: file.bytes, as: UTF8.self)
    let forbidden = [
      "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
      "setAttribute(\"style\"", "style=", "javascript:", "srcdoc", "localStorage.setItem(\"volary.token",
    ]
    for word in forbidden { #expect(!text.contains(word), "\(word)") }
    let hosts = text.matches(of: /https?:\/\/[^"'\s]+/).map { String($0.output) }
    #expect(hosts.allSatisfy { $0.hasPrefix("http://www.w3.org/2000/svg") }, "\(hosts)")
    // What a module asks for is there.
    for match in text.matches(of: /from "\.\/([^"]+)"/) {
      #expect(PageFile.all.contains { $0.name == match.1 }, "\(match.1)")
    }
  }

  /// A page opens a websocket with its token as a subprotocol: with the rights of that token and no others.
  @Test func admitsAPagesWebSocket() async throws {
    let daemon = try await TestDaemon()
    let set = #"{"config":{"core.https_address":"127.0.0.1:0"}}"#
    #expect(try daemon.curl("/1.0", "PATCH", body: set).status == 200)
    let addresses = try daemon.curl("/1.0").json["metadata"]?["environment"]?["addresses"]?.array
    let base = "https://" + (try #require(addresses?.first?.string))
    func token(_ name: String, _ role: String) throws -> String {
      let body = #"{"name":"\#(name)","role":"\#(role)"}"#
      return try #require(
        try daemon.curl("/1.0/tokens", "POST", body: body).json["metadata"]?["token"]?.string)
    }
    func open(_ protocols: String?, origin: String, upgrade: Bool = true) throws -> TestDaemon.Answer {
      var arguments = [
        "-sS", "-i", "--max-time", "2", "--http1.1", "-k", "-H", "Origin: \(origin)", "-H",
        "Sec-WebSocket-Version: 13",
      ]
      if upgrade {
        arguments += ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket"]
        arguments += ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
      }
      if let protocols { arguments += ["-H", "Sec-WebSocket-Protocol: \(protocols)"] }
      return try TestDaemon.parse(
        ProgramRun("curl", arguments + [base + "/1.0/test/echo"]).finish().outputBytes)
    }
    let user = try token("user", "user")
    let opened = try open("volary, volary.bearer.\(user)", origin: base)
    #expect(opened.status == 101 && opened.headers["sec-websocket-protocol"] == "volary")
    // The token is not said again.
    #expect(!opened.headers.values.contains { $0.contains(user) })
    let looker = try token("looker", "monitor")
    #expect(try open("volary, volary.bearer.\(looker)", origin: base).status == 403)
    #expect(try open("volary, volary.bearer.volary_wrong", origin: base).status == 403)
    #expect(try open("volary", origin: base).status == 403)
    #expect(try open(nil, origin: base).status == 403)
    // Another site's page gets no websocket; what is refused is answered as a request for none.
    #expect(try open("volary, volary.bearer.\(user)", origin: "https://example.org").status == 426)
    // It is for websockets alone.
    #expect(try open("volary, volary.bearer.\(user)", origin: base, upgrade: false).status == 403)
  }
}
